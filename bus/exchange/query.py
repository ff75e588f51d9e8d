"""Carry one query through: decide, record, deliver, record, answer.

The order is the promise. What is judged to pass is on disk before a byte leaves for the agency;
what came of it is on disk before the sender is facts. Every refusal is an entry, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from bus.core import errors
from bus.core.decision import Decide, Refused
from bus.exchange.answering import Answering
from bus.exchange.messages import IncomingRequest, Outcome
from bus.exchange.reception import Reception, TakenMessage
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.protocols.reply import Reply
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.telemetry import places_of
from signing.attachments import Attachment

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExchangeDependencies:
    """Everything that exchanges need; put together by bus.hub."""

    decide: Decide
    recorder: Recorder
    senders: SenderBulkheads
    answering: Answering
    replies: Replies
    clock: Callable[[], datetime]
    new_id: Callable[[], str]


class Exchanges:
    """Carries exchanges; used from one event loop."""

    def __init__(self, dependencies: ExchangeDependencies) -> None:
        self._decide = dependencies.decide
        self._recorder = dependencies.recorder
        self._answering = dependencies.answering
        self._replies = dependencies.replies
        self._clock = dependencies.clock
        self._new_id = dependencies.new_id
        self._reception = Reception(
            dependencies.recorder,
            dependencies.replies,
            dependencies.senders,
            dependencies.clock,
            dependencies.new_id,
        )

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        version: str | None = None,
        action: str = "",
    ) -> Reply:
        """The reply to a request's bytes. When it returns, its outcome is on disk and synced.

        `version` is what the head said: a request that cannot be read is refused in it.
        `action` is what it said, too: it is handed on, and decides nothing here.
        """
        request = IncomingRequest(raw, attachments, self._clock(), version)
        decision = await self._decide(raw, request.time, attachments)
        if isinstance(decision, Refused):
            return await self._reception.refuse(request, decision)
        accepted = decision.with_action(action)
        room = partial(self._answering.room, accepted)
        return await self._reception.take(request, accepted, room, self._deliver)

    async def refuse_unread(
        self,
        error: errors.BusError,
        *,
        raw: bytes = b"",
        attachments: tuple[Attachment, ...] = (),
        version: str | None = None,
    ) -> Reply:
        """The reply to a request that was not read as an envelope: method, type, size."""
        request = IncomingRequest(raw, attachments, self._clock(), version)
        return await self._reception.refuse(request, Refused(error))

    async def settle_interrupted(self, key: bytes, received_index: int) -> None:
        """Record that a message of an earlier run was interrupted; its bytes may come again."""
        await self._reception.settle_interrupted(key, received_index)

    async def _deliver(self, taken: TakenMessage) -> Reply:
        # If we stop from here on, the next start records the outcome as interrupted, and the
        # sender may send the same bytes again under the same idempotency key.
        try:
            outcome = await self._answering.ask(taken.accepted, taken.request)
        except errors.BusError as error:
            return await self._fail(taken, error)
        except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
            _log.error("delivery.broken", error=type(error).__name__, places=places_of(error))
            return await self._fail(taken, errors.HubInternal(type(error).__name__))
        return await self._settle(taken, outcome)

    async def _fail(self, taken: TakenMessage, error: errors.BusError) -> Reply:
        time, fault_id = self._clock(), self._new_id()
        _log_failure(error, fault_id, taken.accepted.adapter)
        refused = taken.refused(error)
        try:
            outcome = await self._replies.failure(refused, taken.request, fault_id, time)
        except errors.SigningUnavailable as unavailable:
            # Nothing can be told under a signature, so nothing is: the same bytes may come again.
            await self.settle_interrupted(taken.claim.key, taken.entry.index)
            return self._replies.unsigned(unavailable)
        return await self._settle(taken, outcome)

    async def _settle(self, taken: TakenMessage, outcome: Outcome) -> Reply:
        """Record what came of a message; give the reply that tells it, with the receipt."""
        entry = await self._recorder.outcome(taken.accepted, taken.entry, taken.claim, outcome)
        return await self._replies.outcome(outcome, taken.reply_facts(entry))


def _log_failure(error: errors.BusError, fault_id: str, adapter: str) -> None:
    result = {"code": error.code, "fault_id": fault_id, "detail": error.diagnostic}
    # What is ours to repair, such as an account that an agency took back, is not for info.
    if error.blame is errors.Blame.HUB:
        _log.warning("delivery.failed", adapter=adapter, **result)
    else:
        _log.info("delivery.failed", adapter=adapter, **result)
