"""A decision that crosses a process border is the decision that was made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bus.core import request_decision
from bus.core.decision import Accepted, Decision, Refused
from bus.core.decision_encoding import DecisionUnreadable
from bus.core.envelope import SoapVersion
from bus.core.errors import HubInternal, TooCostly
from bus.core.identifiers import ServiceId
from bus.core.pipeline import Rules
from bus.judging.frame_content import (
    FrameBroken,
    decision_of,
    decisions_from_bytes,
    decisions_to_bytes,
    task_of,
    tasks_from_bytes,
    tasks_to_bytes,
)
from signing.names import SOAP11
from tests.envelopes import with_header
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    NOW,
    OTHER_CLIENT,
    SAMPLE,
    SmallNation,
    decide_request,
    payload,
    request,
)


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


def crossed(decision: Decision, rules: Rules) -> Decision:
    """The decision as the hub reads what the process beside wrote."""
    content = decisions_to_bytes(rules.digest, [(7, decision)])
    digest, [(number, encoded)] = decisions_from_bytes(memoryview(content))
    assert (digest, number) == (rules.digest, 7)
    return decision_of(encoded, rules)


def test_tasks_cross_with_their_time_to_the_microsecond() -> None:
    now = NOW + timedelta(microseconds=123_457)
    tasks = [task_of(1, b"<a/>", now), task_of(2, b"", NOW)]
    assert tasks_from_bytes(tasks_to_bytes(tasks)) == [(1, now, b"<a/>"), (2, NOW, b"")]


def test_an_accepted_message_crosses_with_all_that_its_delivery_needs(nation: SmallNation) -> None:
    made = decide_request(request(nation), nation.rules, NOW, unreported)
    assert isinstance(made, Accepted)

    read = crossed(made, nation.rules)

    assert read == made
    assert read.proof is not None
    assert read.proof.certificate == nation.signers[CLIENT].certificate_der


@pytest.mark.parametrize("version", SoapVersion)
def test_a_metaservice_and_a_soap_version_cross(version: SoapVersion, nation: SmallNation) -> None:
    service = ServiceId.parse("VN/GOV/G01/dancu/listMethods/")
    body = b'<x:listMethods xmlns:x="http://x-road.eu/xsd/xroad.xsd"/>'
    raw = request(nation, service=service, body=body, soap_version=version)
    made = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(made, Accepted)

    read = crossed(made, nation.rules)

    assert read == made
    assert isinstance(read, Accepted)
    assert (read.service, read.facts.version) == (service, version)


def without(rules: Rules, **missing: object) -> Rules:
    return replace(rules, registry=replace(rules.registry, **missing))  # type: ignore[arg-type]


@pytest.mark.parametrize("missing", ["services", "grants"])
def test_what_the_hubs_own_rules_do_not_grant_is_never_accepted(
    missing: str, nation: SmallNation
) -> None:
    made = decide_request(request(nation), nation.rules, NOW, unreported)

    with pytest.raises(DecisionUnreadable):
        crossed(made, without(nation.rules, **{missing: {}}))


@pytest.mark.parametrize("change", [{"adapter": "other"}, {"purpose": "curiosity"}])
def test_what_is_accepted_goes_where_the_rules_send_it(
    change: dict[str, str], nation: SmallNation
) -> None:
    made = decide_request(request(nation), nation.rules, NOW, unreported)
    assert isinstance(made, Accepted)

    with pytest.raises(DecisionUnreadable):
        crossed(replace(made, **change), nation.rules)  # type: ignore[arg-type]


MESSAGES: dict[str, Callable[[SmallNation], bytes]] = {
    "not XML": lambda nation: b"not XML",
    "altered": lambda nation: request(nation).replace(b"VN0117", b"VN0118"),
    "old": lambda nation: request(nation, created=NOW - timedelta(hours=1)),
    "no grant": lambda nation: request(nation, client=CLIENT_WITHOUT_GRANT),
    "other signer": lambda nation: request(nation, signer=nation.signers[OTHER_CLIENT]),
    "schema": lambda nation: request(nation, body=SAMPLE.replace(b"SoDinhDanh", b"SoNhaNuoc")),
    "not understood": lambda nation: with_header(
        request(nation), b'<x:y xmlns:x="urn:x" soap:mustUnderstand="1"/>'
    ),
    "a fault": lambda nation: (
        b'<s:Envelope xmlns:s="%s"><s:Body><s:Fault><faultcode>CODE</faultcode></s:Fault></s:Body>'
        b"</s:Envelope>" % SOAP11.encode()
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_refusal_crosses_with_its_reason_and_how_far_it_came(
    name: str, nation: SmallNation
) -> None:
    raw = MESSAGES[name](nation)
    made = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(made, Refused)

    read = crossed(made, nation.rules)

    assert isinstance(read, Refused)
    assert read == made
    assert type(read.error) is type(made.error)
    assert read.error.xroad_code == made.error.xroad_code


def test_a_mistake_of_ours_is_reported_and_refused_as_internal(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Exception] = []

    def broken(*_: object) -> Decision:
        raise ZeroDivisionError(payload())

    monkeypatch.setattr(request_decision, "decide", broken)

    decision = decide_request(request(nation), nation.rules, NOW, reported.append)

    assert [type(error) for error in reported] == [ZeroDivisionError]
    assert isinstance(decision, Refused)
    assert isinstance(decision.error, HubInternal)
    assert decision.error.detail == "ZeroDivisionError"


def test_a_message_that_finds_no_memory_is_refused(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Decision:
        raise MemoryError

    monkeypatch.setattr(request_decision, "decide", broken)

    decision = decide_request(request(nation), nation.rules, NOW, unreported)

    assert isinstance(decision, Refused)
    assert isinstance(decision.error, TooCostly)


@pytest.mark.parametrize("kind", ["tasks", "decisions"])
def test_a_frame_without_its_form_is_no_frame(kind: str, nation: SmallNation) -> None:
    refused = Refused(HubInternal("x"))
    whole = {
        "tasks": tasks_to_bytes([task_of(1, b"<a/>", NOW), task_of(2, b"<b/>", NOW)]),
        "decisions": decisions_to_bytes(nation.rules.digest, [(1, refused), (2, refused)]),
    }[kind]
    read: Callable[[bytes], object] = {
        "tasks": tasks_from_bytes,
        "decisions": decisions_from_bytes,
    }[kind]
    first = len(
        tasks_to_bytes([task_of(1, b"<a/>", NOW)])
        if kind == "tasks"
        else decisions_to_bytes(nation.rules.digest, [(1, refused)])
    )
    # A frame that ends behind a whole one of its parts is a frame of fewer.
    ends = {0 if kind == "tasks" else 1 + len(nation.rules.digest), first}

    for end in set(range(len(whole))) - ends:
        with pytest.raises(FrameBroken):
            read(whole[:end])
    for nonsense in (b"x", b"nonsense"):
        with pytest.raises(FrameBroken):
            read(nonsense)
