"""Bodies share a bounded room: large ones leave a part of it to small ones, and give all back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.limits import Limits
from bus.http.body_room import BESIDE_BYTES, SMALL_BODY_BYTES, BodyRoom, NoRoom

MIB = 1024 * 1024
LIMITS = Limits(bodies_bytes_max=40 * MIB, envelope_bytes_max=10 * MIB)


def test_large_bodies_leave_room_for_small_ones() -> None:
    room = BodyRoom(LIMITS)
    large = [room.open() for _ in range(3)]
    for one in large:
        one.hold(10 * MIB)

    with pytest.raises(NoRoom):
        room.open().hold(SMALL_BODY_BYTES + 1)
    small = [room.open() for _ in range(10 * MIB // SMALL_BODY_BYTES)]
    for one in small:
        one.hold(SMALL_BODY_BYTES)

    assert (room.bytes, room.large_bytes) == (40 * MIB, 30 * MIB)
    with pytest.raises(NoRoom):
        room.open().hold(1)
    assert room.refused == 2


def test_what_is_only_announced_takes_no_room_but_is_refused_where_it_would_not_fit() -> None:
    room = BodyRoom(LIMITS)
    announced = [room.open(10 * MIB) for _ in range(100)]

    assert room.bytes == 0
    for one in announced[:3]:
        one.hold(10 * MIB)
    with pytest.raises(NoRoom):
        room.open(1 * MIB)
    room.open(SMALL_BODY_BYTES)
    room.open(11 * MIB)  # of what is too large for an envelope, nothing will be kept


def test_a_body_gives_back_what_it_took_whatever_happens() -> None:
    room = BodyRoom(LIMITS)

    def break_off() -> None:
        with room.open() as held:
            held.hold(5 * MIB)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert (room.bytes, room.large_bytes) == (0, 0)


def test_one_message_fits_however_small_the_room_is_set() -> None:
    room = BodyRoom(Limits(bodies_bytes_max=1, envelope_bytes_max=10 * MIB))

    room.open(10 * MIB).hold(10 * MIB + BESIDE_BYTES)

    with pytest.raises(NoRoom):
        room.open().hold(1)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12 * MIB)), max_size=40))
def test_the_room_is_what_its_bodies_hold_and_never_more_than_there_is(
    steps: list[tuple[int, int]],
) -> None:
    room = BodyRoom(LIMITS)
    held = [room.open() for _ in range(6)]
    counts = [0] * 6

    for place, count in steps:
        try:
            held[place].hold(count)
            counts[place] = count
        except NoRoom:
            pass
        assert room.bytes == sum(counts) <= room.bytes_max
        large = sum(one for one in counts if one > SMALL_BODY_BYTES)
        assert room.large_bytes == large <= room.large_bytes_max
