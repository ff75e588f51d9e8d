"""Where the hubs of a test keep their entries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hub.running_hub import kept_in


@pytest.fixture(params=["sqlite", "postgres"])
def each_store(request: pytest.FixtureRequest) -> Iterator[None]:
    """The test happens once for each kind of store."""
    in_database = request.param == "postgres"
    with kept_in(request.getfixturevalue("log_database") if in_database else None):
        yield
