"""Say whether further submissions find room, before anything of them is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bus.core.decision import Accepted
from bus.core.errors import HubFull
from bus.core.limits import Limits
from bus.delivery.lanes import Lanes


@dataclass(slots=True)
class Admission:
    """Holds open deliveries to their bounds; used from one event loop."""

    lanes: Lanes
    limits: Limits
    free_bytes: Callable[[], int]
    """Of the disk that the log lies on."""
    has_disk_room: bool = True
    """As of the last look: what is open can still be closed below the bound."""

    def look(self) -> None:
        """See how much room the disk has; waits for it."""
        self.has_disk_room = self.free_bytes() >= self.limits.disk_free_bytes_min

    def require_room(self, accepted: Accepted) -> None:
        """Raises HubFull: these deliveries would be too many, or the disk has no room."""
        if not self.has_disk_room:
            raise HubFull("the disk has no room for further messages")
        recipients = accepted.recipients
        if self.lanes.pending + len(recipients) > self.limits.pending_deliveries_max:
            raise HubFull(f"{self.lanes.pending} deliveries are open")
        for one in recipients:
            pending = self.lanes.of(str(one.subsystem)).pending
            if pending >= self.limits.pending_per_recipient_max:
                raise HubFull(f"{pending} deliveries are open for {one.subsystem}")
