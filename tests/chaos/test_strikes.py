"""A hub or a worker that dies at a write, a sync or a send, or whose disk fails there, keeps every
promise: in one process, and with PostgreSQL and RabbitMQ."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.chaos.nursery import Nursery
from tests.chaos.strike import NOT_CONFIRMED, NOT_DONE, Strike
from tests.chaos.strikes import HUB, WORKER, MakeSite, besieged, say
from tests.chaos.struck_site import SiteMaker
from tests.servers.fixtures import PostgresAccess, RabbitAccess

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

EMBEDDED = (
    (HUB, Strike("fdatasync", 3, NOT_DONE)),
    (HUB, Strike("fdatasync", 8, NOT_CONFIRMED)),
    (HUB, Strike("pwrite64", 12, NOT_CONFIRMED)),
    (HUB, Strike("pwrite64", 40, NOT_DONE)),
    (HUB, Strike("pwrite64", 90, NOT_DONE)),
    (HUB, Strike("fdatasync", 5, "error=EIO")),
    (HUB, Strike("pwrite64", 45, "error=ENOSPC")),
)
APART = (
    (HUB, Strike("sendto", 15, NOT_DONE)),
    (HUB, Strike("sendto", 45, NOT_CONFIRMED)),
    (HUB, Strike("sendto", 60, NOT_DONE)),
    (HUB, Strike("sendto", 75, NOT_CONFIRMED)),
    (HUB, Strike("write", 12, NOT_DONE)),
    (HUB, Strike("write", 25, NOT_CONFIRMED)),
    (WORKER, Strike("sendto", 5, NOT_DONE)),
    (WORKER, Strike("write", 3, NOT_CONFIRMED)),
    (WORKER, Strike("fsync", 3, NOT_CONFIRMED)),
)
"""Some of those that `make chaos-strikes` goes through."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that others may walk through."""
    with tempfile.TemporaryDirectory(prefix="lienthong-strikes-") as made:
        path = Path(made)
        path.chmod(0o711)
        yield path


def _strike(make_site: MakeSite, strikes: Sequence[tuple[str, Strike]], name: str) -> None:
    if shutil.which("strace") is None:
        assert "CI" not in os.environ, "strace is missing: `make system` installs it"
        pytest.skip("strace is missing: `make system` installs it")
    killed = 0
    with Nursery() as nursery, make_site() as site, besieged(nursery, site) as place:
        for target, strike in strikes:
            blow = place.strike(target, strike)
            told = say(WORKER if target == WORKER else name, blow)
            assert not blow.found.faults, "\n".join(told)
            killed += blow.has_struck and strike.is_kill
        counts = blow.found.counts
        assert counts["delivered"] == counts["told"] == place.sent
    # Which call comes where depends on threads: not each strike need find its own.
    assert killed >= len(strikes) // 3


def test_wherever_a_hub_is_struck_every_promise_holds(folder: Path) -> None:
    _strike(SiteMaker(folder).embedded, EMBEDDED, HUB)


def test_wherever_a_hub_with_servers_or_its_worker_is_struck_every_promise_holds(
    folder: Path, postgres: PostgresAccess, rabbitmq: RabbitAccess
) -> None:
    _strike(SiteMaker(folder, postgres.port, rabbitmq.port).apart, APART, "hub-apart")
