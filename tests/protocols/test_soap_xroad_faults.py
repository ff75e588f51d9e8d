"""Faults on the wire: both spellings, our own detail, nothing that a console stumbles over."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.faults import Fault, SoapCode, fault_of
from bus.core.registry import FaultSpelling
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.faults import fault_element, fault_header, spell
from bus.protocols.soap_xroad.names import likely_version
from signing.names import SOAP11, SOAP12

SOAP_1_2 = SoapVersion.SOAP_1_2
LT = "{urn:lienthong:message:1.0}"


@pytest.mark.parametrize(
    ("pascal", "snake"),
    [
        ("Client.InvalidSoap", "client.invalid_soap"),
        ("Client.MissingHeaderField", "client.missing_header_field"),
        ("Server.ServerProxy.AccessDenied", "server.serverproxy.access_denied"),
        ("Server.ClientProxy.UnknownMember", "server.clientproxy.unknown_member"),
        ("Server.ServerProxy.ServiceFailed.IOError", "server.serverproxy.service_failed.io_error"),
        (
            "Server.ServerProxy.SslAuthenticationFailed",
            "server.serverproxy.ssl_authentication_failed",
        ),
    ],
)
def test_codes_are_spelt_as_each_version_of_x_road_does(pascal: str, snake: str) -> None:
    assert spell(pascal, FaultSpelling.PASCAL) == pascal
    assert spell(pascal, FaultSpelling.SNAKE) == snake


def fault(
    reason: str = "It is so.", message_id: str = "m-1", *, is_retryable: bool = False
) -> Fault:
    return Fault("a.b", "Client.X", reason, "f-1", message_id, bytes(32), is_retryable)


def read(one: Fault) -> dict[str, str]:
    element = fault_element(one, FaultSpelling.PASCAL)
    raw = f'<soap:Body xmlns:soap="{SOAP11}">'.encode() + element + b"</soap:Body>"
    root = parse_xml(raw, bytes_max=len(raw))[0]
    return {leaf.tag: leaf.text or "" for leaf in root.iter() if not len(leaf)}


def test_a_fault_says_code_reason_and_what_to_quote() -> None:
    assert read(fault()) == {
        "faultcode": "Client.X",
        "faultstring": "It is so.",
        "faultDetail": "f-1",
        f"{LT}code": "a.b",
        f"{LT}faultId": "f-1",
        f"{LT}messageId": "m-1",
        f"{LT}requestDigest": "A" * 43 + "=",
        f"{LT}retryable": "false",
    }
    assert read(fault(is_retryable=True))[f"{LT}retryable"] == "true"


@given(reason=st.text(), message_id=st.text(st.characters(codec="utf-8")).filter(str.isprintable))
def test_what_is_told_is_printable_and_keeps_its_length(reason: str, message_id: str) -> None:
    said = read(fault(reason, message_id))

    assert said["faultstring"].isprintable()
    assert len(said["faultstring"]) == len(reason)
    assert said[f"{LT}messageId"] == message_id


# --- SOAP 1.2 ------------------------------------------------------------------------------------

S12 = f"{{{SOAP12}}}"


def element_of(one: Fault, version: SoapVersion, spelling: FaultSpelling) -> etree._Element:
    element = fault_element(one, spelling, version)
    raw = f'<soap:Body xmlns:soap="{version}">'.encode() + element + b"</soap:Body>"
    return parse_xml(raw, bytes_max=len(raw))[0]


@pytest.mark.parametrize("code", list(SoapCode))
def test_a_fault_of_soap_1_2_has_a_code_of_soap_and_one_of_x_road(code: SoapCode) -> None:
    element = element_of(
        replace(fault(), soap_code=code, actor="urn:a"), SOAP_1_2, FaultSpelling.SNAKE
    )

    assert [value.text for value in element.iter(f"{S12}Value")] == [
        f"soap:{code}",
        "code:client.x",
    ]
    assert [child.tag for child in element] == [
        f"{S12}{name}" for name in ("Code", "Reason", "Role", "Detail")
    ]
    assert element.findtext(f"{S12}Role") == "urn:a"
    assert element.findtext(f"{S12}Detail/{LT}error/{LT}code") == "a.b"


def test_a_code_that_is_no_name_is_no_subcode() -> None:
    foreign = replace(fault(), xroad_code="soap:Server", keeps_spelling=True)

    element = element_of(foreign, SOAP_1_2, FaultSpelling.SNAKE)

    assert [value.text for value in element.iter(f"{S12}Value")] == ["soap:Receiver"]


@pytest.mark.parametrize("version", SoapVersion)
def test_the_code_of_somebody_else_keeps_its_spelling(version: SoapVersion) -> None:
    foreign = replace(fault(), xroad_code="NoSuchYear", keeps_spelling=True)

    element = element_of(foreign, version, FaultSpelling.SNAKE)

    assert "NoSuchYear" in str(element.xpath("string()"))


def test_what_a_service_said_stands_before_what_the_hub_says() -> None:
    said = replace(fault(), keeps_spelling=True, detail_content=b"<a>1</a>", actor="urn:a")

    element = element_of(said, SoapVersion.SOAP_1_1, FaultSpelling.PASCAL)

    assert [child.tag for child in element] == ["faultcode", "faultstring", "faultactor", "detail"]
    assert [child.tag for child in element[-1]] == ["a", f"{LT}error"]


@pytest.mark.parametrize(
    ("code", "subject", "version", "expected"),
    [
        (SoapCode.VERSION_MISMATCH, "", SoapVersion.SOAP_1_1, b""),
        (SoapCode.SENDER, "{urn:x}y", SOAP_1_2, b""),
        (SoapCode.MUST_UNDERSTAND, "", SOAP_1_2, b""),
        (SoapCode.MUST_UNDERSTAND, "y", SOAP_1_2, b'<soap:NotUnderstood qname="y">'),
        (
            SoapCode.MUST_UNDERSTAND,
            '{urn:"<x>&}y',
            SOAP_1_2,
            b'<soap:NotUnderstood xmlns:q="urn:&quot;&lt;x&gt;&amp;" qname="q:y">',
        ),
        (SoapCode.VERSION_MISMATCH, "", SOAP_1_2, b"<soap:Upgrade><soap:SupportedEnvelope "),
    ],
)
def test_a_fault_of_soap_itself_is_explained_in_a_header(
    code: SoapCode, subject: str, version: SoapVersion, expected: bytes
) -> None:
    block = fault_header(replace(fault(), soap_code=code, subject=subject), version)

    assert block.startswith(expected)
    assert bool(block) == bool(expected)


def test_a_code_that_came_later_is_told_to_older_clients_as_the_one_before() -> None:
    code = errors.RecipientHostUnknown.xroad

    assert spell(code, FaultSpelling.PASCAL) == "Server.ServerProxy.ServiceFailed.NetworkError"
    assert spell(code, FaultSpelling.SNAKE) == "server.serverproxy.service_failed.unknown_host"


@pytest.mark.parametrize("error", list(errors.all_errors()))
def test_every_code_of_ours_has_both_spellings(error: type[errors.BusError]) -> None:
    snake = spell(error.xroad, FaultSpelling.SNAKE)

    assert re.fullmatch(r"(client|server\.(clientproxy|serverproxy))(\.[a-z_]+)+", snake)
    words = snake.replace("_", "").split(".")
    # unknown_host is the one name that has no older twin.
    assert words == error.xroad.lower().split(".")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", SoapVersion.SOAP_1_1),
        (b"<html/>", SoapVersion.SOAP_1_1),
        (SOAP11.encode(), SoapVersion.SOAP_1_1),
        (SOAP12.encode(), SOAP_1_2),
        (f"{SOAP12} {SOAP11}".encode(), SOAP_1_2),
        (f"{SOAP11} {SOAP12}".encode(), SoapVersion.SOAP_1_1),
        (b" " * 1024 + SOAP12.encode(), SoapVersion.SOAP_1_1),
    ],
)
def test_the_start_of_a_message_shows_its_version(raw: bytes, expected: SoapVersion) -> None:
    assert likely_version(raw) is expected


@pytest.mark.parametrize(
    ("spelling", "came", "told"),
    [
        (FaultSpelling.SNAKE, "Client.MyCode", "client.MyCode"),
        (FaultSpelling.PASCAL, "client.MyCode", "Client.MyCode"),
        (FaultSpelling.SNAKE, "Client.A.b", "client.A.b"),
    ],
)
def test_a_clients_own_code_is_its_own_behind_a_word_of_x_road(
    spelling: FaultSpelling, came: str, told: str
) -> None:
    one = replace(fault(), code=errors.FaultSent.code, xroad_code=came, keeps_spelling=True)

    assert f"<faultcode>{told}<".encode() in fault_element(one, spelling)


def test_a_fault_without_a_code_is_told_in_x_roads_words() -> None:
    told = fault_of(
        errors.FaultSent(),
        fault_id="f",
        message_id="",
        request_digest=bytes(32),
        show_precise_faults=False,
    )

    assert b"<faultcode>client.invalid_message<" in fault_element(told, FaultSpelling.SNAKE)
