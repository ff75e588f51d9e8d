"""Every interleaving of one delivery, with the real rules, in small bounds.

A world is a hub that may die before and after each commit, a broker that loses, doubles, expires
and redelivers, and a worker that may die between the recipient's act and the word of it. From each
world all steps are taken; what must never be is looked for in each, and whether each can still
come to an end. Left-out rules are found: so the model sees what the rules are for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TypeVar

import pytest

from bus.core.deliveries import AttemptEnd, AttemptOutcome, Delivery, DeliveryState
from bus.core.registry import RetryPolicy
from bus.delivery import lifecycle as rules
from bus.delivery.lifecycle import (
    Change,
    Closed,
    GivenUp,
    Noted,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
BEFORE = NOW - timedelta(seconds=1)
QUEUE_MAX = 2
OUTCOMES_MAX = 2
RESENDS_MAX = 1

Item = TypeVar("Item")
Row = tuple[DeliveryState, int, int, bool]
"""State, attempt, last attempt that may be made, doubt."""
Order = tuple[int, bool]
"""Attempt, redelivered."""
Worker = tuple[int, bool, bool]
"""Attempt, redelivered, whether the recipient has acted."""
Told = tuple[int, AttemptEnd, bool]
"""Attempt, its end, redelivered."""


@dataclass(frozen=True, slots=True)
class World:
    row: Row | None = None
    log: str = "nothing"
    """What the log says: nothing, open, dead, delivered, refused, expired; `!…`: must not be."""
    queue: tuple[Order, ...] = ()
    worker: Worker | None = None
    outcomes: tuple[Told, ...] = ()
    is_hub_up: bool = True
    in_hand: int | None = None
    """The attempt that is committed and not yet sent; may still be sent by a hub that is fenced."""
    passed: int = 0
    """The deadlines of attempts up to this one have passed."""
    acts: int = 0
    resends: int = 0
    is_late_noted: bool = False
    is_sender_told: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    attempts: int
    is_slow: bool
    """A worker may be paused beyond its deadline and act then: nobody can exclude it."""
    without: str = ""
    """The rule that is left out."""


def _delivery(row: Row, passed: int, *, is_expired: bool) -> Delivery:
    state, attempt, attempt_max, doubt = row
    return Delivery(
        state=state,
        attempt=attempt,
        attempt_max=attempt_max,
        doubt=doubt,
        due=BEFORE,
        expires=NOW if is_expired else LATER,
        key=b"key",
        deadline=(BEFORE if attempt <= passed else LATER) if state is DeliveryState.OUT else None,
    )


def _row(delivery: Delivery) -> Row:
    return delivery.state, delivery.attempt, delivery.attempt_max, delivery.doubt


@cache
def _settled(row: Row | None, told: Told, bounds: Bounds) -> Change:
    attempt, end, is_redelivered = told
    if bounds.without == "redelivered":
        is_redelivered = False
    if row is not None and bounds.without == "doubt":
        row = (*row[:3], False)
        is_redelivered = False
    delivery = None if row is None else _delivery(row, 0, is_expired=False)
    if row is None and bounds.without == "guard":
        delivery = _delivery((DeliveryState.OUT, attempt, attempt, False), 0, is_expired=False)
    outcome = AttemptOutcome(attempt, end, is_redelivered)
    return rules.settle(delivery, outcome, RetryPolicy(attempts_max=bounds.attempts), NOW)


@cache
def _reaped(row: Row, passed: int, bounds: Bounds) -> Change | None:
    policy = RetryPolicy(attempts_max=bounds.attempts)
    return rules.reap(_delivery(row, passed, is_expired=False), policy, NOW)


@cache
def _expired(row: Row, passed: int, bounds: Bounds) -> Change | None:
    if bounds.without == "doubt":
        row = (*row[:3], False)
    return rules.expire(_delivery(row, passed, is_expired=True), NOW)


def _written(world: World, change: Change) -> World:
    """The world after the transaction that writes a change."""
    if isinstance(change, Closed):
        is_open = world.log in ("open", "dead")
        log = change.closing.value if is_open else "!second closing"
        return replace(world, row=None, log=log)
    if isinstance(change, Noted):
        # A row keeps its doubt; the entry hints at what the log cannot say otherwise.
        row = _row(change.delivery) if change.delivery is not None else None
        return replace(world, row=row, is_late_noted=True)
    if isinstance(change, GivenUp):
        log = "dead" if world.log == "open" else "!dead twice"
        return replace(world, row=_row(change.delivery), log=log)
    return replace(world, row=_row(change.delivery))


def steps(world: World, bounds: Bounds) -> Iterator[World]:
    """Every world that may be next."""
    yield from _steps_of_the_hub(world, bounds)
    yield from _steps_of_the_broker(world, bounds)
    yield from _steps_of_the_worker(world, bounds)
    if world.is_hub_up:
        yield from _outcomes_taken(world, bounds)


def _steps_of_the_hub(world: World, bounds: Bounds) -> Iterator[World]:
    row = world.row
    if not world.is_hub_up:
        yield replace(world, is_hub_up=True)
    else:
        yield replace(world, is_hub_up=False)  # what it has in hand may still go out
        if world.log == "nothing":
            accepted = (DeliveryState.OUT, 1, bounds.attempts, False)
            taken = replace(world, row=accepted, log="open")
            yield replace(taken, in_hand=1, is_sender_told=True)
            yield replace(taken, is_hub_up=False)  # dies before it tells
            if bounds.without == "commit before telling":
                yield replace(world, is_sender_told=True, is_hub_up=False)
        if world.log == "open" and not world.is_sender_told:
            yield replace(world, is_sender_told=True)  # a copy gets the first receipt
        if row and row[0] is DeliveryState.WAITING and row[1] < row[2] and world.in_hand is None:
            begun = rules.begin_attempt(_delivery(row, 0, is_expired=False), LATER)
            yield replace(world, row=_row(begun), in_hand=begun.attempt)
        if row and row[0] is DeliveryState.DEAD and world.resends < RESENDS_MAX:
            policy = RetryPolicy(attempts_max=1)
            resent = rules.resend(_delivery(row, 0, is_expired=False), policy, NOW)
            yield replace(world, row=_row(resent), log="open", resends=world.resends + 1)
        is_timely = world.worker is not None and row is not None and world.worker[0] == row[1]
        if row and (bounds.is_slow or not is_timely):
            reaped = _reaped(row, world.passed, bounds)
            if reaped is not None:
                yield _written(world, reaped)
            expired = _expired(row, world.passed, bounds)
            if expired is not None and world.in_hand is None:
                yield _written(world, expired)
    if row and row[0] is DeliveryState.OUT and world.passed < row[1]:
        yield replace(world, passed=row[1])


def _steps_of_the_broker(world: World, bounds: Bounds) -> Iterator[World]:
    row, attempt = world.row, world.in_hand
    if attempt is not None:
        if len(world.queue) < QUEUE_MAX:
            yield replace(world, queue=_sorted((*world.queue, (attempt, False))), in_hand=None)
        is_out = row is not None and row[:2] == (DeliveryState.OUT, attempt)
        if len(world.queue) + 1 < QUEUE_MAX and world.is_hub_up and is_out:
            # The confirmation was lost: it is sent twice.
            assert row is not None
            again = rules.send_again(_delivery(row, 0, is_expired=False))
            kept = row if bounds.without == "again" else _row(again)
            queue = _sorted((*world.queue, (attempt, False), (attempt, False)))
            yield replace(world, queue=queue, in_hand=None, row=kept)
        if is_out and world.is_hub_up and row is not None and row[2] == bounds.attempts == 1:
            # Nobody takes it: it waits again, and does not count. Once, to bound the walk.
            back = rules.not_sent(_delivery(row, 0, is_expired=False), BEFORE)
            yield replace(world, in_hand=None, row=_row(back))
        yield replace(world, in_hand=None, is_hub_up=False)  # lost with its hub
    for order in set(world.queue):
        number, is_redelivered = order
        rest = _without(world.queue, order)
        is_past = number <= world.passed
        if is_past and (not is_redelivered or bounds.without == "dead-letter report"):
            yield replace(world, queue=rest)
        if is_past and is_redelivered and len(world.outcomes) < OUTCOMES_MAX:
            told = (number, AttemptEnd.UNKNOWN, True)
            yield replace(world, queue=rest, outcomes=_sorted((*world.outcomes, told)))
        if world.worker is None and (not is_past or bounds.is_slow):
            yield replace(world, queue=rest, worker=(number, is_redelivered, False))


def _steps_of_the_worker(world: World, bounds: Bounds) -> Iterator[World]:
    if world.worker is None:
        return
    number, is_redelivered, has_acted = world.worker
    is_past = number <= world.passed
    has_room = len(world.outcomes) < OUTCOMES_MAX

    def telling(end: AttemptEnd, *, redelivered: bool = is_redelivered) -> World:
        told = (number, end, redelivered)
        return replace(world, worker=None, outcomes=_sorted((*world.outcomes, told)))

    if not has_acted and (not is_past or bounds.is_slow):
        yield replace(world, worker=(number, is_redelivered, True), acts=min(world.acts + 1, 2))
        if has_room:
            yield telling(AttemptEnd.FAILED)
            yield telling(AttemptEnd.REFUSED)
    if not has_acted and is_past and not is_redelivered:
        yield replace(world, worker=None)  # past its deadline: dropped
    if not has_acted and is_past and is_redelivered and has_room:
        yield telling(AttemptEnd.UNKNOWN, redelivered=True)
    if has_acted and has_room:
        yield telling(AttemptEnd.DELIVERED)
    if len(world.queue) < QUEUE_MAX:  # dies: redelivered
        yield replace(world, worker=None, queue=_sorted((*world.queue, (number, True))))


def _outcomes_taken(world: World, bounds: Bounds) -> Iterator[World]:
    for told in set(world.outcomes):
        rest = _without(world.outcomes, told)
        done = _written(world, _settled(world.row, told, bounds))
        yield replace(done, outcomes=rest)
        yield replace(done, is_hub_up=False)  # dies before it acknowledges: it comes again


def faults_of(world: World) -> Iterator[str]:
    """What must never be."""
    row, log = world.row, world.log
    if log.startswith("!"):
        yield log[1:]
    if log == "open" and (row is None or row[0] is DeliveryState.DEAD):
        yield "lost: open in the log, and no row carries it"
    if log == "dead" and (row is None or row[0] is not DeliveryState.DEAD):
        yield "a dead letter without its row"
    if log in ("delivered", "refused", "expired") and row is not None:
        yield "a row of a closed delivery"
    if log == "nothing" and (row or world.queue or world.worker or world.acts):
        yield "it left the hub before the log"
    if world.is_sender_told and log == "nothing":
        yield "lost: told, and not in the log"
    if log == "delivered" and not world.acts:
        yield "delivered, and the recipient never acted"
    is_quiet = not (world.worker or world.outcomes or world.queue or world.in_hand)
    if log in ("refused", "expired") and world.acts and not world.is_late_noted and is_quiet:
        yield f"{log} in the log, the recipient acted, and no entry hints at it"


def explore(bounds: Bounds, worlds_max: int = 3_000_000) -> tuple[int, set[str], int]:
    """Walk all of it: how many worlds, what was found, how many cannot come to an end."""
    seen = {World()}
    todo = deque(seen)
    before: dict[World, list[World]] = {}
    found: set[str] = set()
    while todo:
        world = todo.popleft()
        faults = list(faults_of(world))
        found.update(faults)
        if faults:
            continue
        for following in steps(world, bounds):
            before.setdefault(following, []).append(world)
            if following not in seen:
                seen.add(following)
                todo.append(following)
        assert len(seen) < worlds_max
    ended = {one for one in seen if one.log not in ("nothing", "open")}
    todo = deque(ended)
    while todo:
        for world in before.get(todo.popleft(), ()):
            if world not in ended:
                ended.add(world)
                todo.append(world)
    return len(seen), found, sum(one.log == "open" for one in seen - ended)


def _sorted(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(sorted(items, key=repr))


def _without(items: tuple[Item, ...], one: Item) -> tuple[Item, ...]:
    rest = list(items)
    rest.remove(one)
    return tuple(rest)


@pytest.mark.slow
def test_no_interleaving_of_one_attempt_loses_doubles_or_lies() -> None:
    worlds, found, stuck = explore(Bounds(1, is_slow=True))
    assert worlds > 10_000
    assert (found, stuck) == (set(), 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_interleaving_of_two_attempts_loses_doubles_or_lies() -> None:
    # Whoever may be paused may also be in time.
    _, found, stuck = explore(Bounds(2, is_slow=True))
    assert (found, stuck) == (set(), 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("guard", "second closing"),
        ("commit before telling", "told, and not in the log"),
        ("doubt", "no entry hints"),
        ("redelivered", "no entry hints"),
    ],
)
def test_the_model_finds_what_a_rule_is_for(rule: str, fault: str) -> None:
    _, found, _ = explore(Bounds(1, is_slow=False, without=rule))
    assert any(fault in one for one in found), found
