"""Threads that never hold the process: so many at once, and no more after they are shut."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from bus.runtime.daemon_threads import DaemonThreads, run_aside
from tests.hang_limits import HANG_SECONDS_MAX


def test_work_is_done_and_its_errors_come_back() -> None:
    threads = DaemonThreads(2, "work")

    assert [threads.submit(lambda: 7).result(HANG_SECONDS_MAX) for _ in range(3)] == [7, 7, 7]
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 // 0).result(HANG_SECONDS_MAX)
    threads.shutdown()


def test_no_more_threads_are_started_than_there_may_be() -> None:
    gate, at_work = threading.Event(), threading.Semaphore(0)
    names: list[str] = []

    def work() -> None:
        names.append(threading.current_thread().name)
        at_work.release()
        gate.wait(HANG_SECONDS_MAX)

    threads = DaemonThreads(2, "some")
    futures = [threads.submit(work) for _ in range(5)]
    for _ in range(2):
        assert at_work.acquire(timeout=HANG_SECONDS_MAX)

    assert names == ["some", "some"]
    gate.set()
    for future in futures:
        future.result(HANG_SECONDS_MAX)
    assert len(names) == 5
    threads.shutdown()


def test_after_the_end_nothing_that_waits_is_begun_and_nothing_is_taken() -> None:
    gate, begun = threading.Event(), threading.Event()
    threads = DaemonThreads(1, "one")

    def work() -> bool:
        begun.set()
        return gate.wait(HANG_SECONDS_MAX)

    at_work = threads.submit(work)
    waiting = threads.submit(lambda: 1)
    assert begun.wait(HANG_SECONDS_MAX)

    threads.shutdown()

    assert waiting.cancelled()
    with pytest.raises(RuntimeError):
        threads.submit(lambda: 1)
    gate.set()
    at_work.result(HANG_SECONDS_MAX)


def test_who_waits_for_work_aside_gets_its_result_or_its_error() -> None:
    async def story() -> int:
        with pytest.raises(ZeroDivisionError):
            await run_aside(lambda: 1 // 0, "aside")
        return await run_aside(lambda: 7, "aside")

    assert asyncio.run(story()) == 7


def test_a_process_ends_though_such_a_thread_never_does() -> None:
    program = (
        "import asyncio, threading\n"
        "from bus.runtime.daemon_threads import DaemonThreads, run_aside\n"
        "hang = threading.Event().wait\n"
        "DaemonThreads(1, 'hanging').submit(hang)\n"
        "async def story():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.01):\n"
        "            await run_aside(hang, 'hanging')\n"
        "    except TimeoutError:\n"
        "        print('gave up')\n"
        "asyncio.run(story())\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=HANG_SECONDS_MAX, check=False
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"gave up\n", b"")


def test_a_thread_that_is_worn_is_followed_by_another_before_the_next_task() -> None:
    threads = DaemonThreads(1, "worn", is_worn=lambda: True)
    at_work: list[threading.Thread] = []

    futures = [threads.submit(lambda: at_work.append(threading.current_thread())) for _ in range(5)]

    for future in futures:
        future.result(HANG_SECONDS_MAX)
    assert len(set(at_work)) == 5
    for thread in at_work:
        thread.join(HANG_SECONDS_MAX)
        assert not thread.is_alive()
    threads.shutdown()
