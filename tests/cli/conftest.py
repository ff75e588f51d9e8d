"""One sandbox for the tests of the commands, started and ended as a user does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import lienthong_process, output_of, processes_of


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a sandbox that runs, detached."""
    folder = tmp_path_factory.mktemp("sandbox")
    up = lienthong_process("sandbox", "up", "--dir", folder, "--detach")
    try:
        assert up.returncode == 0, output_of(up)
        yield folder
    finally:
        down = lienthong_process("sandbox", "down", "--dir", folder)
    assert down.returncode == 0, output_of(down)
    assert processes_of(folder) == []
