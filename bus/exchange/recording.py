"""Write what happens in exchanges into the log: entries, payloads, and what stands beside them.

Attachments are on disk first, then the entry that names them, then their file gets its name for
good. Stopped in between, the next start finds a file without a known entry and looks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bus.core.decision import Accepted, MessageFacts, Refused
from bus.core.errors import Recovery
from bus.core.exchange_leaves import (
    Entry,
    SealedFacts,
    answered_again_leaf,
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
    AttachmentStore,
    Claim,
    InboxState,
    KeptAttachments,
    LogWrite,
    MessageLog,
    PayloadSealer,
    Settlement,
)
from bus.exchange.messages import IncomingRequest, Outcome
from bus.runtime.off_loop import off_loop
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


_MakeWrite = Callable[[KeptAttachments | None], LogWrite]
"""Makes the entry, once it is known what lies beside it."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Appends the entries of exchanges; every method returns when its entry is on disk and synced.

    Each raises LogUnavailable: nothing was appended, or nobody can tell.
    """

    log: MessageLog
    store: AttachmentStore
    sealer: PayloadSealer
    pseudonyms: Pseudonyms
    rules_digest: bytes
    """Names the rules that messages are judged by."""

    def claim_of(self, facts: MessageFacts) -> Claim:
        """What takes the id of a message, for this very message."""
        key = self.pseudonyms.claim_key(str(facts.client), facts.message_id)
        return Claim(key, facts.digest)

    async def received(
        self, accepted: Accepted, request: IncomingRequest, claim: Claim
    ) -> Entry | AlreadyTaken:
        """A message passed every check; nothing of it has left the hub."""
        payload = await self._seal(request.raw)

        def make_write(kept: KeptAttachments | None) -> LogWrite:
            leaf = received_leaf(accepted, payload, self.pseudonyms, request.time, kept)
            return LogWrite(leaf, payload.sealed, claim=claim)

        return await self._append(make_write, request.attachments)

    async def refused(self, refused: Refused, request: IncomingRequest, fault_id: str) -> Entry:
        """A message may not pass. Of its attachments only what they are is kept."""
        raw = request.raw
        is_kept = refused.proof is not None or len(raw) <= REFUSED_PAYLOAD_BYTES_MAX
        payload = await self._seal(raw) if raw and is_kept else None

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

        return _new(await self._append(make_write, request.attachments, is_content_kept=False))

    async def outcome(
        self, accepted: Accepted, received: Entry, claim: Claim, result: Outcome
    ) -> Entry:
        """What came of a received message."""
        is_final = result.error is None or result.error.recovery is Recovery.NEVER
        state = InboxState.ANSWERED if is_final else InboxState.RETRYABLE
        settlement = Settlement(claim.key, state)
        payload = await self._seal(result.body)

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

        return _new(await self._append(make_write, result.attachments))

    async def interrupted(self, key: bytes, received_index: int, now: datetime) -> None:
        """A message of an earlier run was interrupted; its bytes may come again."""
        leaf = interrupted_leaf(received_index, now)
        settlement = Settlement(key, InboxState.RETRYABLE)
        await self.log.append(LogWrite(leaf, settlement=settlement))

    async def answered_again(
        self, accepted: Accepted, taken: AlreadyTaken, now: datetime
    ) -> FirstAnswer:
        """A copy of an answered message gets the first answer. Raises LogCorrupt, too."""
        assert taken.outcome_index is not None
        received = await self.log.read(taken.received_index)
        outcome = await self.log.read(taken.outcome_index)
        assert outcome.sealed is not None
        leaf = answered_again_leaf(accepted, taken.received_index, now)
        await self.log.append(LogWrite(leaf))
        sealed = outcome.sealed
        open_sealed = partial(self.sealer.open_sealed, sealed)
        _, body = await off_loop(len(sealed.ciphertext), open_sealed)
        facts = read_leaf(outcome.leaf)
        attachments: tuple[Attachment, ...] = ()
        if facts.stored is not None:
            attachments = await asyncio.to_thread(self.store.open, facts.stored)
        return FirstAnswer(
            Entry(received.leaf, received.index),
            Entry(outcome.leaf, outcome.index),
            facts,
            body,
            attachments,
        )

    async def _seal(self, raw: bytes) -> SealedFacts:
        sealed = await off_loop(len(raw), partial(self.sealer.seal, raw))
        return SealedFacts(*sealed, raw_bytes=len(raw))

    async def _append(
        self,
        make_write: _MakeWrite,
        attachments: tuple[Attachment, ...],
        *,
        is_content_kept: bool = True,
    ) -> Entry | AlreadyTaken:
        if not attachments:
            write = make_write(None)
            return _entry(write, await self.log.append(write))
        kept = await asyncio.to_thread(
            lambda: self.store.keep(attachments, is_content_kept=is_content_kept)
        )
        write = make_write(kept)
        # If we stop here, or if only the confirmation of the commit is lost, the next start looks
        # whether the entry is in the log.
        result = await self.log.append(write)
        settle = self.store.confirm if isinstance(result, Appended) else self.store.drop
        await asyncio.to_thread(settle, kept)
        return _entry(write, result)


def _entry(write: LogWrite, result: Appended | AlreadyTaken) -> Entry | AlreadyTaken:
    return Entry(write.leaf, result.index) if isinstance(result, Appended) else result


def _new(entry: Entry | AlreadyTaken) -> Entry:
    assert isinstance(entry, Entry)  # only a claim can have been taken already
    return entry
