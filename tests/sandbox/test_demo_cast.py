"""Who plays in the demo is chosen from routes and manifests, whichever agencies there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError
from bus.core.registry import MemberRegistry
from bus.core.xml import parse_again
from bus.kit.manifest import CITIZEN, RELATIVE, Manifest, ManifestService
from bus.kit.shown_facts import ShownFact
from bus.sandbox.agencies import routed_manifests
from bus.sandbox.demo_cast import choose_cast
from bus.sandbox.demo_stage import DemoFailed, check_facts
from bus.sandbox.nation_files import reference_routes
from bus.sandbox.sandbox_data import Story
from bus.settings.routes import read_registry

REGISTRY = read_registry(reference_routes())
FACT = ShownFact("Tên", "name")
TOLD = Story("1", "Vũ Thị Hương", "1985", "2", "Đinh Minh Mạnh")


def manifests_showing(registry: MemberRegistry, *places: int) -> dict[str, Manifest]:
    """A manifest for each adapter of the routes, which shows the services at these places."""
    found: dict[str, Manifest] = {}
    for place, (known, service) in enumerate(registry.services.items()):
        shown = (FACT,) if place in places else ()
        declared = ManifestService(known.service_code, known.service_version, Path(), shown)
        before = found.get(service.adapter)
        services = (*(before.services if before else ()), declared)
        name = f"Agency of {service.adapter}"
        found[service.adapter] = Manifest(service.adapter, name, Path(), "", 1, services, {})
    return found


def test_the_office_may_ask_everything_that_is_shown() -> None:
    for place, (service, known) in enumerate(REGISTRY.services.items()):
        if known.submission is not None:
            continue
        cast = choose_cast(REGISTRY, manifests_showing(REGISTRY, place))

        assert [question.service for question in cast.questions] == [service]
        assert (cast.office, service) in REGISTRY.grants


def test_it_is_of_the_citizens_province_where_one_may_ask() -> None:
    cast = choose_cast(REGISTRY, manifests_showing(REGISTRY, 0, 3))

    assert REGISTRY.members[cast.office.member].name.endswith("Nghệ An")
    elsewhere = {key: one for key, one in REGISTRY.grants.items() if key[0] != cast.office}
    other = choose_cast(
        replace(REGISTRY, grants=elsewhere), manifests_showing(REGISTRY, 0, 3)
    ).office
    assert other != cast.office
    assert all((other, question.service) in elsewhere for question in cast.questions)


def test_the_stranger_has_no_grant_and_gives_no_service() -> None:
    cast = choose_cast(REGISTRY, manifests_showing(REGISTRY, 0))

    assert cast.stranger not in {client for client, _ in REGISTRY.grants}
    assert cast.stranger not in {service.provider for service in REGISTRY.services}
    assert cast.stranger != REGISTRY.hub


def test_agencies_are_named_once_and_in_order() -> None:
    cast = choose_cast(REGISTRY, manifests_showing(REGISTRY, 0, 1, 3))

    adapters = dict.fromkeys(REGISTRY.services[one.service].adapter for one in cast.questions)
    assert cast.agencies == tuple(f"Agency of {adapter}" for adapter in adapters)


(EVENT,) = REGISTRY.subscriptions
SUBSCRIBERS = tuple(REGISTRY.subscriptions[EVENT])
BROUGHT = tuple(one for one in SUBSCRIBERS if REGISTRY.recipients[one])


def with_document(
    folder: Path, *, shows: bool = True, is_simulated: bool = True
) -> dict[str, Manifest]:
    """The manifests of the routes with a question, and with or without a document to show."""
    read = routed_manifests(folder, REGISTRY)[REGISTRY.recipients[BROUGHT[0]]]
    declared = tuple(replace(one, shown=(FACT,) if shows else ()) for one in read.services)
    simulator = read.simulator if is_simulated else None
    changed = replace(read, services=declared, simulator=simulator)
    return {**manifests_showing(REGISTRY, 0), read.id: changed}


def test_a_document_goes_to_all_subscribers_and_one_at_home_is_away(tmp_path: Path) -> None:
    document = choose_cast(REGISTRY, with_document(tmp_path)).document

    assert document is not None
    assert (document.sender, document.service) in REGISTRY.grants
    assert (document.service, document.shown) == (EVENT, (FACT,))
    assert document.brought == BROUGHT
    assert set(document.by_mailbox) == set(SUBSCRIBERS) - set(BROUGHT)
    assert len(document.by_mailbox) > 0
    assert document.adapter == REGISTRY.recipients[document.away]
    assert REGISTRY.members[document.away.member].name.endswith("Nghệ An")


def test_where_none_of_the_citizens_province_gets_it_the_first_is_away(tmp_path: Path) -> None:
    manifests = with_document(tmp_path)
    usual = choose_cast(REGISTRY, manifests).document
    assert usual is not None
    subscribed = dict(REGISTRY.subscriptions[EVENT])
    del subscribed[usual.away]

    changed = replace(REGISTRY, subscriptions={EVENT: subscribed})

    document = choose_cast(changed, manifests).document
    assert document is not None
    assert document.away == document.brought[0] == BROUGHT[0]


def test_no_document_is_played_that_nobody_shows_sends_or_simulates(tmp_path: Path) -> None:
    grants = {key: one for key, one in REGISTRY.grants.items() if key[1] != EVENT}
    for registry, manifests in (
        (REGISTRY, with_document(tmp_path, shows=False)),
        (REGISTRY, with_document(tmp_path, is_simulated=False)),
        (REGISTRY, manifests_showing(REGISTRY, 0)),
        (replace(REGISTRY, grants=grants), with_document(tmp_path)),
    ):
        assert choose_cast(registry, manifests).document is None


def test_what_is_submitted_is_no_question() -> None:
    submitted = [
        place for place, one in enumerate(REGISTRY.services.values()) if one.submission is not None
    ]
    assert submitted

    cast = choose_cast(REGISTRY, manifests_showing(REGISTRY, 0, *submitted))

    assert len(cast.questions) == 1


def test_without_players_there_is_no_story() -> None:
    members = {known: replace(member, subsystems=()) for known, member in REGISTRY.members.items()}
    for changed in (replace(REGISTRY, grants={}), replace(REGISTRY, members=members)):
        with pytest.raises(ConfigurationError, match="without any grant"):
            choose_cast(changed, manifests_showing(REGISTRY, 0))


def test_where_nothing_is_shown_there_is_no_story() -> None:
    with pytest.raises(ConfigurationError, match="shown"):
        choose_cast(REGISTRY, manifests_showing(REGISTRY))


@pytest.mark.parametrize(
    ("expected", "is_so"),
    [("", True), (CITIZEN, True), ("Vũ Thị Hương", True), (RELATIVE, False), ("Vũ", False)],
)
def test_a_fact_must_be_what_its_manifest_expects(expected: str, *, is_so: bool) -> None:
    answer = parse_again("<a><name>Vũ Thị Hương</name></a>".encode())
    service, shown = next(iter(REGISTRY.services)), (replace(FACT, expected=expected),)

    if is_so:
        check_facts(TOLD, service, shown, answer)
    else:
        with pytest.raises(DemoFailed, match="name is not what was expected"):
            check_facts(TOLD, service, shown, answer)
