"""What the tests with foreign stacks share: one sandbox that runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bus.sandbox.description import SandboxDescription, read_description
from bus.sandbox.leased_ports import free_port
from bus.sandbox.up import SandboxOptions, running_sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxDescription]:
    folder = tmp_path_factory.mktemp("sandbox")
    # A port of its own: other test processes start sandboxes at the same moment.
    with running_sandbox(SandboxOptions(folder, port=free_port())):
        yield read_description(folder)
