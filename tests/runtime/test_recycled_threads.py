"""Work is done, in order and by threads that are followed by others; nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from functools import partial

import pytest

from bus.runtime.recycled_threads import RecycledThreads
from tests.hang_limits import HANG_SECONDS_MAX


def here() -> threading.Thread:
    return threading.current_thread()


def results(futures: list[Future[threading.Thread]]) -> list[threading.Thread]:
    return [one.result(HANG_SECONDS_MAX) for one in futures]


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_thread_that_has_read_enough_is_followed_by_another() -> None:
    threads = RecycledThreads(1, "reading", bytes_max=10)

    found = results([threads.read(4, here) for _ in range(7)])

    assert [found.index(one) for one in found] == [0, 0, 0, 3, 3, 3, 6]
    until(lambda: not found[0].is_alive())
    threads.shutdown(wait=True)
    assert not found[-1].is_alive()


def test_one_thread_works_in_order_and_never_twice_at_a_time() -> None:
    threads = RecycledThreads(1, "reading", bytes_max=3)
    seen: list[int] = []
    at_once: list[int] = []

    def work(number: int) -> None:
        at_once.append(number)
        assert at_once == [number]
        seen.append(number)
        at_once.clear()

    futures = [threads.read(1, partial(work, number)) for number in range(200)]
    wait(futures, HANG_SECONDS_MAX)

    assert [one.exception() for one in futures] == [None] * 200
    assert seen == list(range(200))
    threads.shutdown(wait=True)


def test_many_threads_work_at_once() -> None:
    threads = RecycledThreads(3, "reading")
    together = threading.Barrier(3)

    futures = [threads.read(1, lambda: together.wait(HANG_SECONDS_MAX)) for _ in range(3)]

    assert {one.result(HANG_SECONDS_MAX) for one in futures} == {0, 1, 2}
    threads.shutdown(wait=True)


@pytest.mark.parametrize("fails", [False, True])
def test_whoever_is_told_a_result_finds_the_thread_idle_and_starts_no_other(fails: bool) -> None:
    threads = RecycledThreads(8, "reading alone")
    go_on = threading.Event()
    worked: list[threading.Thread] = []
    next_ones: list[Future[threading.Thread]] = []

    def work() -> None:
        go_on.wait(HANG_SECONDS_MAX)
        worked.append(here())
        if fails:
            raise KeyError("x")

    asked = threads.read(1, work)
    asked.add_done_callback(lambda _: next_ones.append(threads.read(1, here)))
    go_on.set()
    until(lambda: bool(next_ones))

    assert [one for one in threading.enumerate() if one.name == "reading alone"] == worked
    assert results(next_ones) == worked
    threads.shutdown(wait=True)


def test_an_error_is_told_to_who_asked_and_the_thread_goes_on() -> None:
    threads = RecycledThreads(1, "reading")

    def fail() -> None:
        raise KeyError("x")

    failed = threads.read(1, fail)
    with pytest.raises(KeyError):
        failed.result(HANG_SECONDS_MAX)
    assert threads.read(1, lambda: 5).result(HANG_SECONDS_MAX) == 5
    threads.shutdown(wait=True)


def test_shutting_down_waits_for_what_was_asked_even_by_successors() -> None:
    threads = RecycledThreads(2, "reading", bytes_max=1)
    futures = [threads.read(1, here) for _ in range(20)]

    threads.shutdown(wait=True)

    assert all(one.done() for one in futures)
    assert all(not one.is_alive() for one in results(futures))
    with pytest.raises(RuntimeError, match="no more work"):
        threads.read(1, here)


def test_what_waits_can_be_cancelled() -> None:
    threads = RecycledThreads(1, "reading")
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> str:
        begun.set()
        go_on.wait(HANG_SECONDS_MAX)
        return "done"

    held = threads.read(1, hold)
    assert begun.wait(HANG_SECONDS_MAX)
    waiting = threads.read(1, lambda: "never")
    given_up = threads.read(1, lambda: "never")
    given_up.cancel()

    threads.shutdown(wait=False, cancel=True)
    go_on.set()

    assert held.result(HANG_SECONDS_MAX) == "done"
    for one in (waiting, given_up):
        with pytest.raises(CancelledError):
            one.result(HANG_SECONDS_MAX)
    threads.shutdown(wait=True)


def test_work_that_nobody_waits_for_any_more_is_left_out() -> None:
    threads = RecycledThreads(1, "reading")
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def hold() -> None:
        begun.set()
        go_on.wait(HANG_SECONDS_MAX)

    threads.read(1, hold)
    assert begun.wait(HANG_SECONDS_MAX)
    assert threads.read(1, lambda: done.append("never")).cancel()
    last = threads.read(1, lambda: done.append("last"))
    go_on.set()
    last.result(HANG_SECONDS_MAX)

    assert done == ["last"]
    threads.shutdown(wait=True)
