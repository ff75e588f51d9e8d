"""Where hub and worker lie, and where they meet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.fixtures import RabbitAccess


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may walk through."""
    with tempfile.TemporaryDirectory(prefix="lienthong-worker-") as made:
        path = Path(made)
        path.chmod(0o711)
        yield path


@pytest.fixture
def rabbit(rabbitmq: RabbitAccess) -> tuple[int, str]:
    return rabbitmq.port, rabbitmq.make_prefix()
