"""Say how fast and how busy the machine is, beside every figure that depends on it."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass

YARDSTICK_BYTES = 1024 * 1024
_REPEATS = 32


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at one moment."""

    processors: int
    load_average: float
    """Of the last minute. proc(5): loadavg."""
    sha256_us_per_mebibyte: float
    """The least processor time that one MiB took; the faster the machine, the less."""


def look_at_machine() -> Machine:
    """The machine as it is now."""
    block = bytes(YARDSTICK_BYTES)
    least = min(_seconds_of(block) for _ in range(_REPEATS))
    return Machine(os.cpu_count() or 1, os.getloadavg()[0], least * 1e6)


def _seconds_of(block: bytes) -> float:
    began = time.thread_time()
    hashlib.sha256(block).digest()
    return time.thread_time() - began
