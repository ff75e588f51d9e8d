"""A judging process to which messages do what they say. Run as `python -m tests.hub.hostile_judge`.

A message `DO <what> <where>` is an order; of any other there is the decision that every process
makes. With `-once` behind it, an order is carried out only while the file <where> is not there, and
makes it.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bus.core.decision import Decision, Refused
from bus.core.errors import BusError, NotWellFormed
from bus.core.pipeline import Rules
from bus.judge_program import WIRE
from bus.judging.frame_content import decisions_to_bytes
from bus.judging.frames import LENGTH, framed
from bus.judging.serving import Decide, decide_in, serve_decisions

MODULE = "tests.hub.hostile_judge"
CONNECTION = 0
"""Standard input is the socket to the hub."""


class OfNoTable(BusError):
    """An error that the hub does not know: its code stands on no class there."""

    public_reason = "Nothing that the hub knows."


def order(what: str, where: Path | str = "-", *, bytes_count: int = 0) -> bytes:
    """A message that orders something, of at least so many bytes."""
    return f"DO {what} {where} ".encode().ljust(bytes_count)


def burn(_: Rules) -> None:
    while True:
        pass


def burn_in_c(_: Rules) -> None:
    """Where no signal handler of Python is ever called."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def hang(_: Rules) -> None:
    threading.Event().wait()


def die(_: Rules) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave(_: Rules) -> None:
    os._exit(3)


def send_nonsense(_: Rules) -> None:
    os.write(CONNECTION, framed(b"no decisions"))


def send_too_long(_: Rules) -> None:
    os.write(CONNECTION, LENGTH.pack(2**32 - 1))


def judge_by_others(rules: Rules) -> None:
    """A decision under rules that the hub does not have, about this very message."""
    other = bytes(byte ^ 1 for byte in rules.digest)
    numbers = range(1, 2000)
    made: list[tuple[int, Decision]] = [
        (number, Refused(NotWellFormed("by other rules"))) for number in numbers
    ]
    os.write(CONNECTION, framed(decisions_to_bytes(other, made)))


def fill_memory(_: Rules) -> None:
    held = []
    while True:
        held.append(bytearray(64 * 1024 * 1024))


def stop(_: Rules) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(0.01)


ORDERS: dict[str, Callable[[Rules], None]] = {
    "burn": burn,
    "burn-in-c": burn_in_c,
    "hang": hang,
    "die": die,
    "leave": leave,
    "send-nonsense": send_nonsense,
    "send-too-long": send_too_long,
    "judge-by-others": judge_by_others,
    "fill-memory": fill_memory,
    "stop": stop,
}


def obeying(rules: Rules) -> Decide:
    usual = decide_in(WIRE)(rules)

    def decide(raw: bytes, now: datetime) -> Decision:
        if not raw.startswith(b"DO "):
            return usual(raw, now)
        _, what, where = raw.decode().split()
        name = what.removesuffix("-once")
        if name == "decide-nonsense":
            OfNoTable.code = "no.such-code"
            return Refused(OfNoTable())
        if name != what and Path(where).exists():
            return usual(raw, now)
        if name != what:
            Path(where).touch()
        try:
            ORDERS[name](rules)
        except MemoryError:
            return usual(raw, now)
        return usual(raw, now)

    return decide


if __name__ == "__main__":
    serve_decisions(sys.argv[1], sys.argv[2], obeying)
