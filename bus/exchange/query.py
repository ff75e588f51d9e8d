"""Carry one exchange through: judge, record, deliver, record, answer.

The order is the promise. What is judged to pass is on disk before a byte leaves for the agency;
what came of it is on disk before the sender is told. Every refusal is an entry, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

import structlog

from bus.core import errors
from bus.core.attachments import message_digest
from bus.core.decision import Accepted, Decide
from bus.core.envelope import SoapVersion
from bus.core.exchange_leaves import DELIVERED, Entry
from bus.core.pipeline import Refusal
from bus.core.ports.message_log import AlreadyTaken, Claim, InboxState
from bus.core.routing import RoutedMessage
from bus.core.validation import validate_answer
from bus.exchange.recording import Outcome, Recorder
from bus.exchange.replies import Replies
from bus.kit.contract import Answer, Query
from bus.kit.made_attachments import is_whole
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.reply import HTTP_OK, Reply, reply_with_attachments
from bus.protocols.soap_xroad.names import CONTENT_TYPES
from bus.protocols.soap_xroad.write import SigningTime, write_with_blocks
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.off_loop import off_loop
from bus.runtime.signing_threads import sign_aside
from bus.runtime.telemetry import places_of
from signing.attachments import Attachment
from signing.errors import KeyUnavailableError
from signing.pki.keys import SignerInTime
from signing.wss.sign import AttachmentPart

ANSWERED_AGAIN = "answered-again"
"""Outcome of a copy: the first answer again."""

Made = TypeVar("Made")
_Finished = tuple[Answer, datetime, bytes | Callable[[], bytes]]
"""An answer that may pass, when, and its message: signed, or what has it signed by a device."""

_log = structlog.get_logger()


class AgencyCall(Protocol):
    """The way to one agency's adapter."""

    def place(self) -> AbstractContextManager[None]:
        """Room for one query while it is in work. Raises AgencyBusy, here or when entered."""
        ...

    async def call(self, query: Query, finish: Callable[[Answer], Made]) -> Made:
        """What `finish` makes of the agency's answer, within the query's time.

        It is made where the answer was read, if that is beside the event loop. Raises a BusError.
        """
        ...


@dataclass(frozen=True, slots=True)
class ExchangeDependencies:
    """Everything that exchanges need; put together by bus.hub."""

    recorder: Recorder
    agencies: Mapping[str, AgencyCall]
    """By adapter id."""
    senders: SenderBulkheads
    signers: Mapping[str, SignerInTime] = field(repr=False)
    """Of the answering agencies, by member id."""
    replies: Replies
    decide: Decide
    clock: Callable[[], datetime]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Received:
    """A message that was recorded."""

    accepted: Accepted
    entry: Entry
    claim: Claim


@dataclass(frozen=True, slots=True)
class _Flight:
    """A message in work: copies that arrive meanwhile wait for its reply."""

    digest: bytes
    reply: asyncio.Future[Reply]


class Exchanges:
    """Carries exchanges. Owns the table of messages in work; used from one event loop."""

    def __init__(self, dependencies: ExchangeDependencies) -> None:
        self._dependencies = dependencies
        self._in_flight: dict[bytes, _Flight] = {}

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
        soap_action: str = "",
    ) -> Reply:
        """The reply to a request's bytes. When it returns, its outcome is on disk and synced.

        `soap_version` is what the head said: a request that cannot be read is refused in it.
        `soap_action` is what it said, too: it is handed on, and decides nothing here.
        """
        now = self._dependencies.clock()
        decision = await self._dependencies.decide(raw, now, attachments)
        if isinstance(decision, Refusal):
            refusal = replace(decision, soap_version=soap_version)
            return await self._refuse(raw, refusal, now, attachments)
        if soap_action:
            decision = replace(decision, soap_action=soap_action)
        return await self._take(decision, now)

    async def refuse_unread(
        self,
        error: errors.BusError,
        *,
        raw: bytes = b"",
        attachments: tuple[Attachment, ...] = (),
        soap_version: SoapVersion | None = None,
    ) -> Reply:
        """The reply to a request that was not read as an envelope: method, type, size."""
        refusal = Refusal(error, None, None, soap_version)
        return await self._refuse(raw, refusal, self._dependencies.clock(), attachments)

    async def settle_interrupted(self, key: bytes, received_index: int) -> None:
        """Record that a message of an earlier run was interrupted; its bytes may come again."""
        await self._dependencies.recorder.interrupted(
            key, received_index, self._dependencies.clock()
        )

    # --- refused ---------------------------------------------------------------------------

    async def _refuse(
        self,
        raw: bytes,
        refusal: Refusal,
        now: datetime,
        attachments: tuple[Attachment, ...] = (),
    ) -> Reply:
        dependencies, replies = self._dependencies, self._dependencies.replies
        fault_id = dependencies.new_id()
        attachments = attachments or (refusal.envelope.attachments if refusal.envelope else ())
        error = refusal.error
        _log.info("message.refused", code=error.code, fault_id=fault_id, detail=error.diagnostic)
        try:
            entry = await self._dependencies.recorder.refused(
                refusal, raw, attachments, fault_id, now
            )
        except errors.LogUnavailable as unavailable:
            return await self._unrecorded(unavailable, raw, refusal, now)
        try:
            fault = await self._fault(refusal, raw, fault_id, now, attachments)
        except errors.SigningUnavailable as unavailable:
            return replies.unsigned_reply(unavailable)
        envelope = refusal.envelope

        def receipted() -> bytes:
            digest = envelope.digest if envelope else message_digest(raw, attachments)
            return replies.receipted(fault, entry, entry, digest, now)

        return replies.fault_reply(error, await off_loop(len(raw), receipted))

    async def _unrecorded(
        self, error: errors.LogUnavailable, raw: bytes, refusal: Refusal, now: datetime
    ) -> Reply:
        """The one fault that no entry stands behind: the log itself cannot be written."""
        fault_id = self._dependencies.new_id()
        _log.error("log.unavailable", fault_id=fault_id, detail=error.diagnostic)
        result = Refusal(errors.LogUnavailable(), refusal.envelope, refusal.verified)
        replies = self._dependencies.replies
        try:
            return replies.fault_reply(error, await self._fault(result, raw, fault_id, now))
        except errors.SigningUnavailable as unavailable:
            return replies.unsigned_reply(unavailable)

    async def _fault(
        self,
        refusal: Refusal,
        raw: bytes,
        fault_id: str,
        time: datetime,
        attachments: tuple[Attachment, ...] = (),
    ) -> bytes:
        """A signed fault. Raises SigningUnavailable."""
        replies = self._dependencies.replies
        signer = replies.hub_signer.at(time)

        def write() -> bytes:
            return replies.fault(refusal, raw, fault_id, time, attachments=attachments)

        if signer.waits:
            return await _signed_aside(write)
        return await off_loop(len(raw), partial(_signed_here, write))

    # --- taken ---------------------------------------------------------------------------

    async def _take(self, accepted: Accepted, now: datetime) -> Reply:
        verified = accepted.message.valid.authorised.verified
        envelope = verified.envelope
        try:
            # The member was proved: a stranger cannot use up the room of somebody else.
            with self._dependencies.senders.of(envelope.client.member):
                return await self._take_once(accepted, now)
        except (errors.SenderBusy, errors.AgencyBusy) as error:
            # Before anything was received: the same bytes may come again.
            return await self._refuse(envelope.raw, Refusal(error, envelope, verified), now)

    async def _take_once(self, accepted: Accepted, now: datetime) -> Reply:
        message = accepted.message
        envelope = message.valid.authorised.verified.envelope
        claim = self._dependencies.recorder.claim_of(envelope)
        flight = self._in_flight.get(claim.key)
        if flight is not None and flight.digest != envelope.digest:
            return await self._refuse_conflict(message, now)
        if flight is not None:
            return await asyncio.shield(flight.reply)
        with self._dependencies.agencies[message.adapter].place():
            return await self._take_first(accepted, claim, now)

    async def _take_first(self, accepted: Accepted, claim: Claim, now: datetime) -> Reply:
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._in_flight[claim.key] = _Flight(claim.digest, reply)
        try:
            result = await self._carry_or_refuse(accepted, claim, now)
            reply.set_result(result)
        finally:
            reply.cancel()  # does nothing to a reply that is set
            del self._in_flight[claim.key]
        return result

    async def _carry_or_refuse(self, accepted: Accepted, claim: Claim, now: datetime) -> Reply:
        try:
            return await self._carry(accepted, claim, now)
        except Exception as error:  # a mistake of ours: what was received stays open in the log
            _log.error("exchange.broken", error=type(error).__name__, places=places_of(error))
            verified = accepted.message.valid.authorised.verified
            internal = errors.HubInternal(type(error).__name__)
            refusal = Refusal(internal, verified.envelope, verified)
            return await self._refuse(verified.envelope.raw, refusal, now)

    async def _carry(self, accepted: Accepted, claim: Claim, now: datetime) -> Reply:
        message = accepted.message
        verified = message.valid.authorised.verified
        try:
            taken = await self._record_received(accepted, claim, now)
            if isinstance(taken, AlreadyTaken) and _is_left_open(taken):
                # Its outcome could not be written when it came: say so now, then take it anew.
                await self.settle_interrupted(claim.key, taken.received_index)
                taken = await self._record_received(accepted, claim, now)
            if isinstance(taken, _Received):
                return await self._deliver(taken)
            if taken.is_same_digest:
                return await self._answer_again(message, taken, now)
        except errors.LogUnavailable as error:
            refusal = Refusal(error, verified.envelope, verified)
            return await self._unrecorded(error, verified.envelope.raw, refusal, now)
        except errors.LogCorrupt as error:
            refusal = Refusal(error, verified.envelope, verified)
            return await self._refuse(verified.envelope.raw, refusal, now)
        return await self._refuse_conflict(message, now)

    async def _record_received(
        self, accepted: Accepted, claim: Claim, now: datetime
    ) -> _Received | AlreadyTaken:
        result = await self._dependencies.recorder.received(accepted.message, claim, now)
        return result if isinstance(result, AlreadyTaken) else _Received(accepted, result, claim)

    async def _deliver(self, received: _Received) -> Reply:
        # If we stop from here on, the next start records the outcome as interrupted, and the
        # sender may send the same bytes again under the same idempotency key.
        try:
            answer, time, made = await self._ask_agency(received.accepted)
            body = made if isinstance(made, bytes) else await _signed_aside(made)
        except errors.BusError as error:
            return await self._settle_failed(received, error)
        except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
            _log.error("delivery.broken", error=type(error).__name__, places=places_of(error))
            return await self._settle_failed(received, errors.HubInternal(type(error).__name__))
        version = received.accepted.message.valid.authorised.verified.envelope.soap_version
        whole = await self._settle(received, Outcome(body, answer.attachments), time)
        reply = Reply(HTTP_OK, whole, content_type=CONTENT_TYPES[version])
        return await off_loop(
            len(whole), partial(reply_with_attachments, reply, answer.attachments)
        )

    def _finish(self, accepted: Accepted, answer: Answer) -> _Finished:
        """The answer as it is told, where it may pass: on the thread that read it.

        Raises AnswerInvalid, AdapterBroken, SigningUnavailable.
        """
        authorised = accepted.message.valid.authorised
        content = validate_answer(answer.element, accepted.message.valid, answer.attachments)
        time = self._dependencies.clock()
        signer = self._dependencies.signers[str(authorised.service.id.provider.member)].at(time)
        parts = signed_parts(answer) if answer.attachments else ()

        def write() -> bytes:
            return write_with_blocks(
                accepted.answer_blocks,
                content,
                signer,
                SigningTime(time),
                soap_version=authorised.verified.envelope.soap_version,
                attachments=parts,
            )

        # A device has threads and a time of its own.
        return answer, time, write if signer.waits else _signed_here(write)

    async def _ask_agency(self, accepted: Accepted) -> _Finished:
        message = accepted.message
        authorised = message.valid.authorised
        envelope = authorised.verified.envelope
        query = Query(
            service=authorised.service.id,
            client=envelope.client,
            message_id=envelope.message_id,
            idempotency_key=message.idempotency_key,
            user_id=envelope.user_id,
            issue=envelope.issue,
            purpose=authorised.grant.purpose,
            payload=accepted.payload,
            timeout_seconds=message.timeout_seconds,
            attachments=authorised.verified.attachments,
            header_blocks=accepted.answer_blocks.canonical,
            soap_action=accepted.soap_action,
        )
        finish = partial(self._finish, accepted)
        return await self._dependencies.agencies[message.adapter].call(query, finish)

    async def _settle_failed(self, received: _Received, error: errors.BusError) -> Reply:
        time, fault_id = self._dependencies.clock(), self._dependencies.new_id()
        result = {"code": error.code, "fault_id": fault_id, "detail": error.diagnostic}
        adapter = received.accepted.message.adapter
        # What is ours to repair, such as an account that an agency took back, is not for info.
        if error.blame is errors.Blame.HUB:
            _log.warning("delivery.failed", adapter=adapter, **result)
        else:
            _log.info("delivery.failed", adapter=adapter, **result)
        verified = received.accepted.message.valid.authorised.verified
        refusal = Refusal(error, verified.envelope, verified)
        replies = self._dependencies.replies
        try:
            body = await self._fault(refusal, verified.envelope.raw, fault_id, time)
        except errors.SigningUnavailable as unavailable:
            # Nothing can be told under a signature, so nothing is: the same bytes may come again.
            await self.settle_interrupted(received.claim.key, received.entry.index)
            return replies.unsigned_reply(unavailable)
        outcome = Outcome(body, error=error, fault_id=fault_id)
        whole = await self._settle(received, outcome, time)
        return replies.fault_reply(error, whole)

    async def _settle(self, received: _Received, result: Outcome, time: datetime) -> bytes:
        """Record what came of a message; give what is told, with the receipt."""
        claim, message = received.claim, received.accepted.message
        outcome = await self._dependencies.recorder.outcome(
            message, received.entry, claim, result, time
        )
        receipted = partial(
            self._dependencies.replies.receipted,
            result.body,
            received.entry,
            outcome,
            claim.digest,
            time,
            attachments=result.attachments,
        )
        return await off_loop(len(result.body), receipted)

    # --- taken before ----------------------------------------------------------------------

    async def _refuse_conflict(self, message: RoutedMessage, now: datetime) -> Reply:
        verified = message.valid.authorised.verified
        refusal = Refusal(errors.MessageIdConflict(), verified.envelope, verified)
        return await self._refuse(verified.envelope.raw, refusal, now)

    async def _answer_again(
        self, message: RoutedMessage, taken: AlreadyTaken, now: datetime
    ) -> Reply:
        """A copy of an answered message gets the first answer and the first receipt."""
        first = await self._dependencies.recorder.answered_again(message, taken, now)
        envelope = message.valid.authorised.verified.envelope
        replies = self._dependencies.replies
        receipted = partial(
            replies.receipted,
            first.body,
            first.received,
            first.outcome,
            envelope.digest,
            first.facts.time,
            attachments=first.attachments,
        )
        whole = await off_loop(len(first.body), receipted)
        is_delivered = first.facts.verdict == DELIVERED
        status = HTTP_OK if is_delivered else replies.style.http_status
        content_type = CONTENT_TYPES[envelope.soap_version]
        reply = Reply(status, whole, content_type=content_type, outcome=ANSWERED_AGAIN)
        return await off_loop(len(whole), partial(reply_with_attachments, reply, first.attachments))


async def _signed_aside(write: Callable[[], bytes]) -> bytes:
    """What `write` writes and has signed by a device. Raises SigningUnavailable."""
    try:
        return await sign_aside(write)
    except KeyUnavailableError as error:
        raise _unavailable(error) from error


def _signed_here(write: Callable[[], bytes]) -> bytes:
    """What `write` writes and signs. Raises SigningUnavailable."""
    try:
        return write()
    except KeyUnavailableError as error:
        raise _unavailable(error) from error


def _unavailable(error: KeyUnavailableError) -> errors.SigningUnavailable:
    _log.error("signing.unavailable", detail=str(error))
    return errors.SigningUnavailable(str(error))


def signed_parts(answer: Answer) -> tuple[AttachmentPart, ...]:
    """What is signed of an answer's attachments, which are read.

    Raises AdapterBroken: one is not what it says.
    """
    # What is signed, recorded and sent must be one and the same content.
    if not all(is_whole(one) for one in answer.attachments):
        raise errors.AdapterBroken("the content of an attachment is not what it says")
    return tuple(signed_part(one, covers_comments=False) for one in answer.attachments)


def _is_left_open(taken: AlreadyTaken) -> bool:
    return taken.is_same_digest and taken.state is InboxState.OPEN
