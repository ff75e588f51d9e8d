"""What was opened is closed: the last first, whatever fails, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
import structlog

from bus.runtime.resources import Resources, opening
from tests.hang_limits import HANG_SECONDS_MAX

NAMES = ("first", "second", "third", "fourth")


def owning(closed: list[str], wrong: dict[str, Callable[[], object]]) -> Resources:
    resources = Resources()
    for name in NAMES:

        def close(name: str = name) -> None:
            closed.append(name)
            wrong.get(name, lambda: None)()

        async def close_on_the_loop(name: str = name) -> None:
            closed.append(name)
            wrong.get(name, lambda: None)()

        resources.own(name, close if name in ("first", "third") else close_on_the_loop)
    return resources


def fail() -> None:
    raise RuntimeError("040185766517")


def give_up() -> None:
    raise TimeoutError


def test_what_was_opened_last_is_closed_first_and_once() -> None:
    closed: list[str] = []

    async def story() -> None:
        resources = owning(closed, {})
        await resources.close()
        await resources.close()

    asyncio.run(story())

    assert closed == list(reversed(NAMES))


@pytest.mark.parametrize("error", [fail, give_up])
@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_closed_is_told_and_the_rest_is_closed(
    name: str, error: Callable[[], None]
) -> None:
    closed: list[str] = []

    with structlog.testing.capture_logs() as told:
        asyncio.run(owning(closed, {name: error}).close())

    assert closed == list(reversed(NAMES))
    (entry,) = told
    assert (entry["event"], entry["resource"]) == ("close.failed", name)
    assert entry["error"] == ("RuntimeError" if error is fail else "TimeoutError")
    assert "040185766517" not in repr(entry)


def test_what_never_closes_is_told_and_left() -> None:
    closed: list[str] = []
    gate = threading.Event()

    async def story() -> None:
        resources = Resources()
        resources.own("before", lambda: closed.append("before"))
        resources.own("thread", lambda: gate.wait(HANG_SECONDS_MAX), seconds_max=0.01)
        resources.own("loop", asyncio.Event().wait, seconds_max=0.01)
        await resources.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())
    gate.set()

    assert closed == ["before"]
    assert [(one["event"], one["resource"]) for one in told] == [
        ("close.late", "loop"),
        ("close.late", "thread"),
    ]


def test_those_that_are_closed_together_do_not_wait_for_each_other() -> None:
    met = threading.Barrier(2)

    async def story() -> None:
        resources = Resources()
        closings = {"one": lambda: met.wait(HANG_SECONDS_MAX)}
        resources.own_together(closings, seconds_max=HANG_SECONDS_MAX)
        closings["other"] = lambda: met.wait(HANG_SECONDS_MAX)
        await resources.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())

    assert told == []


def test_a_thing_may_be_closed_after_one_that_was_opened_before_it() -> None:
    closed: list[str] = []

    async def story() -> None:
        resources = owning(closed, {})
        resources.own("late", lambda: closed.append("late"), closed_after="second")
        await resources.close()

    asyncio.run(story())

    assert closed == ["fourth", "third", "second", "late", "first"]


def test_a_step_of_opening_that_fails_closes_what_was_opened() -> None:
    closed: list[str] = []

    async def story() -> None:
        async with opening() as resources:
            resources.own("one", lambda: closed.append("one"))
            raise KeyError("the next step")

    with pytest.raises(KeyError):
        asyncio.run(story())
    assert closed == ["one"]


def test_whoever_cancels_closing_gets_away_when_the_rest_is_closed() -> None:
    closed: list[str] = []

    async def story() -> None:
        resources = owning(closed, {})
        resources.own("slow", asyncio.Event().wait, seconds_max=HANG_SECONDS_MAX)
        closing = asyncio.create_task(resources.close())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing

    asyncio.run(story())

    assert closed == list(reversed(NAMES))
