"""Kill an access point while the other agency works: the repeated request is the same message."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bus.access_point.settings import AccessPointSettings
from bus.kit.contract import Answer, Query
from bus.sandbox.leased_ports import free_port
from tests.access_point.running_access_point import (
    RunningAccessPoint,
    plain_request,
    served_hub,
    write_settings,
)
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import answer_well
from tests.nation import SmallNation, make_small_nation


@contextmanager
def process(settings: AccessPointSettings) -> Iterator[subprocess.Popen[bytes]]:
    """The command, which is ready when it answers, and is killed at the end."""
    command = [sys.executable, "-m", "bus.cli", "access-point", "--config", str(settings.file)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            deadline = time.monotonic() + HANG_SECONDS_MAX
            while not is_ready(settings):
                assert running.poll() is None, "the access point ended"
                assert time.monotonic() < deadline, "the access point does not answer"
                time.sleep(0.02)
            yield running
        finally:
            running.kill()


def is_ready(settings: AccessPointSettings) -> bool:
    with contextlib.suppress(OSError):
        return RunningAccessPoint(settings.public_url, settings).get("/health").status == 200
    return False


def test_a_request_whose_access_point_was_killed_is_answered_when_it_is_repeated(
    tmp_path: Path,
) -> None:
    # Given an agency that works on a request when its access point is killed
    now = datetime.now(UTC)
    nation: SmallNation = make_small_nation(tmp_path / "nation", now=now)
    port = free_port()
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer_late(query: Query) -> Answer:
        is_asked.set()
        assert may_answer.wait(HANG_SECONDS_MAX)
        return answer_well(query)

    with served_hub(nation, tmp_path / "hub") as hub, ThreadPoolExecutor(1) as system:
        hub.clock.now = now
        hub.agency.script = answer_late
        listen = {"host": "127.0.0.1", "port": port}
        settings = write_settings(nation, tmp_path / "point", hub.url, listen=listen)
        point = RunningAccessPoint(settings.public_url, settings)
        raw = plain_request("killed-1")
        with process(settings) as running:
            first = system.submit(point.post, raw)
            assert is_asked.wait(HANG_SECONDS_MAX)
            running.kill()
            error = first.exception(HANG_SECONDS_MAX)
        may_answer.set()

        # When the system sends the same request again
        with process(settings):
            second = point.post(raw)

    # Then the agency was asked once, and the answer is there
    assert isinstance(error, http.client.HTTPException | OSError)
    assert second.status == 200
    assert b"TraCuuThongTinCongDanResponse" in second.body
    assert len(hub.agency.asked) == 1
