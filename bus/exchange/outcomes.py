"""Find out what comes of a message that was taken: a signed answer, or a signed fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from bus.core import errors
from bus.exchange.answering import Asking
from bus.exchange.faults import Faults
from bus.exchange.messages import Outcome
from bus.exchange.reception import TakenMessage
from bus.runtime.telemetry import places_of

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Asks agencies, and says under a signature what went wrong where one did not answer."""

    answering: Asking
    faults: Faults
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    async def of(self, taken: TakenMessage) -> Outcome:
        """What is to be recorded, and then told.

        Raises SigningUnavailable: not even a fault can be signed.
        """
        try:
            return await self.answering.ask(taken)
        except errors.BusError as error:
            failure = error
        except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
            _log.error("delivery.broken", error=type(error).__name__, places=places_of(error))
            failure = errors.HubInternal(type(error).__name__)
        return await self._failed(taken, failure)

    async def _failed(self, taken: TakenMessage, error: errors.BusError) -> Outcome:
        time, fault_id = self.clock(), self.new_id()
        _log_failure(error, fault_id, taken.accepted.adapter)
        return await self.faults.outcome(taken.refused(error), taken.request, fault_id, time)


def _log_failure(error: errors.BusError, fault_id: str, adapter: str) -> None:
    result = {"code": error.code, "fault_id": fault_id, "detail": error.diagnostic}
    # What is ours to repair, such as an account that an agency took back, is not for info.
    if error.blame is errors.Blame.HUB:
        _log.warning("delivery.failed", adapter=adapter, **result)
    else:
        _log.info("delivery.failed", adapter=adapter, **result)
