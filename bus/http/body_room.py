"""Bound the bytes of requests that come in or are in work, and keep room for small ones.

A body takes room as it arrives, not as it says that it will: what somebody only announces takes
none, and what nobody announced takes it all the same. Unfinished large bodies fill the room of
large ones, and small messages pass by.
"""

from __future__ import annotations

from bus.core.limits import Limits

SMALL_BODY_BYTES = 64 * 1024
"""A body up to this size may use all of the room; a larger one leaves `SMALL_SHARE` of it free."""
SMALL_SHARE = 4
"""One part in so many is for small bodies alone."""
BESIDE_BYTES = 2 * 1024 * 1024
"""What a message may keep in memory beside its envelope: pieces in work, small attachments."""


class NoRoom(Exception):
    """There is no room for these bytes now."""


class BodyRoom:
    """Counts the bytes of all bodies. Used from one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.bytes_max = max(limits.bodies_bytes_max, limits.envelope_bytes_max + BESIDE_BYTES)
        # One whole message always fits, else nobody could ever send it.
        self.large_bytes_max = max(
            self.bytes_max - self.bytes_max // SMALL_SHARE,
            limits.envelope_bytes_max + BESIDE_BYTES,
        )
        self._envelope_bytes_max = limits.envelope_bytes_max
        self.bytes = 0
        self.large_bytes = 0
        """Of these, what belongs to bodies that are not small."""
        self.refused = 0
        """Requests for which there was no room."""

    def open(self, claimed_bytes: int = 0) -> HeldBody:
        """A body that begins; `claimed_bytes` is what its head says, and takes no room.

        Raises NoRoom: what it claims would not fit.
        """
        # Of what is larger than any envelope nothing will be kept.
        is_kept = SMALL_BODY_BYTES < claimed_bytes <= self._envelope_bytes_max
        if is_kept and self.large_bytes + claimed_bytes > self.large_bytes_max:
            self.refused += 1
            raise NoRoom
        return HeldBody(self, claimed_bytes)


class HeldBody:
    """The room that one request takes; it is given back at the end of `with`."""

    __slots__ = ("_bytes", "_large_bytes", "_room", "claimed_bytes")

    def __init__(self, room: BodyRoom, claimed_bytes: int) -> None:
        self._room = room
        self.claimed_bytes = claimed_bytes
        self._bytes = 0
        self._large_bytes = 0

    def hold(self, count: int) -> None:
        """Take room for so many bytes in all, or give back what is more. Raises NoRoom."""
        room = self._room
        if count <= SMALL_BODY_BYTES and not self._large_bytes:
            more = count - self._bytes
            if more > 0 and room.bytes + more > room.bytes_max:
                room.refused += 1
                raise NoRoom
            room.bytes += more
            self._bytes = count
            return
        large = count if count > SMALL_BODY_BYTES else 0
        more, more_large = count - self._bytes, large - self._large_bytes
        if (more > 0 and room.bytes + more > room.bytes_max) or (
            more_large > 0 and room.large_bytes + more_large > room.large_bytes_max
        ):
            room.refused += 1
            raise NoRoom
        room.bytes += more
        room.large_bytes += more_large
        self._bytes, self._large_bytes = count, large

    def __enter__(self) -> HeldBody:
        return self

    def __exit__(self, *_: object) -> None:
        self.hold(0)
