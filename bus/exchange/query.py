"""Carry one query on that was recorded: deliver, record, answer."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from bus.core import errors
from bus.core.decision import Accepted
from bus.core.exchange_leaves import Entry
from bus.core.ports.message_log import AlreadyTaken, Claim
from bus.exchange.answering import Asking
from bus.exchange.messages import IncomingRequest
from bus.exchange.outcomes import Outcomes
from bus.exchange.reception import TakenMessage
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.protocols.reply import Reply


@dataclass(frozen=True, slots=True)
class Queries:
    """The way of queries, as reception takes them."""

    recorder: Recorder
    answering: Asking
    outcomes: Outcomes
    replies: Replies

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """Room at its agency. Raises AgencyBusy, here or when entered."""
        return self.answering.room(accepted)

    async def record(
        self, accepted: Accepted, request: IncomingRequest, claim: Claim
    ) -> Entry | AlreadyTaken:
        """Record that it came. Raises LogUnavailable."""
        return await self.recorder.received(accepted, request, claim)

    async def carry_on(self, taken: TakenMessage) -> Reply:
        """The reply, once what it tells is on disk. Raises LogUnavailable."""
        # If we stop from here on, the next start records the outcome as interrupted, and the
        # sender may send the same bytes again under the same idempotency key.
        try:
            outcome = await self.outcomes.of(taken)
        except errors.SigningUnavailable as error:
            # Nothing can be told under a signature, so nothing is: the same bytes may come again.
            await self.recorder.interrupted(
                taken.claim.key, taken.entry.index, self.outcomes.clock()
            )
            return self.replies.unsigned(error)
        entry = await self.recorder.outcome(taken.accepted, taken.entry, taken.claim, outcome)
        return await self.replies.outcome(outcome, taken.reply_facts(entry))
