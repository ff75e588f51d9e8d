"""Make the reply to whatever came of a request: the hub's receipt, status, type.

An exchange asks once for each reply: `refusal`, `outcome`, `again`, `unrecorded`, `unsigned`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bus.core.attachments import message_digest
from bus.core.decision import Refused
from bus.core.errors import (
    Blame,
    BusError,
    LogUnavailable,
    RateLimited,
    Recovery,
    SenderBusy,
    SigningUnavailable,
)
from bus.core.exchange_leaves import Entry
from bus.core.log.merkle import hash_leaf
from bus.core.log.receipts import Receipt
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.registry import FaultStyle
from bus.exchange.faults import Faults
from bus.exchange.messages import IncomingRequest, Outcome
from bus.protocols.reply import (
    HTTP_OK,
    HTTP_UNAVAILABLE,
    RETRY_AFTER_SECONDS,
    RETRY_AFTER_SECONDS_MAX,
    Reply,
    reply_with_attachments,
)
from bus.runtime.off_loop import INLINE_BYTES_MAX, off_loop
from signing.attachments import Attachment
from signing.quick_init import quick_init
from signing.signed_note import SigningKey, sign_note

ANSWERED_AGAIN = "answered-again"
"""Outcome of a copy: the first answer again."""
HTTP_TOO_MANY = 429
_TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"


@quick_init
@dataclass(frozen=True, slots=True)
class ReplyFacts:
    """What stands behind a reply: the entries, and the request."""

    received: Entry
    entry: Entry
    """Of the outcome; of a refusal, the same."""
    digest: bytes
    """Names the request."""
    version: str
    """Of the request, and of what is replied."""
    origin: str | None = None
    """Of the log in which the entries stand, if it is another hub's."""


@dataclass(frozen=True, slots=True)
class Replies:
    """The hub's voice: its wire, its faults and how they travel, its key for receipts."""

    wire: WireProtocol
    faults: Faults
    receipt_key: SigningKey = field(repr=False)
    style: FaultStyle
    receipt_keys_elsewhere: Mapping[str, SigningKey] = field(default_factory=dict, repr=False)
    """Of other hubs that this one may speak for, by the origins of their logs."""

    def speaks_for(self, origin: str) -> bool:
        """Whether a receipt can be made of entries of this log."""
        return origin in self.receipt_keys_elsewhere

    async def refusal(
        self, refused: Refused, request: IncomingRequest, entry: Entry, fault_id: str
    ) -> Reply:
        """The reply to a request that was refused, and recorded in `entry`."""
        try:
            outcome = await self.faults.outcome(refused, request, fault_id, request.time)
        except SigningUnavailable as error:
            return self.unsigned(error)
        digest = await off_loop(len(request.raw), partial(request.digest, refused))
        behind = ReplyFacts(entry, entry, digest, self.faults.version_of(refused, request))
        return await self.outcome(outcome, behind)

    async def unrecorded(
        self, error: LogUnavailable, refused: Refused, request: IncomingRequest, fault_id: str
    ) -> Reply:
        """The reply that no entry stands behind: the log itself cannot be written."""
        unsaid = Refused(LogUnavailable(), refused.facts, refused.proof)
        try:
            outcome = await self.faults.outcome(unsaid, request, fault_id, request.time)
        except SigningUnavailable as unavailable:
            return self.unsigned(unavailable)
        return self._fault_reply(error, outcome.body, self.faults.version_of(refused, request))

    async def outcome(self, outcome: Outcome, facts: ReplyFacts) -> Reply:
        """The reply that tells what came of a request."""
        body = await self._receipted(outcome, facts)
        if outcome.error is not None:
            return self._fault_reply(outcome.error, body, facts.version)
        reply = Reply(HTTP_OK, body, content_type=self.wire.content_type(facts.version))
        return await _with_attachments(reply, outcome.attachments)

    async def again(self, outcome: Outcome, facts: ReplyFacts, *, is_delivered: bool) -> Reply:
        """The reply to a copy: what the first one was told, under the first receipt."""
        body = await self._receipted(outcome, facts)
        status = HTTP_OK if is_delivered else self.style.http_status
        content_type = self.wire.content_type(facts.version)
        reply = Reply(status, body, content_type=content_type, outcome=ANSWERED_AGAIN)
        return await _with_attachments(reply, outcome.attachments)

    def unsigned(self, error: SigningUnavailable) -> Reply:
        """The one reply without a signature: what signs faults cannot be reached."""
        body = f"{error.public_reason}\n".encode()
        return Reply(
            HTTP_UNAVAILABLE,
            body,
            is_retryable=True,
            content_type=_TEXT_CONTENT_TYPE,
            outcome=error.code,
        )

    def receipted(
        self,
        body: bytes,
        facts: ReplyFacts,
        time: datetime,
        *,
        attachments: tuple[Attachment, ...] = (),
    ) -> bytes:
        """The message with the hub's receipt: the same for the same entries, whenever made."""
        key = self.receipt_key
        if facts.origin is not None:
            key = self.receipt_keys_elsewhere[facts.origin]
        receipt = Receipt(
            origin=key.name,
            time=time,
            received_index=facts.received.index,
            received_hash=hash_leaf(facts.received.leaf),
            outcome_index=facts.entry.index,
            outcome_hash=hash_leaf(facts.entry.leaf),
            request_digest=facts.digest,
            answer_digest=message_digest(body, attachments),
        )
        return self.wire.with_receipt(body, sign_note(receipt.text(), [key]))

    async def _receipted(self, outcome: Outcome, facts: ReplyFacts) -> bytes:
        body, beside = outcome.body, outcome.attachments
        if len(body) <= INLINE_BYTES_MAX:
            return self.receipted(body, facts, outcome.time, attachments=beside)
        make = partial(self.receipted, body, facts, outcome.time, attachments=beside)
        return await off_loop(len(body), make)

    def _fault_reply(self, error: BusError, body: bytes, version: str) -> Reply:
        """The reply that carries a fault; 503 where the hub itself asks for patience, 429 where
        its sender asks for too much at once."""
        is_later = error.recovery is Recovery.LATER
        is_unavailable = is_later and error.blame is Blame.HUB
        status = HTTP_UNAVAILABLE if is_unavailable else self.style.http_status
        if isinstance(error, (SenderBusy, RateLimited)):
            status = HTTP_TOO_MANY
        seconds = RETRY_AFTER_SECONDS
        if isinstance(error, RateLimited):
            seconds = min(math.ceil(error.retry_after_seconds), RETRY_AFTER_SECONDS_MAX)
        return Reply(
            status,
            body,
            is_retryable=is_later,
            retry_after_seconds=seconds,
            content_type=self.wire.content_type(version),
            outcome=error.code,
        )


async def _with_attachments(reply: Reply, attachments: tuple[Attachment, ...]) -> Reply:
    if not attachments:
        return reply
    return await off_loop(len(reply.body), partial(reply_with_attachments, reply, attachments))
