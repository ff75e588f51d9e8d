"""Take a submission: what its recipients are owed is on disk before its sender is told so.

One transaction holds the entry, the payload, the claim and a row for each recipient; their first
attempts are part of it as far as there is room, so that orders leave as soon as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime

from bus.core.authorisation import find_service
from bus.core.decision import Accepted
from bus.core.errors import HubFull, SigningUnavailable
from bus.core.exchange_leaves import Entry
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.message_log import AlreadyTaken, Claim
from bus.core.registry import MemberRegistry, SubmissionRule
from bus.delivery.admission import Admission
from bus.delivery.carried_messages import CarriedMessage
from bus.delivery.dispatcher import Dispatcher
from bus.delivery.planning import planned_deliveries
from bus.exchange.acceptances import Acceptances
from bus.exchange.messages import IncomingRequest
from bus.exchange.reception import TakenMessage
from bus.exchange.recording import Recorder
from bus.exchange.replies import ANSWERED_AGAIN, Replies
from bus.protocols.reply import Reply


@dataclass(frozen=True, slots=True)
class Submissions:
    """Takes submissions; used from one event loop."""

    recorder: Recorder
    dispatcher: Dispatcher
    admission: Admission
    registry: MemberRegistry
    pseudonyms: Pseudonyms
    acceptances: Acceptances
    replies: Replies
    clock: Callable[[], datetime]

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """It waits for nobody: what bounds it is asked when it is recorded."""
        return nullcontext()

    async def record(
        self, accepted: Accepted, request: IncomingRequest, claim: Claim
    ) -> Entry | AlreadyTaken:
        """Record a submission with its deliveries; their orders leave then.

        Raises HubFull (nothing was written), LogUnavailable.
        """
        try:
            self.admission.require_room(accepted)
        except HubFull:
            # A copy needs no room; nobody else is asked for in vain.
            known = await self.recorder.writer.log.claimed(claim)
            if known is None:
                raise
            return known
        rule = find_service(accepted.service, self.registry).submission or SubmissionRule()
        planned = planned_deliveries(accepted, rule, self.pseudonyms, self.clock())
        reserved = self.dispatcher.reserve(planned, accepted.timeout_seconds)
        try:
            with self.admission.lanes.committing():
                leaf, result = await self.recorder.submitted(accepted, request, claim, reserved)
        except BaseException:
            # If it was written all the same, the deadlines of its attempts settle them.
            self.dispatcher.release(reserved)
            raise
        if isinstance(result, AlreadyTaken):
            self.dispatcher.release(reserved)
            return result
        message = CarriedMessage(accepted, request.raw, request.attachments)
        self.dispatcher.accepted(result.index, reserved, result.blocked, message)
        return Entry(leaf, result.index)

    async def carry_on(self, taken: TakenMessage) -> Reply:
        """The acceptance of a message that was recorded."""
        count, request = len(taken.accepted.recipients), taken.request
        try:
            return await self.acceptances.reply(
                taken.accepted, taken.entry, request.time, count, request
            )
        except SigningUnavailable as error:
            return self.replies.unsigned(error)  # a copy is told

    async def again(
        self, accepted: Accepted, taken: AlreadyTaken, request: IncomingRequest
    ) -> Reply:
        """The first acceptance, for a copy of a message. Raises LogUnavailable, LogCorrupt."""
        received, facts = await self.recorder.accepted_again(accepted, taken, request.time)
        try:
            return await self.acceptances.reply(
                accepted,
                received,
                facts.time,
                facts.recipients or 0,
                request,
                outcome=ANSWERED_AGAIN,
                origin=taken.origin,
            )
        except SigningUnavailable as error:
            return self.replies.unsigned(error)
