"""The simulated business registry and the adapter that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adapters.business_registry.adapter import BusinessRegistryAdapter
from tests.adapters.running_agencies import RunningAgency


@pytest.fixture
def registry_agency(running_agency: Callable[[str], RunningAgency]) -> RunningAgency:
    return running_agency("business_registry")


@pytest.fixture
def registry(registry_agency: RunningAgency) -> Iterator[BusinessRegistryAdapter]:
    adapter = BusinessRegistryAdapter(registry_agency.settings)
    yield adapter
    adapter.close()
