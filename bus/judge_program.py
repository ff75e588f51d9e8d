"""The process beside the hub that judges requests: `python -m bus.judge_program hub.yaml`.

Its standard input is one end of a socket pair; it ends when the hub closes the other.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path

from bus.edge.hub_settings import read_hub_settings
from bus.edge.judge_process import serve_decisions
from bus.edge.memory import settle_memory
from bus.edge.telemetry import configure_telemetry, report_broken
from bus.protocols.soap_xroad.judging import Decision, judge_request
from bus.rules import read_rules

MODULE = "bus.judge_program"


def main(settings_file: str) -> None:
    """Judge until the hub ends or closes."""
    # The hub drains at these signals and still needs us; the end of our input is our signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    configure_telemetry("warning")
    rules = read_rules(read_hub_settings(Path(settings_file))).rules
    settle_memory()

    def judge(raw: bytes, now: datetime) -> Decision:
        return judge_request(raw, rules, now, report_broken)

    # A hub that was killed leaves a broken pair: nobody waits for our decisions any more.
    with (
        socket.socket(fileno=sys.stdin.fileno()) as connection,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
    ):
        serve_decisions(connection, judge)


if __name__ == "__main__":
    main(*sys.argv[1:])
