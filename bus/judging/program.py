"""A process beside the hub that judges requests: `python -m bus.judging.program BOARD SECONDS`.

Its standard input is one end of a socket pair; it ends when the hub closes the other. BOARD is the
descriptor of the memory that both share, SECONDS the processor time that a message may cost.
"""

from __future__ import annotations

import sys
from datetime import datetime

from bus.core.decision import Decision
from bus.core.pipeline import Rules
from bus.judging.serving import Decide, serve_decisions
from bus.protocols.soap_xroad.judging import decide_request
from bus.runtime.telemetry import configure_telemetry, report_broken

MODULE = "bus.judging.program"


def main(board_fd: str, processor_seconds: str) -> None:
    """Judge until the hub ends or closes."""
    configure_telemetry("warning")
    serve_decisions(board_fd, processor_seconds, decide_by)


def decide_by(rules: Rules) -> Decide:
    """What decides about a request's bytes at its policy time."""

    def decide(raw: bytes, now: datetime) -> Decision:
        return decide_request(raw, rules, now, report_broken)

    return decide


if __name__ == "__main__":
    main(*sys.argv[1:])
