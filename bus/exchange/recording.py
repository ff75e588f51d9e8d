"""Write what happens in exchanges into the log: entries, payloads, and what stands beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.decision import Accepted, MessageFacts, Refused
from bus.core.deliveries import NewDelivery
from bus.core.errors import HubFull, Recovery
from bus.core.exchange_leaves import (
    Entry,
    answered_again_leaf,
    answered_elsewhere_leaf,
    interrupted_leaf,
    outcome_leaf,
    received_leaf,
    refused_leaf,
)
from bus.core.log.leaf import Leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    Claim,
    InboxState,
    KeptAttachments,
    LogWrite,
    Settlement,
)
from bus.delivery.carried_messages import carried_form
from bus.exchange.messages import IncomingRequest, Outcome
from bus.log.entry_writer import EntryWriter
from signing.attachments import Attachment

REFUSED_PAYLOAD_BYTES_MAX = 64 * 1024
"""Of a sender that was not proved, at most this much is kept as evidence."""


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What a message was told when it came first."""

    received: Entry
    outcome: Entry
    facts: Leaf
    """Of the outcome."""
    body: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]


@dataclass(frozen=True, slots=True)
class Recorder:
    """Appends the entries of exchanges; every method returns when its entry is on disk and synced.

    Each raises LogUnavailable: nothing was appended, or nobody can tell.
    """

    writer: EntryWriter
    pseudonyms: Pseudonyms
    rules_digest: bytes
    """Names the rules that messages are judged by."""

    def claim_of(self, facts: MessageFacts) -> Claim:
        """What takes the id of a message, for this very message."""
        key = self.pseudonyms.claim_key(str(facts.client), facts.message_id)
        return Claim(key, facts.digest)

    async def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What an entry with this claim would meet now; None: it would take it."""
        return await self.writer.log.claimed(claim)

    async def received(
        self, accepted: Accepted, request: IncomingRequest, claim: Claim
    ) -> Entry | AlreadyTaken:
        """A message passed every check; nothing of it has left the hub."""
        payload = await self.writer.seal(request.raw)

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = received_leaf(accepted, payload, self.pseudonyms, request.time, kept)
            return LogWrite(leaf, payload.sealed, claim=claim)

        return await self.writer.append(make_write, request.attachments)

    async def submitted(
        self,
        accepted: Accepted,
        request: IncomingRequest,
        claim: Claim,
        deliveries: tuple[NewDelivery, ...],
    ) -> tuple[bytes, Appended | AlreadyTaken]:
        """A submission passed every check, and these deliveries are owed from here on: entry,
        payload, claim, rows and what they need of the message, in one transaction. Gives its leaf.
        """
        payload = await self.writer.seal(request.raw)
        carried = await self.writer.seal_for_a_while(carried_form(accepted, request.raw))
        accepting = Claim(claim.key, claim.digest, InboxState.ACCEPTED)

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = received_leaf(accepted, payload, self.pseudonyms, request.time, kept)
            return LogWrite(
                leaf,
                payload.sealed,
                claim=accepting,
                deliveries=deliveries,
                carried=carried,
            )

        return await self.writer.append_deliveries(make_write, request.attachments)

    async def refused(self, refused: Refused, request: IncomingRequest, fault_id: str) -> Entry:
        """A message may not pass. Of its attachments only what they are is kept."""
        raw = request.raw
        is_kept = refused.proof is not None or len(raw) <= REFUSED_PAYLOAD_BYTES_MAX
        if isinstance(refused.error, HubFull):
            is_kept = False  # there is no room for it
        payload = await self.writer.seal(raw) if raw and is_kept else None

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = refused_leaf(
                refused,
                len(raw),
                payload,
                self.pseudonyms,
                self.rules_digest,
                fault_id,
                request.time,
                kept,
            )
            return LogWrite(leaf, payload.sealed if payload else None)

        return _new(
            await self.writer.append(make_write, request.attachments, is_content_kept=False)
        )

    async def outcome(
        self, accepted: Accepted, received: Entry, claim: Claim, result: Outcome
    ) -> Entry:
        """What came of a received message."""
        is_final = result.error is None or result.error.recovery is Recovery.NEVER
        state = InboxState.ANSWERED if is_final else InboxState.RETRYABLE
        settlement = Settlement(claim.key, state)
        payload = await self.writer.seal(result.body)

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = outcome_leaf(
                accepted,
                received.index,
                payload,
                result.error,
                result.fault_id,
                result.time,
                kept,
            )
            return LogWrite(leaf, payload.sealed, settlement=settlement)

        return _new(await self.writer.append(make_write, result.attachments))

    async def interrupted(self, key: bytes, received_index: int, now: datetime) -> None:
        """A message of an earlier run was interrupted; its bytes may come again."""
        leaf = interrupted_leaf(received_index, now)
        settlement = Settlement(key, InboxState.RETRYABLE)
        await self.writer.log.append(LogWrite(leaf, settlement=settlement))

    async def accepted_again(
        self, accepted: Accepted, taken: AlreadyTaken, now: datetime
    ) -> tuple[Entry, Leaf]:
        """A copy of an accepted submission gets the first acceptance; give the entry that it is
        made of. Raises LogCorrupt, too."""
        received = await self.writer.log.read(taken.received_index, taken.origin)
        await self._say_again(accepted, taken, now)
        return Entry(received.leaf, received.index), read_leaf(received.leaf)

    async def answered_again(
        self, accepted: Accepted, taken: AlreadyTaken, now: datetime
    ) -> FirstAnswer:
        """A copy of an answered message gets the first answer. Raises LogCorrupt, too."""
        assert taken.outcome_index is not None
        received = await self.writer.log.read(taken.received_index, taken.origin)
        outcome = await self.writer.log.read(taken.outcome_index, taken.origin)
        assert outcome.sealed is not None
        await self._say_again(accepted, taken, now)
        body = await self.writer.opened(outcome.sealed)
        facts = read_leaf(outcome.leaf)
        attachments = await self.writer.kept_attachments(facts.stored, taken.origin)
        return FirstAnswer(
            Entry(received.leaf, received.index),
            Entry(outcome.leaf, outcome.index),
            facts,
            body,
            attachments,
        )

    async def _say_again(self, accepted: Accepted, taken: AlreadyTaken, now: datetime) -> None:
        if taken.origin is None:
            leaf = answered_again_leaf(accepted, taken.received_index, now)
        else:
            leaf = answered_elsewhere_leaf(accepted, self.pseudonyms, taken.origin, now)
        await self.writer.log.append(LogWrite(leaf))


def _new(entry: Entry | AlreadyTaken) -> Entry:
    assert isinstance(entry, Entry)  # only a claim can have been taken already
    return entry
