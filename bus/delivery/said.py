"""Say what came of an attempt, or of a question, before it is a report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from bus.core import errors
from bus.core.deliveries import AttemptEnd, AttemptOutcome
from bus.delivery.answers import FinishedAnswer
from bus.delivery.attempt_ends import bounded_line, end_of
from bus.delivery.fault_content import write_service_fault
from bus.kit.contract import Rejected, Retry
from bus.protocols.orders import Order
from bus.runtime.telemetry import places_of

RETRY_AFTER_SECONDS_MAX = 24 * 3600.0
"""Of the patience that a recipient asks for, so much is granted."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """What came of it."""

    outcome: AttemptOutcome
    code: str = ""
    detail: str = ""
    answer: FinishedAnswer | None = None
    fault: bytes = b""
    """The agency's own, to a question."""

    @property
    def is_for_device(self) -> bool:
        """Its answer is still to be signed, by a device that has threads of its own."""
        return self.answer is not None and not isinstance(self.answer.message, bytes)


def of_error(order: Order, error: errors.BusError) -> Said:
    """What an error of an adapter, or of its caller, means."""
    end = end_of(error)
    if end is AttemptEnd.UNKNOWN and not isinstance(error, _SAID_BY_ADAPTERS):
        _log.error("delivery.broken", error=type(error).__name__, places=places_of(error))
    outcome = AttemptOutcome(order.attempt, end)
    if order.is_query:
        # Whoever asked is told it, and nobody beside.
        fault = write_service_fault(error) if isinstance(error, errors.ServiceFault) else b""
        return Said(outcome, error.code, bounded_line(error.public_detail), fault=fault)
    return Said(outcome, error.code, bounded_line(error.public_detail or error.diagnostic))


_SAID_BY_ADAPTERS = (errors.RecipientUnavailable, errors.RecipientTimeout, errors.AdapterBroken)


def not_begun(order: Order, error: errors.BusError) -> Said:
    """Nothing was done, whatever the kind of the error lets one fear."""
    outcome = AttemptOutcome(order.attempt, AttemptEnd.FAILED)
    return Said(outcome, error.code, bounded_line(error.diagnostic))


def of_retry(order: Order, retry: Retry) -> Said:
    """The agency asks for patience."""
    after = retry.after_seconds
    patience = None if after is None else timedelta(seconds=_bounded_seconds(after))
    outcome = AttemptOutcome(order.attempt, AttemptEnd.FAILED, retry_after=patience)
    return Said(outcome, errors.RecipientUnavailable.code, bounded_line(retry.reason))


def of_rejection(order: Order, rejected: Rejected) -> Said:
    """The agency refused for good."""
    outcome = AttemptOutcome(order.attempt, AttemptEnd.REFUSED)
    detail = ": ".join(part for part in (rejected.code, rejected.reason) if part)
    return Said(outcome, errors.RecipientRefused.code, bounded_line(detail))


def _bounded_seconds(seconds: float) -> float:
    """No number that an adapter made of somebody's header is too large, or none."""
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX) if seconds == seconds else 0.0
