"""Metaservices: who there is, what a provider offers, what of it one may use, and how to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.log.leaf import Event
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.hub.sending_attachments import content, proved
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    DISABLED_SERVICE,
    LOOKUP,
    SLOW_SERVICE,
    SmallNation,
    request,
)

XROAD = "http://x-road.eu/xsd/xroad.xsd"
ID = "{http://x-road.eu/xsd/identifiers}"
MINISTRY_PARTS = ["VN", "GOV", "G01", "dancu"]


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path, shows_precise_faults=False) as one:
        yield one


def asking(
    nation: SmallNation, code: str, content: str = "", *, client: SubsystemId = CLIENT
) -> bytes:
    body = f'<x:{code} xmlns:x="{XROAD}">{content}</x:{code}>'
    service = ServiceId.parse(f"VN/GOV/G01/dancu/{code}/")
    return request(nation, client=client, service=service, body=body.encode())


async def answer_to(running: RunningHub, raw: bytes) -> VerifiedAnswer | VerifiedFault:
    return proved(running, await running.post(raw), raw, ())


def ids_of(answer: VerifiedAnswer | VerifiedFault) -> list[list[str]]:
    assert isinstance(answer, VerifiedAnswer)
    return [[part.text or "" for part in service] for service in answer.payload]


def test_a_provider_lists_its_services_under_its_signature(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        answer = await answer_to(running, asking(nation, "listMethods"))

        assert isinstance(answer, VerifiedAnswer)
        assert answer.payload.tag == f"{{{XROAD}}}listMethodsResponse"
        assert ids_of(answer) == [
            [*MINISTRY_PARTS, service.service_code, "v1"]
            for service in sorted([LOOKUP, SLOW_SERVICE, DISABLED_SERVICE])
        ]
        assert [part.tag for part in answer.payload[0]][-2:] == [
            f"{ID}serviceCode",
            f"{ID}serviceVersion",
        ]
        assert answer.payload[0].get(f"{ID}objectType") == "SERVICE"
        assert str(answer.signer) == "VN/GOV/G01"
        assert [leaf.event for leaf in running.leaves()[-2:]] == [Event.RECEIVED, Event.OUTCOME]

    hub.tell(story)


@pytest.mark.parametrize(("client", "count"), [(CLIENT, 3), (CLIENT_WITHOUT_GRANT, 0)])
def test_a_client_sees_what_it_may_use(
    nation: SmallNation, hub: OpenHub, client: SubsystemId, count: int
) -> None:
    async def story(running: RunningHub) -> None:
        answer = await answer_to(running, asking(nation, "allowedMethods", client=client))

        assert len(ids_of(answer)) == count

    hub.tell(story)


@pytest.mark.parametrize("version", ["", "<x:serviceVersion>v1</x:serviceVersion>"])
def test_the_wsdl_of_a_service_comes_as_an_attachment(
    nation: SmallNation, hub: OpenHub, version: str
) -> None:
    async def story(running: RunningHub) -> None:
        code = f"<x:serviceCode>{LOOKUP.service_code}</x:serviceCode>"

        answer = await answer_to(running, asking(nation, "getWsdl", code + version))

        assert isinstance(answer, VerifiedAnswer)
        assert answer.payload.tag == f"{{{XROAD}}}getWsdlResponse"
        assert [part.text for part in answer.payload] == [
            LOOKUP.service_code,
            *(["v1"] if version else []),
        ]
        (attachment,) = answer.attachments
        assert attachment.media_type.startswith("text/xml")
        assert ("Content-Transfer-Encoding", "binary") in attachment.headers
        wsdl = parse_xml(content(attachment), bytes_max=2**20)
        address = wsdl.find(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
        assert address is not None
        assert address.get("location") == "http://example.org/xroad-endpoint"

    hub.tell(story)


LONG = "x" * 300
OTHER_VERSION = "<x:serviceVersion>v9</x:serviceVersion>"


@pytest.mark.parametrize(
    ("content", "code", "xroad_code"),
    [
        ("", "payload.metaservice", "Server.ServerProxy.InvalidRequest"),
        ("<x:serviceCode/>", "payload.metaservice", "Server.ServerProxy.InvalidRequest"),
        (
            "<x:serviceCode>a</x:serviceCode><x:serviceCode>b</x:serviceCode>",
            "payload.metaservice",
            "Server.ServerProxy.InvalidRequest",
        ),
        (
            f"<x:serviceCode>{LONG}</x:serviceCode>",
            "payload.metaservice",
            "Server.ServerProxy.InvalidRequest",
        ),
        (
            "<x:serviceCode>KhongCo</x:serviceCode>",
            "route.service-unknown",
            "Server.ServerProxy.UnknownService",
        ),
        (
            "<x:serviceCode>listMethods</x:serviceCode>",
            "route.service-unknown",
            "Server.ServerProxy.UnknownService",
        ),
        (
            f"<x:serviceCode>{LOOKUP.service_code}</x:serviceCode>{OTHER_VERSION}",
            "route.service-unknown",
            "Server.ServerProxy.UnknownService",
        ),
    ],
)
def test_a_wsdl_that_is_asked_for_wrongly_is_a_fault(
    nation: SmallNation, hub: OpenHub, content: str, code: str, xroad_code: str
) -> None:
    async def story(running: RunningHub) -> None:
        told = await answer_to(running, asking(nation, "getWsdl", content))

        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.fault.xroad_code) == (code, xroad_code)

    hub.tell(story)


def test_metaservices_take_signed_requests_only(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        raw = asking(nation, "listMethods", client=CLIENT)
        raw = raw.replace(b">m-1<", b">m-2<")

        told = proved(running, await running.post(raw), raw, ())

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == "sender.not-verified"

    hub.tell(story)


def test_the_element_of_a_metaservice_stands_in_its_namespace(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        service = ServiceId.parse("VN/GOV/G01/dancu/listMethods/")
        raw = request(nation, service=service, body=b'<x:listMethods xmlns:x="urn:x"/>')

        told = await answer_to(running, raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == "payload.schema"

    hub.tell(story)


def test_the_clients_of_the_nation_are_listed(hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        listed = parse_xml((await running.get("/listClients")).body, bytes_max=2**20)
        as_json = json.loads(running.hub.clients("VN", is_json=True) or b"")

        assert listed.tag == f"{{{XROAD}}}clientList"
        types = [member[0].get(f"{ID}objectType") for member in listed]
        assert types.count("MEMBER") == len(running.nation.rules.registry.members)
        assert set(types) == {"MEMBER", "SUBSYSTEM"}
        ministry = [
            [part.text for part in member[0]]
            for member in listed
            if etree.QName(member[0]).localname == "id" and member[0][2].text == "G01"
        ]
        assert ministry == [MINISTRY_PARTS[:3], MINISTRY_PARTS]
        assert len(as_json["member"]) == len(listed)
        assert {
            "id": {
                "object_type": "SUBSYSTEM",
                "xroad_instance": "VN",
                "member_class": "GOV",
                "member_code": "G01",
                "subsystem_code": "dancu",
            },
            "name": "Bộ Công an",
            "subsystem_name": "dancu",
        } in as_json["member"]

    hub.tell(story)


def test_another_instance_has_no_clients_here(hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        assert (await running.get("/listClients", b"xRoadInstance=EE")).status == 404

    hub.tell(story)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (b"serviceCode=TraCuuThongTinCongDan&version=v1", 200),
        (b"serviceCode=TraCuuThongTinCongDan", 200),
        (b"serviceCode=TraCuuThongTinCongDan&version=v9", 404),
        (b"serviceCode=KhongCo", 404),
        (b"serviceCode=listMethods", 404),
        (b"", 404),
    ],
)
def test_a_wsdl_is_found_as_older_clients_ask_for_it(
    hub: OpenHub, query: bytes, status: int
) -> None:
    provider = b"xRoadInstance=VN&memberClass=GOV&memberCode=G01&subsystemCode=dancu&"

    async def story(running: RunningHub) -> None:
        assert (await running.get("/wsdl", provider + query)).status == status

    hub.tell(story)
