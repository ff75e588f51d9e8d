"""What strangers have not finished sending takes the room of large bodies, and nothing else."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bus.core.limits import Limits
from bus.http.body_room import BodyRoom
from bus.runtime.clock import now as read_clock
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.served_process import await_ready, hanging_hub
from tests.nation import make_small_nation

MIB = 1024 * 1024
LIMITS = Limits()
CONNECTIONS = 60
SLACK_BYTES = 24 * MIB
"""What the connections themselves may take, and what an allocator keeps."""
HEAD = (
    b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Type: text/xml\r\n"
    b"Content-Length: %d\r\n\r\n" % LIMITS.envelope_bytes_max
)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_unfinished_bodies_take_so_much_memory_give_it_back_and_refuse_nobody_small(
    tmp_path: Path,
) -> None:
    settings, port = hanging_hub(tmp_path, make_small_nation(tmp_path / "n", now=read_clock()))
    command = [sys.executable, "-m", "bus.cli", "serve", "--settings", str(settings)]
    with subprocess.Popen([*command, "--log-level", "error"]) as running:
        try:
            await_ready(running, port)
            assert ask(port) == 500  # warm
            before = rss_bytes(running.pid)
            room = BodyRoom(LIMITS).large_bytes_max
            for _ in range(2):
                with ExitStack() as lines:
                    most = fill(port, lines, lambda: rss_bytes(running.pid))
                    assert most - before <= room + SLACK_BYTES
                    assert ask(port) == 500  # no XML, but read, judged and recorded
                await_bytes(lambda: rss_bytes(running.pid), before + SLACK_BYTES)
        finally:
            running.terminate()


def fill(port: int, lines: ExitStack, measure: Callable[[], int]) -> int:
    """Send bodies all but their end; the most memory that was seen."""
    body = bytes(LIMITS.envelope_bytes_max - 100)
    most = 0
    for _ in range(CONNECTIONS):
        line = socket.create_connection(("127.0.0.1", port), timeout=HANG_SECONDS_MAX)
        lines.enter_context(line)
        line.sendall(HEAD + body)
        most = max(most, measure())
    return most


def ask(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS_MAX)) as line:
        line.request("POST", "/", b"<a/>", {"Content-Type": "text/xml"})
        return line.getresponse().status


def await_bytes(measure: Callable[[], int], bytes_max: int) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while measure() > bytes_max:
        assert time.monotonic() < deadline, f"{measure() // MIB} MiB stay"
        time.sleep(0.1)


def rss_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")
