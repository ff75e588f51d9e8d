"""Let so many be in work at one time for each agency and each sender: none drowns the others."""

from __future__ import annotations

from collections.abc import Iterator

from bus.core.errors import BusError, SenderBusy
from bus.core.identifiers import MemberId


class Bulkhead:
    """So many at one time, each within a `with`; the next one is refused at once.

    Used from one event loop.
    """

    __slots__ = ("_at_once_max", "_full", "in_work", "refused")

    def __init__(self, at_once_max: int, full: type[BusError]) -> None:
        self._at_once_max = at_once_max
        self._full = full
        self.in_work = 0
        self.refused = 0

    def __enter__(self) -> None:
        """Raises what it was given for the case that it is full."""
        if self.in_work >= self._at_once_max:
            self.refuse()
        self.in_work += 1

    def __exit__(self, *_: object) -> None:
        self.in_work -= 1

    def refuse(self, detail: str = "") -> None:
        """Count and raise."""
        self.refused += 1
        raise self._full(detail or f"{self.in_work} are in work")


class SenderBulkheads:
    """One bulkhead for each member that was proved: as many as there are members."""

    def __init__(self, at_once_max: int) -> None:
        self._at_once_max = at_once_max
        self._of: dict[MemberId, Bulkhead] = {}

    def of(self, member: MemberId) -> Bulkhead:
        """The bulkhead of a proved sender."""
        found = self._of.get(member)
        if found is None:
            found = self._of[member] = Bulkhead(self._at_once_max, SenderBusy)
        return found

    def by_member(self) -> Iterator[tuple[MemberId, Bulkhead]]:
        """Every member that was proved since the start, in order: for operators."""
        yield from sorted(self._of.items(), key=lambda one: str(one[0]))
