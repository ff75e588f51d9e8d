"""The data of the sample nation, made once, and its simulated agencies, each started once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import pytest

from bus.sandbox.sandbox_data import SEED_DEFAULT, keep_data
from tests.adapters.running_agencies import MANIFESTS, RunningAgency, run_agency


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nation") / "data"
    keep_data(folder, SEED_DEFAULT, MANIFESTS)
    return folder


@pytest.fixture(scope="session")
def running_agency(data_dir: Path) -> Iterator[Callable[[str], RunningAgency]]:
    """Start the agency of an adapter, when it is first asked for."""
    with ExitStack() as running:

        @cache
        def start(adapter: str) -> RunningAgency:
            return running.enter_context(run_agency(adapter, data_dir))

        yield start
