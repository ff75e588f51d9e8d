"""Every adapter with a simulator keeps the contract, and the suite finds out one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lxml import etree

from bus.kit import conformance
from bus.kit.contract import Adapter, AdapterSettings, Answer, Query
from bus.kit.manifest import Manifest
from tests.adapters.running_agencies import MANIFESTS, SIMULATED, RunningAgency, settings_of
from tests.nation import REFERENCE


def suite_of(manifest: Manifest) -> type[conformance.AdapterConformance]:
    """The suite for one adapter, as manifest and routes.yaml describe it."""
    assert manifest.simulator is not None
    known, service = next(
        (known, one) for known, one in REFERENCE.services.items() if one.adapter == manifest.id
    )

    assert manifest.simulator is not None
    simulator = manifest.simulator

    class Suite(conformance.AdapterConformance):
        folder = manifest.folder
        provider = str(known.provider)
        schema = service.schema
        address_settings = simulator.address_settings

        @pytest.fixture
        def settings(self, running_agency: Callable[[str], RunningAgency]) -> AdapterSettings:
            return running_agency(manifest.id).settings

    return Suite


SUITES = {name: suite_of(MANIFESTS[name]) for name in SIMULATED}
# pytest finds classes by their names; `-k` with the id of an adapter runs its suite.
globals().update({f"Test_{name}": suite for name, suite in SUITES.items()})


class HostileAdapter(Adapter):
    """Answers every question with another element, late, and shows its settings."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self.shown = dict(settings)

    def answer(self, query: Query) -> Answer:
        ends = time.monotonic() + query.timeout_seconds + conformance.GRACE_SECONDS
        while query.timeout_seconds < 1 and time.monotonic() < ends:
            continue
        return Answer(etree.Element("khac"))


Suite = conformance.AdapterConformance
CHECKS = [
    Suite.test_every_sample_is_answered_in_the_schema,
    Suite.test_as_many_threads_as_it_allows_are_answered_at_once,
    Suite.test_an_agency_that_is_not_there_is_unavailable,
    Suite.test_an_agency_that_never_answers_costs_the_timeout_and_no_more,
    Suite.test_a_service_that_it_does_not_carry_is_rejected,
    Suite.test_secrets_show_in_no_repr,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_a_hostile_adapter_fails_each_check(
    check: Callable[[conformance.AdapterConformance, AdapterSettings], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        conformance, "load_adapter", lambda manifest, settings: HostileAdapter(settings)
    )
    name = SIMULATED[0]
    with pytest.raises((AssertionError, etree.DocumentInvalid)):
        check(SUITES[name](), settings_of(name, "http://127.0.0.1:9"))
