"""The messages of metaservices: what is asked, what is listed."""

from __future__ import annotations

import json

import pytest
from lxml import etree

from bus.core.errors import MetaserviceRequestInvalid
from bus.core.identifiers import ServiceId
from bus.core.registry import MemberRegistry, Mode, Service
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.metaservices import (
    WsdlRequest,
    read_wsdl_request,
    write_clients_json,
    write_clients_xml,
    write_methods,
    write_wsdl_answer,
)
from tests.nation import SmallNation

XROAD = "http://x-road.eu/xsd/xroad.xsd"
X = f"{{{XROAD}}}"


def wsdl_request(content: str) -> etree._Element:
    raw = f'<x:getWsdl xmlns:x="{XROAD}">{content}</x:getWsdl>'.encode()
    return parse_xml(raw, bytes_max=len(raw))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<x:serviceCode>a</x:serviceCode>", WsdlRequest("a", "")),
        (
            "<x:serviceCode> a </x:serviceCode><x:serviceVersion>v1</x:serviceVersion>",
            WsdlRequest("a", "v1"),
        ),
    ],
)
def test_a_request_for_a_wsdl_names_its_service(content: str, expected: WsdlRequest) -> None:
    assert read_wsdl_request(wsdl_request(content)) == expected


LONG = "x" * 257


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<x:serviceCode/>",
        "<serviceCode>a</serviceCode>",
        "<x:serviceCode>a</x:serviceCode><x:serviceCode>b</x:serviceCode>",
        "<x:serviceCode><a/></x:serviceCode>",
        f"<x:serviceCode>{LONG}</x:serviceCode>",
    ],
)
def test_a_request_for_a_wsdl_without_a_service_is_refused(content: str) -> None:
    with pytest.raises(MetaserviceRequestInvalid):
        read_wsdl_request(wsdl_request(content))


@pytest.mark.parametrize("version", ["", "v1"])
def test_the_answer_repeats_what_was_asked(version: str) -> None:
    answer = write_wsdl_answer(WsdlRequest("a", version))

    assert answer.tag == f"{X}getWsdlResponse"
    assert [part.text for part in answer] == ["a", version][: len(answer)]
    assert len(answer) == (2 if version else 1)


def service(text: str) -> Service:
    return Service(ServiceId.parse(text), "t", "a", "s.xsd", Mode.QUERY, 1.0)


def test_parts_that_an_id_does_not_have_are_left_out() -> None:
    answer = write_methods("listMethods", [service("EE/GOV/1//a/"), service("EE/GOV/1/sub/b/v1")])

    assert answer.tag == f"{X}listMethodsResponse"
    assert [[part.text for part in one] for one in answer] == [
        ["EE", "GOV", "1", "a"],
        ["EE", "GOV", "1", "sub", "b", "v1"],
    ]


def test_both_lists_of_clients_say_the_same(nation: SmallNation) -> None:
    rules: MemberRegistry = nation.rules.registry

    listed = parse_xml(write_clients_xml(rules), bytes_max=2**20)
    as_json = json.loads(write_clients_json(rules))["member"]

    assert [[part.text for part in member[0]] for member in listed] == [
        [
            text
            for name in ("xroad_instance", "member_class", "member_code", "subsystem_code")
            if (text := one["id"].get(name))
        ]
        for one in as_json
    ]
    assert [member.findtext(f"{X}subsystemName") for member in listed] == [
        one.get("subsystem_name") for one in as_json
    ]
    assert len(listed) == sum(1 + len(one.subsystems) for one in rules.members.values())
