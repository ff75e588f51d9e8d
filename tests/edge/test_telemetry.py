"""Diagnostics are one JSON line for each event, and nothing below the level."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.hang_limits import HANG_SECONDS_MAX

SPEAK = """
import logging, sys, structlog
from bus.edge.telemetry import configure_telemetry
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
