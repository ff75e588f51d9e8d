"""The simulated agencies and their adapters, over data made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from running_agencies import (
    RunningAgency,
    population_settings,
    registry_settings,
    run_agency,
)

from adapters.business_registry.adapter import BusinessRegistryAdapter
from adapters.population.adapter import PopulationAdapter
from bus.sandbox.sandbox_data import build_data


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nation")
    build_data(folder)
    return folder


@pytest.fixture(scope="session")
def population_agency(data_dir: Path) -> Iterator[RunningAgency]:
    with run_agency("population", data_dir) as running:
        yield running


@pytest.fixture(scope="session")
def registry_agency(data_dir: Path) -> Iterator[RunningAgency]:
    with run_agency("business_registry", data_dir) as running:
        yield running


@pytest.fixture
def population(population_agency: RunningAgency) -> Iterator[PopulationAdapter]:
    adapter = PopulationAdapter(population_settings(population_agency.address))
    yield adapter
    adapter.close()


@pytest.fixture
def registry(registry_agency: RunningAgency) -> Iterator[BusinessRegistryAdapter]:
    adapter = BusinessRegistryAdapter(registry_settings(registry_agency.address))
    yield adapter
    adapter.close()
