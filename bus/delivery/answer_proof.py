"""Prove what a worker elsewhere answered to a query: its report, and the answer that it made.

What a worker says of its own agency is believed as far as the agency could say it itself: the
answer is held to everything that one made here is, before it is recorded and told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from bus.core.authorisation import find_service
from bus.core.errors import AnswerInvalid
from bus.core.pipeline import Rules
from bus.core.validation import schema_of, validate_answer
from bus.delivery.answers import FinishedAnswer
from bus.delivery.order_forms import ProvedReport
from bus.delivery.signed_orders import ProvedReports
from bus.protocols.orders import AttemptReport, Order
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import KnownSigners, verify_made
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.runtime.recycled_threads import RecycledThreads


class AnswerProof:
    """Proves on a thread of its own, which it owns; used from one event loop."""

    def __init__(self, rules: Rules, origin: str, clock: Callable[[], datetime]) -> None:
        self._rules = rules
        self._clock = clock
        self._trust = rules.trust.for_another_thread()
        self._reports = ProvedReports(rules.registry, self._trust, origin, clock)
        self._subjects = {
            member.id: member.certificate_subject for member in rules.registry.members.values()
        }
        self._threads = RecycledThreads(1, "answers")

    async def report(self, content: bytes) -> ProvedReport:
        """What an agency reports. Raises ReportInvalid."""
        work = self._threads.read(len(content), lambda: self._reports.read(content))
        return await asyncio.wrap_future(work)

    async def answer(self, order: Order, report: AttemptReport) -> FinishedAnswer:
        """The answer of a report that is proved to be about this query. Raises AnswerInvalid."""
        size = len(order.raw) + len(report.answer)
        work = self._threads.read(size, lambda: self._finished(order, report))
        return await asyncio.wrap_future(work)

    def close(self) -> None:
        """Prove no more."""
        self._threads.shutdown(wait=False, cancel=True)

    def _finished(self, order: Order, report: AttemptReport) -> FinishedAnswer:
        now, registry = self._clock(), self._rules.registry
        service = find_service(order.accepted.service, registry)
        known = KnownSigners(
            trust=self._trust,
            member=registry.hub.member,
            policy=registry.policy_of(service.id.provider.member, now),
            certificate_subjects=self._subjects,
        )
        request = SOAP_XROAD.parse(order.raw, registry.limits, order.attachments)
        try:
            payload = verify_made(report.answer, request, known, now, report.attachments)
        except AnswerRejected as error:
            raise AnswerInvalid(error.reason) from error
        schema = schema_of(service, self._rules.schemas)
        validate_answer(payload, service, schema, report.attachments)
        return FinishedAnswer(now, report.attachments, report.answer)
