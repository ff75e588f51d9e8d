"""For a while everything goes wrong at once, with real servers, and every promise holds."""

from __future__ import annotations

import os
import shutil

import pytest

from bus.sandbox.servers import postgresql, rabbitmq
from tests.chaos.nemesis import run_nemesis, say_nemesis
from tests.servers.fixtures import missing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

MINUTES = float(os.environ.get("LIENTHONG_NEMESIS_MINUTES", "0.3"))
SEED = int(os.environ.get("LIENTHONG_NEMESIS_SEED", "1"))


def test_a_storm_breaks_no_promise() -> None:
    for found, what in (
        (shutil.which("strace"), "strace"),
        (postgresql.find_programs(), "PostgreSQL"),
        (rabbitmq.find_programs(), "RabbitMQ"),
    ):
        if not found:
            missing(what)
    result = run_nemesis(SEED, MINUTES)
    print(say_nemesis(result))
    assert not result.found.faults, say_nemesis(result)
    # There was a storm, and something came through it.
    assert sum(result.struck.values()) >= 3
    counts = result.found.counts
    assert counts["told"] == counts["sent"] > 0
    assert counts["delivered"] > 0
