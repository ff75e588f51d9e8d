"""What the tests with foreign stacks share: one sandbox that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.sandbox.description import Description, read_description
from bus.sandbox.up import Wish, running_sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Description]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(Wish(folder)):
        yield read_description(folder)
