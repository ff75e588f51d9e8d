"""Faults on the wire: both spellings, our own detail, nothing that a console stumbles over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.faults import Fault
from bus.core.nation import FaultSpelling
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.faults import fault_element, spell
from signing.names import SOAP11

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
