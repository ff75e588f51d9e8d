"""The simulated population database and the adapter that asks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from adapters.population.adapter import PopulationAdapter
from tests.adapters.running_agencies import RunningAgency


@pytest.fixture
def population_agency(running_agency: Callable[[str], RunningAgency]) -> RunningAgency:
    return running_agency("population")


@pytest.fixture
def population(population_agency: RunningAgency) -> Iterator[PopulationAdapter]:
    adapter = PopulationAdapter(population_agency.settings)
    yield adapter
    adapter.close()
