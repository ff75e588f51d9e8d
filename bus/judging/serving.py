"""The end of a judging process that judges: one message at a time, each within a bound of
processor time, which the kernel keeps.
"""

from __future__ import annotations

import contextlib
import hashlib
import marshal
import resource
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader

from bus.core.decision import Decision
from bus.core.errors import LogCorrupt
from bus.core.pipeline import Rules
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.request_decision import decide_request_in
from bus.judging.frame_content import decisions_to_bytes, tasks_from_bytes
from bus.judging.frames import LENGTH, Board, framed
from bus.judging.rules_manifest import restore_rules
from bus.runtime.memory import give_back_memory, settle_memory
from bus.runtime.recycled_threads import READ_BYTES_MAX
from bus.runtime.telemetry import report_broken

DECISIONS_TOGETHER = 16
"""So many decisions at most come back in one frame."""
ALONE_BYTES = 16 * 1024
"""A larger message is judged when no decision about another waits to be sent, and its own is sent
at once: it may be the one that ends the process."""
LARGE_BYTES = 1024 * 1024
"""After a message of more bytes, memory is given back: its tree had many times as many."""
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
"""Most memory that a judging process may fill (RLIMIT_DATA). The tree of the largest message takes
a third of it."""

Decide = Callable[[bytes, datetime], Decision]


@dataclass(frozen=True, slots=True)
class _Served:
    """One connection, and what serves it."""

    requests: BufferedReader
    connection: socket.socket
    board: Board
    processor_seconds: float
    decide: Decide
    digest: bytes
    """Of the rules that `decide` judges by."""

    def send(self, decided: list[tuple[int, Decision]]) -> None:
        self.connection.sendall(framed(decisions_to_bytes(self.digest, decided)))


def serve_decisions(
    board_fd: str, processor_seconds: str, decide_by: Callable[[Rules], Decide]
) -> None:
    """Judge what comes over standard input, a socket, until the hub closes it or ends.

    First come the rules, as the texts that they are made of; the first word back is their digest.
    """
    # The hub drains at these signals and still needs us; the end of our input is our signal.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    _bound_memory()
    # A hub that was killed leaves a broken pair: nobody waits for our decisions any more.
    with (
        socket.socket(fileno=sys.stdin.fileno()) as connection,
        contextlib.suppress(ConnectionResetError, BrokenPipeError),
        connection.makefile("rb") as requests,
    ):
        rules = _read_rules(requests)
        if rules is None:
            return
        settle_memory()
        served = _Served(
            requests,
            connection,
            Board(int(board_fd)),
            float(processor_seconds),
            decide_by(rules),
            rules.digest,
        )
        served.send([])
        largest: int | None = 0
        while largest is not None:
            if largest > LARGE_BYTES:
                give_back_memory()
            with ThreadPoolExecutor(1) as thread:
                largest = thread.submit(_serve_a_while, served).result()


def decide_in(wire: WireProtocol) -> Callable[[Rules], Decide]:
    """What decides by given rules about requests in this wire protocol."""

    def decide_by(rules: Rules) -> Decide:
        def decide(raw: bytes, now: datetime) -> Decision:
            return decide_request_in(wire, raw, rules, now, report_broken)

        return decide

    return decide_by


def rules_to_bytes(rules: Rules, texts: tuple[bytes, ...]) -> bytes:
    """The content of the hub's first frame."""
    return marshal.dumps((rules.digest, list(texts)))


def _read_rules(requests: BufferedReader) -> Rules | None:
    """The rules that the hub sends; None: it ended before. Raises LogCorrupt: one is missing."""
    content = _read_frame(requests)
    if content is None:
        return None
    digest, texts = marshal.loads(content)  # noqa: S302 - written by our own parent process
    by_digest: dict[bytes, bytes] = {hashlib.sha256(text).digest(): text for text in texts}

    def read_text(wanted: bytes) -> bytes:
        if wanted not in by_digest:
            raise LogCorrupt(f"the hub sent no text {wanted.hex()}")
        return by_digest[wanted]

    return restore_rules(digest, read_text)


def _serve_a_while(served: _Served) -> int | None:
    """Serve until a thread has read enough (see `bus.runtime.recycled_threads`).

    Gives the size of the largest message, in bytes; None: the input ended.
    """
    read_bytes = largest = 0
    while read_bytes < READ_BYTES_MAX:
        content = _read_frame(served.requests)
        if content is None:
            return None
        decided: list[tuple[int, Decision]] = []
        for number, now, raw in tasks_from_bytes(content):
            is_alone = len(raw) > ALONE_BYTES
            if decided and is_alone:
                served.send(decided)
                decided = []
            served.board.begin(number)
            # The kernel ends the process when this is used up, whatever code it is in by then.
            signal.setitimer(signal.ITIMER_PROF, served.processor_seconds)
            decision = served.decide(raw, now)
            decided.append((number, decision))
            # All of it, also of what passed: names may stand where no schema looks.
            read_bytes += len(raw)
            largest = max(largest, len(raw))
            if is_alone or len(decided) >= DECISIONS_TOGETHER:
                served.send(decided)
                decided = []
            del decision  # what it holds may be a whole tree
            if len(raw) > LARGE_BYTES:
                give_back_memory()
        if decided:
            served.send(decided)
    return largest


def _read_frame(requests: BufferedReader) -> bytes | None:
    if len(head := requests.read(LENGTH.size)) < LENGTH.size:
        return None
    length: int = LENGTH.unpack(head)[0]
    return requests.read(length)


def _bound_memory() -> None:
    """Let no message fill the machine: what finds no memory is refused, or ends this process."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or most > MEMORY_BYTES_MAX:
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES_MAX, most))
