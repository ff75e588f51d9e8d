"""New names in every message fill nobody's memory for good: they go with the thread that read them.

CWE-770; XML 1.0 sets no bound to how many names there are.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.core.pipeline import Refusal
from bus.edge.judge_process import Judges
from bus.hub import JUDGE_MODULE
from bus.rules import read_rules
from tests.nation import NOW, SmallNation

MIB = 1024 * 1024
MESSAGES = 60
NAMES = 40_000
"""In each message: about 3 MiB of memory that libxml2 keeps for the life of a thread."""
GROWTH_BYTES_MAX = 48 * MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads proc(5)")


def flood(number: int) -> bytes:
    """A message in which every element is called as none was before."""
    names = (f"<n{number}-{one}-{'x' * 30}/>" for one in range(NAMES))
    return f"<a>{''.join(names)}</a>".encode()


def held_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


async def growth(judges: Judges, pid: Callable[[], int]) -> int:
    """By how much a process grows while it refuses the flood, once it knows what floods are."""
    at_rest = 0
    for number in range(MESSAGES):
        assert isinstance(await judges.judge(flood(number), NOW), Refusal)
        if number == MESSAGES // 4:
            at_rest = held_bytes(pid())
    return held_bytes(pid()) - at_rest


@pytest.mark.slow
@pytest.mark.parametrize("is_beside", [True, False], ids=["judging process", "hub alone"])
def test_names_that_never_end_do_not_stay_in_memory(nation: SmallNation, is_beside: bool) -> None:
    async def story() -> int:
        judges = Judges(nation.rules, lambda error: None)
        if is_beside:
            await judges.start(JUDGE_MODULE, read_rules(nation.settings).texts)
        try:
            return await growth(judges, lambda: judges.lanes[1].process_id or os.getpid())
        finally:
            await judges.close()

    assert asyncio.run(story()) < GROWTH_BYTES_MAX
