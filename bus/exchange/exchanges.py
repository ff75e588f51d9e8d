"""Carry exchanges through: decide, record, deliver, record, answer; or accept, and deliver later.

The order is the promise. What is judged to pass is on disk before a byte leaves for the agency;
what came of it is on disk before the sender is told. Every refusal is an entry, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bus.core import errors
from bus.core.decision import Accepted, Decide, Refused
from bus.core.mailbox_services import MAILBOX_ADAPTER
from bus.core.registry import Mode
from bus.exchange.answering import Answering, Asking, OwnAnswering, OwnService
from bus.exchange.messages import IncomingRequest
from bus.exchange.outcomes import Outcomes
from bus.exchange.query import Queries
from bus.exchange.reception import Reception
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.exchange.submission import Submissions
from bus.protocols.reply import Reply
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.rates import MemberRates
from signing.attachments import Attachment


@dataclass(frozen=True, slots=True)
class ExchangeDependencies:
    """Everything that exchanges need; put together by bus.hub_parts."""

    decide: Decide
    recorder: Recorder
    senders: SenderBulkheads
    rates: MemberRates
    answering: Answering
    mailboxes: OwnService
    """Answers what is asked of mailboxes."""
    replies: Replies
    submissions: Submissions
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
        self._queries = _queries(dependencies, dependencies.answering)
        self._mailboxes = _queries(dependencies, OwnAnswering(dependencies.mailboxes))
        self._submissions = dependencies.submissions
        self._reception = Reception(
            dependencies.recorder,
            dependencies.replies,
            dependencies.senders,
            dependencies.rates,
            dependencies.submissions.again,
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
        return await self._reception.take(request, accepted, self._way(accepted))

    def _way(self, accepted: Accepted) -> Queries | Submissions:
        if accepted.mode is Mode.SUBMISSION:
            return self._submissions
        return self._mailboxes if accepted.adapter == MAILBOX_ADAPTER else self._queries

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


def _queries(dependencies: ExchangeDependencies, asked: Asking) -> Queries:
    """The way of queries that are answered by `asked`."""
    faults, clock = dependencies.replies.faults, dependencies.clock
    outcomes = Outcomes(asked, faults, clock, dependencies.new_id)
    return Queries(dependencies.recorder, asked, outcomes, dependencies.replies)
