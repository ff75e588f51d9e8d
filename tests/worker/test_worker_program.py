"""A worker with a user of its own does what a hub accepted, and needs nothing of the hub's."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bus.cli.check import check
from tests.hang_limits import HANG_SECONDS_MAX
from tests.worker.elsewhere import make_elsewhere
from tests.worker.worker_process import (
    NOBODY,
    closed,
    leaves,
    opened,
    submission,
    told_by,
    until,
    worker_of,
)

pytestmark = pytest.mark.slow


def test_a_worker_of_another_user_delivers_what_was_submitted(
    folder: Path, rabbit: tuple[int, str]
) -> None:
    place = make_elsewhere(folder, *rabbit)

    async def story() -> None:
        async with opened(place) as hub:
            reply = await hub.answer(submission(place, "before"))
            assert reply.outcome == "accepted"
            with worker_of(place) as worker:
                await until(lambda: (place.taken / "before").exists(), worker)
                await hub.answer(submission(place, "after"))
                await until(lambda: closed(place) == ["delivered"] * 2, worker)
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(HANG_SECONDS_MAX) == 0
        told = told_by(worker)
        assert "worker.working" in told
        assert "worker.closed" in told

    asyncio.run(story())
    begun = place.taken / "before.begun"
    if os.geteuid() == 0:
        assert begun.read_text() == str(pwd.getpwnam(NOBODY.name).pw_uid)


def test_what_is_in_work_is_finished_before_a_worker_ends(
    folder: Path, rabbit: tuple[int, str]
) -> None:
    place = make_elsewhere(folder, *rabbit, proves_senders=True)
    (place.taken / "hold").write_text("")

    async def story() -> None:
        async with opened(place) as hub:
            with worker_of(place) as worker:
                await hub.answer(submission(place, "held"))
                await until(lambda: (place.taken / "held.begun").exists(), worker)
                worker.send_signal(signal.SIGTERM)
                with pytest.raises(subprocess.TimeoutExpired):
                    worker.wait(0.5)
                (place.taken / "hold").unlink()
                await until(lambda: closed(place) == ["delivered"])
                assert worker.wait(HANG_SECONDS_MAX) == 0

    asyncio.run(story())


def test_what_a_killed_worker_had_is_done_by_the_next(
    folder: Path, rabbit: tuple[int, str]
) -> None:
    place = make_elsewhere(folder, *rabbit)
    (place.taken / "hold").write_text("")

    async def story() -> None:
        async with opened(place) as hub:
            with worker_of(place) as first:
                await hub.answer(submission(place, "m"))
                await until(lambda: (place.taken / "m.begun").exists(), first)
                first.kill()
                first.wait(HANG_SECONDS_MAX)
            (place.taken / "hold").unlink()
            with worker_of(place) as second:
                await until(lambda: closed(place) == ["delivered"], second)
        attempts = [leaf for leaf in leaves(place) if leaf.event.value == "attempt"]
        assert [(one.verdict, one.doubt) for one in attempts] == [("delivery.worker-lost", True)]

    asyncio.run(story())


def test_a_worker_proves_the_sender_by_its_own_anchors(
    folder: Path, rabbit: tuple[int, str]
) -> None:
    place = make_elsewhere(folder, *rabbit, proves_senders=True)
    # The agency believes somebody else than the hub does.
    stranger = make_elsewhere(folder / "stranger", *rabbit)
    shutil.copy(stranger.nation.settings.trust.anchors[0], place.worker.file.parent / "anchor.crt")

    async def story() -> None:
        async with opened(place) as hub:
            with worker_of(place) as worker:
                await hub.answer(submission(place, "m"))
                await until(lambda: "order.invalid" in told_by(worker), worker)
        assert not (place.taken / "m").exists()

    asyncio.run(story())


def test_a_worker_is_checked_before_it_starts(folder: Path, rabbit: tuple[int, str]) -> None:
    place = make_elsewhere(folder, *rabbit)
    file = place.worker.file

    def checked() -> tuple[int, str]:
        result = CliRunner().invoke(check, ["--worker", str(file)])
        return result.exit_code, result.output

    assert checked() == (0, "ready\n")
    (file.parent / "hub.vkey").write_text("no key\n")
    (file.parent / "agency.key").chmod(0o644)
    (file.parent / "guest.secret").unlink()
    code, output = checked()
    assert code == 1
    for wrong in ("hub.vkey", "agency.key", "guest.secret"):
        assert wrong in output
    assert "not ready: 3 problems" in output
