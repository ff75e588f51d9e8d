"""SOAP 1.2 from end to end: asked and answered, refused and told, in its own words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.core.envelope import SoapVersion
from bus.core.xml import parse_xml
from bus.kit.contract import Answer, Query, ServiceFault
from bus.protocols.soap_xroad.names import XROAD
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from signing.names import SOAP11, SOAP12
from tests.envelopes import with_header
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.nation import CLIENT_WITHOUT_GRANT, SmallNation, request

SOAP_1_2 = SoapVersion.SOAP_1_2
TYPE = b'application/soap+xml; charset=utf-8; action="urn:tra-cuu"'
ANSWER_TYPE = b"application/soap+xml; charset=utf-8"
S = f"{{{SOAP12}}}"


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path) as one:
        yield one


def test_a_request_in_soap_1_2_gets_its_answer_in_soap_1_2(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation, soap_version=SOAP_1_2)

        first = await running.post(raw, content_type=TYPE)
        second = await running.post(raw, content_type=TYPE)

        assert isinstance(running.proved(first, raw), VerifiedAnswer)
        assert parse_xml(first.body, bytes_max=2**20).tag == f"{S}Envelope"
        assert (first.headers[b"content-type"], first.body) == (ANSWER_TYPE, second.body)
        assert second.headers[b"content-type"] == ANSWER_TYPE

    hub.tell(story)


def fault_of(body: bytes) -> dict[str, str]:
    """Each leaf of the fault by its name."""
    fault = parse_xml(body, bytes_max=2**20).find(f"{S}Body/{S}Fault")
    assert fault is not None
    return {leaf.tag.rpartition("}")[2]: leaf.text or "" for leaf in fault.iter() if not len(leaf)}


def values_of(body: bytes) -> list[str]:
    """Code and subcode."""
    code = parse_xml(body, bytes_max=2**20).find(f".//{S}Code")
    assert code is not None
    return [value.text or "" for value in code.iter(f"{S}Value")]


def namespace_of_code(body: bytes) -> str | None:
    """Where the name of the innermost subcode comes from. SOAP 1.2 Part 1 §5.4.3: xs:QName."""
    value = parse_xml(body, bytes_max=2**20).findall(f".//{S}Subcode/{S}Value")[-1]
    return value.nsmap.get((value.text or "").rpartition(":")[0])


def test_a_refusal_in_soap_1_2_has_code_subcode_reason_and_detail(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation, client=CLIENT_WITHOUT_GRANT, soap_version=SOAP_1_2)

        reply = await running.post(raw, content_type=TYPE)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert told.fault.xroad_code == "Server.ServerProxy.AccessDenied"
        assert values_of(reply.body) == ["soap:Sender", "code:Server.ServerProxy.AccessDenied"]
        assert namespace_of_code(reply.body) == XROAD
        text = parse_xml(reply.body, bytes_max=2**20).find(f".//{S}Reason/{S}Text")
        assert text is not None
        assert text.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
        assert (reply.status, reply.headers[b"content-type"]) == (500, ANSWER_TYPE)

    hub.tell(story)


def test_a_block_that_is_not_understood_is_named(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        extra = b'<x:y xmlns:x="urn:x?a=1&amp;b" soap:mustUnderstand="true"/>'
        raw = with_header(request(nation, soap_version=SOAP_1_2), extra)

        reply = await running.post(raw, content_type=TYPE)

        assert values_of(reply.body)[0] == "soap:MustUnderstand"
        block = parse_xml(reply.body, bytes_max=2**20).find(f"{S}Header/{S}NotUnderstood")
        assert block is not None
        prefix, _, name = block.get("qname", "").rpartition(":")
        assert (block.nsmap[prefix], name) == ("urn:x?a=1&b", "y")

    hub.tell(story)


@pytest.mark.parametrize("role", ["next", "ultimateReceiver"])
def test_roles_that_mean_us_are_ours(nation: SmallNation, hub: OpenHub, role: str) -> None:
    async def story(running: RunningHub) -> None:
        extra = f'<y soap:mustUnderstand="1" soap:role="{SOAP12}/role/{role}"/>'.encode()
        raw = with_header(request(nation, soap_version=SOAP_1_2), extra)

        reply = await running.post(raw, content_type=TYPE)

        assert values_of(reply.body)[0] == "soap:MustUnderstand"
        block = parse_xml(reply.body, bytes_max=2**20).find(f"{S}Header/{S}NotUnderstood")
        assert block is not None
        assert block.get("qname") == "y"

    hub.tell(story)


def test_a_block_for_nobody_need_not_be_understood(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        extra = f'<y soap:mustUnderstand="1" soap:role="{SOAP12}/role/none"/>'.encode()
        raw = with_header(request(nation, soap_version=SOAP_1_2), extra)

        reply = await running.post(raw, content_type=TYPE)

        assert isinstance(running.proved(reply, raw), VerifiedAnswer)

    hub.tell(story)


def test_an_envelope_of_another_version_is_told_which_ones_are_taken(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation).replace(SOAP11.encode(), b"http://www.w3.org/2099/soap-envelope")

        reply = await running.post(raw, content_type=TYPE)

        assert values_of(reply.body)[0] == "soap:VersionMismatch"
        root = parse_xml(reply.body, bytes_max=2**20)
        supported = [
            block.nsmap[block.get("qname", "").partition(":")[0]]
            for block in root.iterfind(f"{S}Header/{S}Upgrade/{S}SupportedEnvelope")
        ]
        assert supported == [SOAP12, SOAP11]

    hub.tell(story)


def test_what_was_not_read_is_refused_in_the_version_of_its_type(hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        for body, content_type in (
            (b"hello", TYPE),
            (b"hello", b"application/soap+xml; charset=utf-16"),
        ):
            reply = await running.post(body, content_type=content_type)

            assert values_of(reply.body)[0] == "soap:Sender"

    hub.tell(story)


def test_a_services_own_fault_is_told_in_soap_1_2(nation: SmallNation, hub: OpenHub) -> None:
    def refuse(query: Query) -> Answer:
        raise ServiceFault("soap:Client", "Không có", actor="urn:tax", detail_content=b"<a>1</a>")

    async def story(running: RunningHub) -> None:
        running.agency.script = refuse
        raw = request(nation, soap_version=SOAP_1_2)

        reply = await running.post(raw, content_type=TYPE)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert values_of(reply.body) == ["soap:Sender"]
        leaves = fault_of(reply.body)
        assert (leaves["Text"], leaves["Role"], leaves["a"]) == ("Không có", "urn:tax", "1")
        assert told.fault.xroad_code == "soap:Client"
        assert told.fault.detail_content == b"<a>1</a>"

    hub.tell(story)


@pytest.mark.parametrize(
    "detail",
    [
        b"",
        b'<a xmlns:code="urn:lienthong:service-fault:1.0" code:b="1">code:c</a>',
        b'<a xmlns:q="urn:q">q:T</a>',
        b'<a xmlns:code="urn:other">code:T</a>',
    ],
)
def test_the_code_of_a_services_own_fault_is_a_qualified_name(
    nation: SmallNation, hub: OpenHub, detail: bytes
) -> None:
    def refuse(query: Query) -> Answer:
        raise ServiceFault("HoSo.KhongCo", "Không có", detail_content=detail)

    async def story(running: RunningHub) -> None:
        running.agency.script = refuse
        raw = request(nation, soap_version=SOAP_1_2)

        reply = await running.post(raw, content_type=TYPE)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert values_of(reply.body) == ["soap:Receiver", "code:HoSo.KhongCo"]
        assert namespace_of_code(reply.body) == "urn:lienthong:service-fault:1.0"
        assert told.fault.xroad_code == "HoSo.KhongCo"

    hub.tell(story)
