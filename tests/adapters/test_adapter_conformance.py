"""Every adapter with a simulator keeps the contract, and the suite finds out one that does not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lxml import etree

from bus.delivery.carrying import services_carried
from bus.kit import conformance
from bus.kit.contract import (
    Adapter,
    AdapterSettings,
    Answer,
    Delivered,
    Disposition,
    Query,
    Retry,
    Submission,
    SubsystemId,
)
from bus.kit.manifest import Manifest
from tests.adapters.running_agencies import MANIFESTS, SIMULATED, RunningAgency, settings_of
from tests.nation import REFERENCE


def suite_of(manifest: Manifest) -> type[conformance.AdapterConformance]:
    """The suite for one adapter, as manifest and routes.yaml describe it."""
    assert manifest.simulator is not None
    carried = list(services_carried(manifest.id, REFERENCE))
    reached = [one for one, adapter in REFERENCE.recipients.items() if adapter == manifest.id]
    service = carried[0]

    assert manifest.simulator is not None
    simulator = manifest.simulator

    class Suite(conformance.AdapterConformance):
        folder = manifest.folder
        provider = str(service.id.provider)
        submissions = frozenset(
            one.id.service_code for one in carried if one.submission is not None
        )
        recipient = str(reached[0]) if reached else ""
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
    monkeypatch.setattr(conformance, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(
        conformance, "load_adapter", lambda manifest, settings: HostileAdapter(settings)
    )
    name = SIMULATED[0]
    with pytest.raises((AssertionError, etree.DocumentInvalid)):
        check(SUITES[name](), settings_of(name, "http://127.0.0.1:9"))


DELIVERED_BY = next(name for name in SIMULATED if SUITES[name].submissions)


class ForgetfulAdapter(Adapter):
    """Delivers, and does it again whenever it is told to; another time it says nothing of use."""

    said = iter(range(1000))

    def deliver(self, submission: Submission) -> Disposition:
        service = submission.service
        namespace = etree.QName(submission.element()).namespace
        root = etree.Element(f"{{{namespace}}}{service.service_code}Response")
        root.text = str(next(self.said))
        return Delivered(root)


class UnwillingAdapter(Adapter):
    """Never delivers, and says that nothing is wrong with its agency."""

    def deliver(self, submission: Submission) -> Disposition:
        return Retry()

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        return None


@pytest.mark.parametrize(
    ("adapter", "check"),
    [
        (ForgetfulAdapter, Suite.test_what_is_delivered_twice_has_one_effect),
        (UnwillingAdapter, Suite.test_what_is_delivered_twice_has_one_effect),
        (UnwillingAdapter, Suite.test_every_sample_is_answered_in_the_schema),
        (UnwillingAdapter, Suite.test_an_agency_that_can_be_probed_is_there_or_not),
    ],
)
def test_an_adapter_that_does_not_deliver_well_fails(
    adapter: type[Adapter],
    check: Callable[[conformance.AdapterConformance, AdapterSettings], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suite = SUITES[DELIVERED_BY]()
    monkeypatch.setattr(conformance, "load_adapter", lambda manifest, settings: adapter(settings))
    monkeypatch.setattr(conformance, "load_adapter_class", lambda manifest: adapter)
    monkeypatch.setattr(suite, "_check_said", lambda code, said: None)

    with pytest.raises(AssertionError):
        check(suite, settings_of(DELIVERED_BY, "http://127.0.0.1:9"))
