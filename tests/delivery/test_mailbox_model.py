"""Every interleaving of one delivery that two fetch, with the real rules, in small bounds.

A world is a row, what the log says, and two programs of one agency: each may fetch, act, die with
or without having acted, acknowledge, refuse, and say so late or twice. The time of a lease passes
at any moment, also while its holder goes on. What must never be is looked for in each world, and
whether each can still come to an end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bus.core.deliveries import AttemptEnd, AttemptOutcome, Delivery, DeliveryState
from bus.core.registry import RetryPolicy
from bus.delivery import lifecycle as rules
from bus.delivery.lifecycle import Change, Closed, GivenUp, Noted

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER, BEFORE = NOW + timedelta(days=30), NOW - timedelta(seconds=1)
ATTEMPTS_MAX = 2
POLICY = RetryPolicy(attempts_max=ATTEMPTS_MAX)
SAID_MAX = 2
Row = tuple[DeliveryState, int, bool, int]
"""State, attempt, doubt, the attempt whose lease is the row's holder."""


@dataclass(frozen=True, slots=True)
class World:
    row: Row | None = (DeliveryState.OFFERED, 0, False, 0)
    log: str = "open"
    """open, dead, delivered, refused, expired; `!…`: must not be."""
    pullers: tuple[tuple[int, bool], ...] = ((0, False), (0, False))
    """Of each: the attempt that it has in hand, 0: none; whether it has acted upon it."""
    passed: int = 0
    """The lease of attempts up to this one has run out."""
    said: tuple[tuple[int, AttemptEnd], ...] = ()
    """Acknowledgements on their way, by the attempt whose lease they name; each may come twice."""
    has_acted: bool = False
    is_late_noted: bool = False
    is_expired: bool = False


def _delivery(world: World, row: Row) -> Delivery:
    state, attempt, doubt, _ = row
    deadline = BEFORE if attempt <= world.passed else LATER
    return Delivery(
        state=state,
        attempt=attempt,
        attempt_max=ATTEMPTS_MAX,
        doubt=doubt,
        due=BEFORE,
        expires=BEFORE if world.is_expired else LATER,
        key=b"key",
        deadline=deadline if state is DeliveryState.HELD else None,
    )


def _written(world: World, change: Change, holder: int) -> World:
    if isinstance(change, Closed):
        is_open = world.log in ("open", "dead")
        return replace(world, row=None, log=change.closing.value if is_open else "!closed twice")
    if isinstance(change, Noted):
        return replace(world, is_late_noted=True)
    delivery = change.delivery
    row = (delivery.state, delivery.attempt, delivery.doubt, holder)
    if isinstance(change, GivenUp):
        return replace(world, row=row, log="dead" if world.log == "open" else "!dead twice")
    return replace(world, row=row)


def steps(world: World, without: str) -> Iterator[World]:
    """Every world that may be next."""
    row = world.row
    if row is not None:
        yield from _steps_of_time(world, row, without)
        if row[0] is DeliveryState.OFFERED and row[1] < ATTEMPTS_MAX and not world.is_expired:
            yield from _fetched(world, row)
    for place, (attempt, has_acted) in enumerate(world.pullers):
        if attempt:
            yield _with(world, place, (0, False))  # dies, or is never heard of
            if not has_acted:
                yield replace(_with(world, place, (attempt, True)), has_acted=True)
                yield from _saying(world, place, attempt, AttemptEnd.REFUSED)
            else:
                yield from _saying(world, place, attempt, AttemptEnd.DELIVERED)
    for one in set(world.said):
        rest = list(world.said)
        rest.remove(one)
        for left in (tuple(rest), world.said):  # it may come again
            yield replace(_acknowledged(world, *one), said=left)


def _steps_of_time(world: World, row: Row, without: str) -> Iterator[World]:
    if row[0] is DeliveryState.HELD and world.passed < row[1]:
        yield replace(world, passed=row[1])
    if not world.is_expired:
        yield replace(world, is_expired=True)
    delivery = _delivery(world, row)
    reaped = rules.reap(delivery, POLICY, NOW)
    if reaped is not None:
        if without == "doubt" and not isinstance(reaped, Closed | Noted):
            reaped = replace(reaped, delivery=replace(reaped.delivery, doubt=False))
        yield _written(world, reaped, row[3])
    expired = rules.expire(delivery, NOW)
    # What is held is looked at by its lease first.
    if expired is not None and row[0] is not DeliveryState.HELD:
        yield _written(world, expired, row[3])


def _fetched(world: World, row: Row) -> Iterator[World]:
    held = rules.hand_out(_delivery(world, row), LATER)
    taken = replace(world, row=(held.state, held.attempt, held.doubt, held.attempt))
    yield taken  # the hub stops before it is told, or whoever fetched does
    for place in range(len(world.pullers)):
        if not world.pullers[place][0]:
            yield _with(taken, place, (held.attempt, False))


def _saying(world: World, place: int, attempt: int, end: AttemptEnd) -> Iterator[World]:
    if len(world.said) < SAID_MAX:
        said = tuple(sorted((*world.said, (attempt, end))))
        yield replace(_with(world, place, (0, False)), said=said)


def _acknowledged(world: World, attempt: int, end: AttemptEnd) -> World:
    """As bus.mailbox.messages does it."""
    row = world.row
    if row is None:
        return replace(world, is_late_noted=True)
    if row[3] != attempt:
        return replace(world, is_late_noted=True)
    outcome = AttemptOutcome(row[1], end)
    return _written(world, rules.settle(_delivery(world, row), outcome, POLICY, NOW), row[3])


def _with(world: World, place: int, puller: tuple[int, bool]) -> World:
    pullers = list(world.pullers)
    pullers[place] = puller
    return replace(world, pullers=tuple(sorted(pullers)))


def faults_of(world: World) -> Iterator[str]:
    """What must never be."""
    row, log = world.row, world.log
    if log.startswith("!"):
        yield log[1:]
    holders = [attempt for attempt, _ in world.pullers if attempt > world.passed]
    if len(holders) > 1:
        yield "two hold it"
    if log == "open" and (row is None or row[0] is DeliveryState.DEAD):
        yield "lost: open in the log, and no row carries it"
    if log == "dead" and (row is None or row[0] is not DeliveryState.DEAD):
        yield "a dead letter without its row"
    if log in ("delivered", "refused", "expired") and row is not None:
        yield "a row of a closed delivery"
    if log == "delivered" and not world.has_acted:
        yield "delivered, and nobody acted"
    is_quiet = not world.said and not any(attempt for attempt, _ in world.pullers)
    if log in ("refused", "expired") and world.has_acted and is_quiet and not world.is_late_noted:
        yield f"{log}, and somebody acted"


def explore(without: str = "") -> tuple[int, set[str], int]:
    """Walk all of it: how many worlds, what was found, how many cannot come to an end."""
    seen = {World()}
    todo = deque(seen)
    before: dict[World, list[World]] = {}
    found: set[str] = set()
    while todo:
        world = todo.popleft()
        faults = set(faults_of(world))
        found |= faults
        if faults:
            continue
        for following in steps(world, without):
            before.setdefault(following, []).append(world)
            if following not in seen:
                seen.add(following)
                todo.append(following)
        assert len(seen) < 500_000
    ended = {one for one in seen if one.log != "open"}
    todo = deque(ended)
    while todo:
        for world in before.get(todo.popleft(), ()):
            if world not in ended:
                ended.add(world)
                todo.append(world)
    return len(seen), found, len(seen - ended)


def test_no_interleaving_of_two_that_fetch_loses_doubles_or_lies() -> None:
    worlds, found, stuck = explore()
    assert worlds > 400
    assert (found, stuck) == (set(), 0)


def test_the_model_finds_what_doubt_is_for() -> None:
    _, found, _ = explore(without="doubt")
    assert "expired, and somebody acted" in found
