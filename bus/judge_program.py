"""The judging process beside the hub, put together: `python -m bus.judge_program BOARD SECONDS`.

Its standard input is one end of a socket pair; it ends when the hub closes the other. BOARD is the
descriptor of the memory that both share, SECONDS the processor time that a message may cost.
"""

from __future__ import annotations

import sys

from bus.core.ports.wire_protocol import WireProtocol
from bus.judging.serving import decide_in, serve_decisions
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.runtime.telemetry import configure_telemetry

MODULE = "bus.judge_program"
WIRE: WireProtocol = SOAP_XROAD
"""The one language that the hub and its judges read and write."""


def main(board_fd: str, processor_seconds: str) -> None:
    """Judge until the hub ends or closes."""
    configure_telemetry("warning")
    serve_decisions(board_fd, processor_seconds, decide_in(WIRE))


if __name__ == "__main__":
    main(*sys.argv[1:])
