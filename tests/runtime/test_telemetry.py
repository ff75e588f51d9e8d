"""Diagnostics are one JSON line for each event, and nothing below the level."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.hang_limits import HANG_SECONDS_MAX

SPEAK = """
import logging, sys, structlog
from bus.runtime.telemetry import configure_telemetry
log = structlog.get_logger()
configure_telemetry(sys.argv[1])
log.debug("a.debug"); log.info("an.info", số=1); log.warning("a.warning"); log.error("an.error")
logging.getLogger("library").info("library.info")
logging.getLogger("library").warning("library.warning")
"""


@pytest.mark.parametrize(
    ("level", "first"), [("debug", 0), ("info", 1), ("warning", 2), ("error", 3)]
)
def test_what_lies_below_the_level_is_not_told(level: str, first: int) -> None:
    command = [sys.executable, "-c", SPEAK, level]
    result = subprocess.run(command, capture_output=True, timeout=HANG_SECONDS_MAX, check=True)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    ours = ["a.debug", "an.info", "a.warning", "an.error"][first:]
    theirs = [] if level == "error" else ["library.warning"]
    assert [line["event"] for line in lines] == ours + theirs
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert result.stdout == b""


SPEAK_ABOUT = """
import asyncio, logging, sys
from bus.runtime.telemetry import configure_telemetry
configure_telemetry("debug")
log = logging.getLogger("urllib3.connectionpool")
log.warning("Failed to parse headers (url=%s): %s", "http://x/?so=001099012345", "Nguyen")
try:
    raise ValueError("001099012345")
except ValueError:
    log.exception("Exception in application about %r", "001099012345")

async def forgotten():
    raise ValueError("001099012345")

async def main():
    task = asyncio.create_task(forgotten(), name="001099012345")
    await asyncio.sleep(0)
    del task
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_what_a_library_says_is_told_without_what_it_is_about() -> None:
    command = [sys.executable, "-c", SPEAK_ABOUT]
    result = subprocess.run(command, capture_output=True, timeout=HANG_SECONDS_MAX, check=True)

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert b"001099012345" not in result.stderr
    assert b"Nguyen" not in result.stderr
    assert [line["event"] for line in lines] == [
        "Failed to parse headers (url=%s): %s",
        "Exception in application about %r",
        "Task exception was never retrieved",
    ]
    assert [line.get("error") for line in lines] == [None, "ValueError", "ValueError"]
    assert lines[1]["places"] == ["<string>:8"]
