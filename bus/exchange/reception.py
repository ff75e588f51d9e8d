"""Take messages that may pass, each once, and refuse the others: queries and submissions.

A message is taken under its sender's id: a copy that comes meanwhile waits for the reply of the
first, one that comes later gets the first answer again, and other bytes under the same id are
refused. Every refusal is an entry.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from bus.core import errors
from bus.core.decision import Accepted, Refused
from bus.core.exchange_leaves import DELIVERED, Entry
from bus.core.ports.message_log import AlreadyTaken, Claim, InboxState
from bus.exchange.messages import IncomingRequest, Outcome
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies, ReplyFacts
from bus.protocols.reply import Reply
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.rates import MemberRates
from bus.runtime.telemetry import places_of
from signing.quick_init import quick_init

LOOK_SECONDS = 0.2
"""Between two looks at what another hub makes of a message."""
ELSEWHERE_SECONDS = 5.0
"""So much longer than its service may take, a message may be in work at another hub."""

_log = structlog.get_logger()


@quick_init
@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A message that was recorded; its outcome is still to come."""

    request: IncomingRequest
    accepted: Accepted
    entry: Entry
    claim: Claim

    def refused(self, error: errors.BusError) -> Refused:
        """Why it comes to nothing."""
        return Refused(error, self.accepted.facts, self.accepted.proof)

    def reply_facts(self, outcome: Entry) -> ReplyFacts:
        """What stands behind the reply that tells this outcome."""
        return ReplyFacts(self.entry, outcome, self.claim.digest, self.accepted.facts.version)


class Way(Protocol):
    """What is done with messages of one mode that may pass."""

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """Room for a message where it goes to. Raises AgencyBusy, here or when entered."""
        ...

    async def record(
        self, accepted: Accepted, request: IncomingRequest, claim: Claim
    ) -> Entry | AlreadyTaken:
        """Record a message, once. Raises HubFull: nothing was written; LogUnavailable."""
        ...

    async def carry_on(self, taken: TakenMessage) -> Reply:
        """The reply to a message that was recorded. Raises LogUnavailable."""
        ...


AcceptedAgain = Callable[[Accepted, AlreadyTaken, IncomingRequest], Awaitable[Reply]]
"""The reply to a copy of a submission. Raises LogUnavailable, LogCorrupt."""


@quick_init
@dataclass(frozen=True, slots=True)
class _Flight:
    """A message in work: copies that arrive meanwhile wait for its reply."""

    digest: bytes
    reply: asyncio.Future[Reply]


class Reception:
    """Takes and refuses. Owns the table of messages in work; used from one event loop."""

    def __init__(
        self,
        recorder: Recorder,
        replies: Replies,
        senders: SenderBulkheads,
        rates: MemberRates,
        accepted_again: AcceptedAgain,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._recorder = recorder
        self._replies = replies
        self._senders = senders
        self._rates = rates
        self._accepted_again = accepted_again
        self._clock = clock
        self._new_id = new_id
        self._in_flight: dict[bytes, _Flight] = {}

    # --- refused ---------------------------------------------------------------------------

    async def refuse(self, request: IncomingRequest, refused: Refused) -> Reply:
        """The reply to a request that may not pass. When it returns, that is on disk."""
        error, fault_id = refused.error, self._new_id()
        _log.info("message.refused", code=error.code, fault_id=fault_id, detail=error.diagnostic)
        try:
            entry = await self._recorder.refused(refused, request, fault_id)
        except errors.LogUnavailable as unavailable:
            return await self._unrecorded(request, refused, unavailable)
        return await self._replies.refusal(refused, request, entry, fault_id)

    async def _unrecorded(
        self, request: IncomingRequest, refused: Refused, error: errors.LogUnavailable
    ) -> Reply:
        fault_id = self._new_id()
        _log.error("log.unavailable", fault_id=fault_id, detail=error.diagnostic)
        return await self._replies.unrecorded(error, refused, request, fault_id)

    # --- taken -----------------------------------------------------------------------------

    async def take(self, request: IncomingRequest, accepted: Accepted, way: Way) -> Reply:
        """The reply to a message that may pass, by the way of its mode."""
        try:
            # The member was proved: a stranger cannot use up the room of somebody else.
            member = accepted.facts.client.member
            with self._senders.of(member):
                self._rates.take(member)
                return await self._take_once(request, accepted, way)
        except (errors.SenderBusy, errors.RateLimited, errors.AgencyBusy) as error:
            # Before anything was received: the same bytes may come again.
            return await self._refuse_accepted(request, accepted, error)

    async def _take_once(self, request: IncomingRequest, accepted: Accepted, way: Way) -> Reply:
        claim = self._recorder.claim_of(accepted.facts)
        flight = self._in_flight.get(claim.key)
        if flight is not None and flight.digest != claim.digest:
            return await self._refuse_accepted(request, accepted, errors.MessageIdConflict())
        if flight is not None:
            return await asyncio.shield(flight.reply)
        with way.room(accepted):
            return await self._take_first(request, accepted, claim, way)

    async def _take_first(
        self, request: IncomingRequest, accepted: Accepted, claim: Claim, way: Way
    ) -> Reply:
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._in_flight[claim.key] = _Flight(claim.digest, reply)
        try:
            result = await self._carry_or_refuse(request, accepted, claim, way)
            reply.set_result(result)
        finally:
            reply.cancel()  # does nothing to a reply that is set
            del self._in_flight[claim.key]
        return result

    async def _carry_or_refuse(
        self, request: IncomingRequest, accepted: Accepted, claim: Claim, way: Way
    ) -> Reply:
        try:
            return await self._carry(request, accepted, claim, way)
        except errors.LogUnavailable as error:
            refused = Refused(error, accepted.facts, accepted.proof)
            return await self._unrecorded(request, refused, error)
        except (errors.LogCorrupt, errors.HubFull) as error:
            return await self._refuse_accepted(request, accepted, error)
        except Exception as error:  # a mistake of ours: what was received stays open in the log
            _log.error("exchange.broken", error=type(error).__name__, places=places_of(error))
            internal = errors.HubInternal(type(error).__name__)
            return await self._refuse_accepted(request, accepted, internal)

    async def _carry(
        self, request: IncomingRequest, accepted: Accepted, claim: Claim, way: Way
    ) -> Reply:
        result = await way.record(accepted, request, claim)
        if isinstance(result, AlreadyTaken) and self._is_in_work_elsewhere(result):
            result = await self._settled_elsewhere(request, accepted, claim, way, result)
        if isinstance(result, AlreadyTaken) and self._is_for_another_hub(result):
            return await self._refuse_accepted(request, accepted, errors.MessageInFlight())
        if isinstance(result, AlreadyTaken) and _is_left_open(result):
            # Its outcome could not be written when it came: say so now, then take it anew.
            await self.settle_interrupted(claim.key, result.received_index)
            result = await way.record(accepted, request, claim)
        if isinstance(result, Entry):
            return await way.carry_on(TakenMessage(request, accepted, result, claim))
        if result.is_same_digest and result.state is InboxState.ACCEPTED:
            return await self._accepted_again(accepted, result, request)
        if result.is_same_digest:
            return await self._answer_again(accepted, result, request.time)
        return await self._refuse_accepted(request, accepted, errors.MessageIdConflict())

    async def _settled_elsewhere(
        self,
        request: IncomingRequest,
        accepted: Accepted,
        claim: Claim,
        way: Way,
        taken: AlreadyTaken,
    ) -> Entry | AlreadyTaken:
        """What another hub makes of the same message, as soon as it is recorded; still in work:
        that takes longer than the service may. What it gives up is taken here."""
        result: Entry | AlreadyTaken = taken
        until = time.monotonic() + accepted.timeout_seconds + ELSEWHERE_SECONDS
        while isinstance(result, AlreadyTaken) and self._is_in_work_elsewhere(result):
            if time.monotonic() >= until:
                break
            await asyncio.sleep(LOOK_SECONDS)
            met = await self._recorder.claimed(claim)
            result = met if met is not None else await way.record(accepted, request, claim)
        return result

    def _is_in_work_elsewhere(self, taken: AlreadyTaken) -> bool:
        """Another hub has it in work, and we may tell what comes of it."""
        return (
            taken.origin is not None
            and _is_left_open(taken)
            and self._replies.speaks_for(taken.origin)
        )

    def _is_for_another_hub(self, taken: AlreadyTaken) -> bool:
        """Another hub has it in work, or has answered it, and we may not speak for that one."""
        if taken.origin is None or not taken.is_same_digest:
            return False
        return taken.state is InboxState.OPEN or not self._replies.speaks_for(taken.origin)

    async def _refuse_accepted(
        self, request: IncomingRequest, accepted: Accepted, error: errors.BusError
    ) -> Reply:
        return await self.refuse(request, Refused(error, accepted.facts, accepted.proof))

    async def _answer_again(self, accepted: Accepted, taken: AlreadyTaken, now: datetime) -> Reply:
        """A copy of an answered message gets the first answer and the first receipt."""
        first = await self._recorder.answered_again(accepted, taken, now)
        outcome = Outcome(first.body, first.facts.time, first.attachments)
        facts = accepted.facts
        behind = ReplyFacts(
            first.received, first.outcome, facts.digest, facts.version, taken.origin
        )
        is_delivered = first.facts.verdict == DELIVERED
        return await self._replies.again(outcome, behind, is_delivered=is_delivered)

    async def settle_interrupted(self, key: bytes, received_index: int) -> None:
        """Record that a message was interrupted; its bytes may come again."""
        await self._recorder.interrupted(key, received_index, self._clock())


def _is_left_open(taken: AlreadyTaken) -> bool:
    return taken.is_same_digest and taken.state is InboxState.OPEN
