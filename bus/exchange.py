"""Carry one exchange through: judge, record, deliver, record, answer.

The order is the promise. What is judged to pass is on disk before a byte leaves for the agency;
what came of it is on disk before the sender is told. Every refusal is an entry, too.
"""

from __future__ import annotations

import asyncio
import hashlib
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import structlog
from lxml import etree

from bus.core import errors
from bus.core.exchange_entries import (
    DELIVERED,
    Entry,
    SealedFacts,
    answered_again_leaf,
    interrupted_leaf,
    outcome_leaf,
    received_leaf,
    refused_leaf,
)
from bus.core.log_entries import Pseudonyms, read_leaf
from bus.core.pipeline import Refusal, Rules
from bus.core.ports import (
    AlreadyTaken,
    Appended,
    Claim,
    InboxState,
    LogWrite,
    MessageLog,
    PayloadSealer,
    Settlement,
)
from bus.core.routing import RoutedMessage
from bus.core.validation import validate_answer
from bus.kit.contract import Query
from bus.protocols.soap_xroad.judging import Decision, Judged
from bus.protocols.soap_xroad.write import SigningTime, write_with_blocks
from bus.telling import HTTP_OK, Reply, Telling
from signing.keys import Signer

REFUSED_PAYLOAD_BYTES_MAX = 64 * 1024
"""Of a sender that was not proved, at most this much is kept as evidence."""

_log = structlog.get_logger()


Judge = Callable[[bytes, datetime], Awaitable[Decision]]
"""Takes a request through every stage before delivery, here or in a process beside."""


class AgencyCall(Protocol):
    """The way to one agency's adapter."""

    async def call(self, query: Query) -> etree._Element:
        """The agency's answer within the query's time. Raises a BusError."""
        ...


@dataclass(frozen=True, slots=True)
class Equipment:
    """Everything that exchanges need; put together by bus.hub."""

    rules: Rules
    log: MessageLog
    sealer: PayloadSealer
    pseudonyms: Pseudonyms
    agencies: Mapping[str, AgencyCall]
    """By adapter id."""
    signers: Mapping[str, Signer] = field(repr=False)
    """Of the answering agencies, by member id."""
    telling: Telling
    judge: Judge
    clock: Callable[[], datetime]
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class _Received:
    """A message that was recorded."""

    judged: Judged
    entry: Entry
    claim: Claim


@dataclass(frozen=True, slots=True)
class _Flight:
    """A message in work: copies that arrive meanwhile wait for its reply."""

    digest: bytes
    reply: asyncio.Future[Reply]


class Exchanges:
    """Carries exchanges. Owns the table of messages in work; used from one event loop."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._in_flight: dict[bytes, _Flight] = {}

    async def answer(self, raw: bytes) -> Reply:
        """The reply to a request's bytes. When it returns, its outcome is on disk and synced."""
        now = self._equipment.clock()
        decision = await self._equipment.judge(raw, now)
        if isinstance(decision, Refusal):
            return await self._refuse(raw, decision, now)
        return await self._take(decision, now)

    async def refuse_unread(self, error: errors.BusError, *, raw: bytes = b"") -> Reply:
        """The reply to a request that was not read as an envelope: method, type, size."""
        return await self._refuse(raw, Refusal(error, None, None), self._equipment.clock())

    async def settle_interrupted(self, key: bytes, received_index: int) -> None:
        """Record that a message of an earlier run was interrupted; its bytes may come again."""
        leaf = interrupted_leaf(received_index, self._equipment.clock())
        settlement = Settlement(key, InboxState.RETRYABLE)
        await self._equipment.log.append(LogWrite(leaf, settlement=settlement))

    # --- refused ---------------------------------------------------------------------------

    async def _refuse(self, raw: bytes, refusal: Refusal, now: datetime) -> Reply:
        equipment, telling = self._equipment, self._equipment.telling
        fault_id = equipment.new_id()
        is_kept = refusal.verified is not None or len(raw) <= REFUSED_PAYLOAD_BYTES_MAX
        payload = self._seal(raw) if raw and is_kept else None
        leaf = refused_leaf(
            refusal,
            len(raw),
            payload,
            equipment.pseudonyms,
            equipment.rules.digest,
            fault_id,
            now,
        )
        error = refusal.error
        _log.info("message.refused", code=error.code, fault_id=fault_id, detail=error.detail)
        try:
            appended = await self._append(LogWrite(leaf, payload.sealed if payload else None))
        except errors.LogUnavailable as unavailable:
            return self._unrecorded(unavailable, raw, refusal, now)
        fault = telling.fault(refusal, raw, fault_id, now)
        entry = Entry(leaf, appended.index)
        digest = refusal.envelope.digest if refusal.envelope else sha256(raw)
        return telling.fault_reply(error, telling.receipted(fault, entry, entry, digest, now))

    def _unrecorded(
        self, error: errors.LogUnavailable, raw: bytes, refusal: Refusal, now: datetime
    ) -> Reply:
        """The one fault that no entry stands behind: the log itself cannot be written."""
        fault_id = self._equipment.new_id()
        _log.error("log.unavailable", fault_id=fault_id, detail=error.detail)
        told = Refusal(errors.LogUnavailable(), refusal.envelope, refusal.verified)
        telling = self._equipment.telling
        return telling.fault_reply(error, telling.fault(told, raw, fault_id, now))

    # --- taken ---------------------------------------------------------------------------

    async def _take(self, judged: Judged, now: datetime) -> Reply:
        message = judged.message
        envelope = message.valid.authorised.verified.envelope
        key = self._equipment.pseudonyms.claim_key(str(envelope.client), envelope.message_id)
        flight = self._in_flight.get(key)
        if flight is not None and flight.digest != envelope.digest:
            return await self._refuse_conflict(message, now)
        if flight is not None:
            return await asyncio.shield(flight.reply)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = _Flight(envelope.digest, reply)
        try:
            result = await self._carry_or_tell(judged, Claim(key, envelope.digest), now)
            reply.set_result(result)
        finally:
            reply.cancel()  # does nothing to a reply that is set
            del self._in_flight[key]
        return result

    async def _carry_or_tell(self, judged: Judged, claim: Claim, now: datetime) -> Reply:
        try:
            return await self._carry(judged, claim, now)
        except Exception as error:  # a mistake of ours: what was received stays open in the log
            _log.error("exchange.broken", error=type(error).__name__, places=_places(error))
            verified = judged.message.valid.authorised.verified
            internal = errors.HubInternal(type(error).__name__)
            refusal = Refusal(internal, verified.envelope, verified)
            return await self._refuse(verified.envelope.raw, refusal, now)

    async def _carry(self, judged: Judged, claim: Claim, now: datetime) -> Reply:
        message = judged.message
        verified = message.valid.authorised.verified
        try:
            taken = await self._record_received(judged, claim, now)
            if isinstance(taken, AlreadyTaken) and _is_left_open(taken):
                # Its outcome could not be written when it came: say so now, then take it anew.
                await self.settle_interrupted(claim.key, taken.received_index)
                taken = await self._record_received(judged, claim, now)
            if isinstance(taken, _Received):
                return await self._deliver(taken)
            if taken.is_same_digest:
                return await self._answer_again(message, taken, now)
        except errors.LogUnavailable as error:
            refusal = Refusal(error, verified.envelope, verified)
            return self._unrecorded(error, verified.envelope.raw, refusal, now)
        except errors.LogCorrupt as error:
            refusal = Refusal(error, verified.envelope, verified)
            return await self._refuse(verified.envelope.raw, refusal, now)
        return await self._refuse_conflict(message, now)

    async def _record_received(
        self, judged: Judged, claim: Claim, now: datetime
    ) -> _Received | AlreadyTaken:
        equipment, message = self._equipment, judged.message
        payload = self._seal(message.valid.authorised.verified.envelope.raw)
        leaf = received_leaf(message, payload, equipment.pseudonyms, equipment.rules.digest, now)
        result = await equipment.log.append(LogWrite(leaf, payload.sealed, claim=claim))
        if isinstance(result, AlreadyTaken):
            return result
        return _Received(judged, Entry(leaf, result.index), claim)

    async def _deliver(self, received: _Received) -> Reply:
        # If we stop from here on, the next start records the outcome as interrupted, and the
        # sender may send the same bytes again under the same idempotency key.
        try:
            answer = await self._ask_agency(received.judged)
            time = self._equipment.clock()
            body = self._signed_answer(received.judged, answer, time)
        except errors.BusError as error:
            return await self._settle_failed(received, error)
        except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
            _log.error("delivery.broken", error=type(error).__name__, places=_places(error))
            return await self._settle_failed(received, errors.HubInternal(type(error).__name__))
        return Reply(HTTP_OK, await self._settle(received, body, time))

    def _signed_answer(self, judged: Judged, answer: etree._Element, time: datetime) -> bytes:
        authorised = judged.message.valid.authorised
        signer = self._equipment.signers[str(authorised.service.id.provider.member)]
        return write_with_blocks(
            judged.answer_blocks,
            answer,
            signer,
            SigningTime(time),
            soap_version=authorised.verified.envelope.soap_version,
        )

    async def _ask_agency(self, judged: Judged) -> etree._Element:
        message = judged.message
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
            payload=judged.payload,
            timeout_seconds=message.timeout_seconds,
        )
        answer = await self._equipment.agencies[message.adapter].call(query)
        validate_answer(answer, message.valid)
        return answer

    async def _settle_failed(self, received: _Received, error: errors.BusError) -> Reply:
        time, fault_id = self._equipment.clock(), self._equipment.new_id()
        _log.info("delivery.failed", code=error.code, fault_id=fault_id, detail=error.detail)
        verified = received.judged.message.valid.authorised.verified
        refusal = Refusal(error, verified.envelope, verified)
        telling = self._equipment.telling
        body = telling.fault(refusal, verified.envelope.raw, fault_id, time)
        whole = await self._settle(received, body, time, error=error, fault_id=fault_id)
        return telling.fault_reply(error, whole)

    async def _settle(
        self,
        received: _Received,
        body: bytes,
        time: datetime,
        *,
        error: errors.BusError | None = None,
        fault_id: str | None = None,
    ) -> bytes:
        """Record what came of a message; give what is told, with the receipt."""
        is_final = error is None or error.recovery is errors.Recovery.NEVER
        state = InboxState.ANSWERED if is_final else InboxState.RETRYABLE
        payload = self._seal(body)
        index = received.entry.index
        leaf = outcome_leaf(received.judged.message, index, payload, error, fault_id, time)
        settlement = Settlement(received.claim.key, state)
        appended = await self._append(LogWrite(leaf, payload.sealed, settlement=settlement))
        return self._equipment.telling.receipted(
            body, received.entry, Entry(leaf, appended.index), received.claim.digest, time
        )

    # --- taken before ----------------------------------------------------------------------

    async def _refuse_conflict(self, message: RoutedMessage, now: datetime) -> Reply:
        verified = message.valid.authorised.verified
        refusal = Refusal(errors.MessageIdConflict(), verified.envelope, verified)
        return await self._refuse(verified.envelope.raw, refusal, now)

    async def _answer_again(
        self, message: RoutedMessage, taken: AlreadyTaken, now: datetime
    ) -> Reply:
        """A copy of an answered message gets the first answer and the first receipt."""
        equipment = self._equipment
        assert taken.outcome_index is not None
        received = await equipment.log.read(taken.received_index)
        outcome = await equipment.log.read(taken.outcome_index)
        assert outcome.sealed is not None
        leaf = answered_again_leaf(message, taken.received_index, equipment.rules.digest, now)
        await self._append(LogWrite(leaf))
        _, body = equipment.sealer.open_sealed(outcome.sealed)
        facts = read_leaf(outcome.leaf)
        whole = equipment.telling.receipted(
            body,
            Entry(received.leaf, received.index),
            Entry(outcome.leaf, outcome.index),
            message.valid.authorised.verified.envelope.digest,
            facts.time,
        )
        is_delivered = facts.verdict == DELIVERED
        return Reply(HTTP_OK if is_delivered else equipment.telling.style.http_status, whole)

    # --- the log ---------------------------------------------------------------------------

    def _seal(self, raw: bytes) -> SealedFacts:
        return SealedFacts(*self._equipment.sealer.seal(raw), raw_bytes=len(raw))

    async def _append(self, write: LogWrite) -> Appended:
        appended = await self._equipment.log.append(write)
        assert isinstance(appended, Appended)  # only a claim can have been taken already
        return appended


def sha256(raw: bytes) -> bytes:
    """The digest by which receipts and faults name a request."""
    return hashlib.sha256(raw).digest()


def _is_left_open(taken: AlreadyTaken) -> bool:
    return taken.is_same_digest and taken.state is InboxState.OPEN


def report_broken(error: Exception) -> None:
    """Tell the operator of a mistake of ours, without the message that met it."""
    _log.error("message.broken", error=type(error).__name__, places=_places(error))


def _places(error: BaseException) -> list[str]:
    """Where an error arose; its text may hold the payload and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno}" for frame in frames[-4:]]
