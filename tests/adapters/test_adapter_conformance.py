"""Both adapters keep the contract, and the suite finds out one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree
from running_agencies import RunningAgency, population_settings, registry_settings

import adapters
from bus.kit import conformance
from bus.kit.contract import Adapter, AdapterSettings, Answer, Query

ADAPTERS = Path(adapters.__path__[0])


class TestPopulation(conformance.AdapterConformance):
    folder = ADAPTERS / "population"
    provider = "VN/GOV/G01/dancu"
    schema = "dancu/1.0/dancu.xsd"
    address_settings = ("url",)

    @pytest.fixture
    def settings(self, population_agency: RunningAgency) -> AdapterSettings:
        return population_settings(population_agency.address)


class TestBusinessRegistry(conformance.AdapterConformance):
    folder = ADAPTERS / "business_registry"
    provider = "VN/GOV/G12/dkdn"
    schema = "dkdn/1.0/dkdn.xsd"
    address_settings = ("url", "token_url")

    @pytest.fixture
    def settings(self, registry_agency: RunningAgency) -> AdapterSettings:
        return registry_settings(registry_agency.address)


class HostileAdapter(Adapter):
    """Answers every question with another element, late, and shows its secret."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self.shown = settings["secret"]

    def answer(self, query: Query) -> Answer:
        ends = time.monotonic() + query.timeout_seconds + conformance.GRACE_SECONDS
        while query.timeout_seconds < 1 and time.monotonic() < ends:
            continue
        return Answer(etree.Element("khac"))


HOSTILE_SETTINGS = {"url": "http://127.0.0.1:9/", "username": "u", "secret": "rat-bi-mat"}


@pytest.mark.parametrize(
    "check",
    [
        TestPopulation.test_every_sample_is_answered_in_the_schema,
        TestPopulation.test_as_many_threads_as_it_allows_are_answered_at_once,
        TestPopulation.test_an_agency_that_is_not_there_is_unavailable,
        TestPopulation.test_an_agency_that_never_answers_costs_the_timeout_and_no_more,
        TestPopulation.test_a_service_that_it_does_not_carry_is_rejected,
        TestPopulation.test_secrets_show_in_no_repr,
    ],
    ids=lambda check: str(check.__name__),
)
def test_a_hostile_adapter_fails_each_check(
    check: Callable[[TestPopulation, AdapterSettings], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        conformance, "load_adapter", lambda manifest, settings: HostileAdapter(settings)
    )
    with pytest.raises((AssertionError, etree.DocumentInvalid)):
        check(TestPopulation(), HOSTILE_SETTINGS)
