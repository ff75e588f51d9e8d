"""Memory that large messages took goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

MIB = 1024 * 1024
_PROGRAM = """
from pathlib import Path
from bus.runtime.memory import give_back_memory, settle_memory

def held():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024

def bodies(count, size):
    '''Large blocks, with a small one that stays behind each of them.'''
    blocks = []
    for _ in range(count):
        blocks.append(bytes(size))
        kept.append(bytes(600))
    return blocks

kept = []
settle_memory()
before = held()
for _ in range(6):
    bodies(16, 9 * 1024 * 1024)  # a message's bytes, and gone
print(held() - before)
pieces = [bytes(200) for _ in range(800_000)]
pieces[:-1] = []
give_back_memory()
print(held() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads proc(5); glibc")
def test_what_was_freed_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    after_bodies, after_pieces = (int(line) for line in done.stdout.split())
    assert after_bodies < 16 * MIB
    assert after_pieces < 32 * MIB
