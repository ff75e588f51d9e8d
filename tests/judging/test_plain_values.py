"""A decision that crosses a process border is the decision that was made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from bus.core.decision import Accepted, Decision
from bus.core.envelope import SoapVersion
from bus.core.errors import BusError, HubInternal, TooCostly
from bus.core.identifiers import ServiceId
from bus.core.pipeline import Refusal, Rules
from bus.judging.plain_values import (
    decision_of,
    decisions_from_bytes,
    decisions_to_bytes,
    task_of,
    tasks_from_bytes,
    tasks_to_bytes,
)
from bus.protocols.soap_xroad import judging
from bus.protocols.soap_xroad.judging import decide_request
from signing.names import SOAP11
from tests.envelopes import with_header
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    NOW,
    OTHER_CLIENT,
    SAMPLE,
    SmallNation,
    payload,
    request,
)


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


def crossed(decision: Decision, raw: bytes, rules: Rules) -> Decision:
    """The decision as the hub reads what the process beside wrote."""
    content = decisions_to_bytes(rules.digest, [(7, decision)])
    digest, [(number, plain)] = decisions_from_bytes(memoryview(content))
    assert (digest, number) == (rules.digest, 7)
    return decision_of(plain, raw, rules)


def test_tasks_cross_with_their_time_to_the_microsecond() -> None:
    now = NOW + timedelta(microseconds=123_457)
    tasks = [task_of(1, b"<a/>", now), task_of(2, b"", NOW)]
    assert tasks_from_bytes(tasks_to_bytes(tasks)) == [(1, now, b"<a/>"), (2, NOW, b"")]


def test_an_accepted_message_crosses_with_all_that_its_delivery_needs(nation: SmallNation) -> None:
    raw = request(nation)
    made = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(made, Accepted)

    read = crossed(made, raw, nation.rules)

    assert isinstance(read, Accepted)
    assert read.payload == made.payload
    assert read.answer_blocks == made.answer_blocks
    assert read.message.idempotency_key == made.message.idempotency_key
    assert read.message.adapter == made.message.adapter
    assert read.message.valid.schema is made.message.valid.schema
    ours, theirs = read.message.valid.authorised, made.message.valid.authorised
    assert (ours.service, ours.grant) == (theirs.service, theirs.grant)
    assert ours.verified.certificate_digest == theirs.verified.certificate_digest
    assert ours.verified.certificate == theirs.verified.certificate
    assert ours.verified.certificate == nation.signers[CLIENT].certificate_der
    assert ours.verified.signature_digest == theirs.verified.signature_digest
    assert (ours.verified.sender, ours.verified.created) == (theirs.verified.sender, NOW)
    for fact in ("raw", "digest", "client", "service", "message_id", "user_id", "issue"):
        wanted = getattr(theirs.verified.envelope, fact)
        assert getattr(ours.verified.envelope, fact) == wanted


@pytest.mark.parametrize("version", SoapVersion)
def test_a_metaservice_and_a_soap_version_cross(version: SoapVersion, nation: SmallNation) -> None:
    service = ServiceId.parse("VN/GOV/G01/dancu/listMethods/")
    body = b'<x:listMethods xmlns:x="http://x-road.eu/xsd/xroad.xsd"/>'
    raw = request(nation, service=service, body=body, soap_version=version)
    made = decide_request(raw, nation.rules, NOW, unreported)
    assert isinstance(made, Accepted)

    read = crossed(made, raw, nation.rules)

    assert isinstance(read, Accepted)
    ours, theirs = read.message.valid.authorised, made.message.valid.authorised
    assert (ours.service, ours.grant) == (theirs.service, theirs.grant)
    assert ours.verified.envelope.soap_version is version
    assert read.message.valid.schema is made.message.valid.schema


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
    assert isinstance(made, Refusal)

    read = crossed(made, raw, nation.rules)

    assert isinstance(read, Refusal)
    assert type(read.error) is type(made.error)
    assert (read.error.detail, read.error.public_detail) == facts_of(made.error)
    assert (read.error.subject, read.error.xroad_code) == (
        made.error.subject,
        made.error.xroad_code,
    )
    assert (read.envelope is None, read.verified is None) == (
        made.envelope is None,
        made.verified is None,
    )
    if made.envelope is not None and read.envelope is not None:
        assert read.envelope.message_id == made.envelope.message_id
        assert read.envelope.digest == made.envelope.digest
    if made.verified is not None and read.verified is not None:
        assert read.verified.certificate_digest == made.verified.certificate_digest


def facts_of(error: BusError) -> tuple[str, str]:
    return error.detail, error.public_detail


def test_a_mistake_of_ours_is_reported_and_refused_as_internal(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Exception] = []

    def broken(*_: object) -> Decision:
        raise ZeroDivisionError(payload())

    monkeypatch.setattr(judging, "decide", broken)

    decision = decide_request(request(nation), nation.rules, NOW, reported.append)

    assert [type(error) for error in reported] == [ZeroDivisionError]
    assert isinstance(decision, Refusal)
    assert isinstance(decision.error, HubInternal)
    assert decision.error.detail == "ZeroDivisionError"


def test_a_message_that_finds_no_memory_is_refused(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Decision:
        raise MemoryError

    monkeypatch.setattr(judging, "decide", broken)

    decision = decide_request(request(nation), nation.rules, NOW, unreported)

    assert isinstance(decision, Refusal)
    assert isinstance(decision.error, TooCostly)


@pytest.mark.parametrize("content", [b"", b"x", b"nonsense", decisions_to_bytes(b"", [])[:-3]])
def test_a_frame_without_its_form_is_no_decision(content: bytes) -> None:
    with pytest.raises((ValueError, TypeError, EOFError)):
        decisions_from_bytes(content)
