"""Read and write the messages of X-Road's metaservices: who there is, what is offered.

Source: X-Road Service Metadata Protocol (PR-META) §2 (lists over HTTP), §3 (over SOAP).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from lxml import etree

from bus.core.errors import MetaserviceRequestInvalid
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import MemberRegistry, Service
from bus.protocols.soap_xroad import names

_PREFIXES = {"xrd": names.XROAD, "id": names.IDENTIFIERS}
_TEXT_CHARACTERS_MAX = 256


@dataclass(frozen=True, slots=True)
class WsdlRequest:
    """Which service is to be described."""

    service_code: str
    service_version: str
    """Empty: the only version there is."""


def read_wsdl_request(payload: etree._Element) -> WsdlRequest:
    """Read `getWsdl`. Raises MetaserviceRequestInvalid."""
    code = _child_text(payload, "serviceCode")
    if not code:
        raise MetaserviceRequestInvalid(public_detail="getWsdl needs a serviceCode")
    return WsdlRequest(code, _child_text(payload, "serviceVersion"))


def write_wsdl_answer(request: WsdlRequest) -> etree._Element:
    """`getWsdlResponse`: what was asked for, again; the WSDL itself stands beside it."""
    answer = _root("getWsdlResponse")
    _add(answer, names.XROAD, "serviceCode", request.service_code)
    if request.service_version:
        _add(answer, names.XROAD, "serviceVersion", request.service_version)
    return answer


def write_methods(operation: str, services: Iterable[Service]) -> etree._Element:
    """`listMethodsResponse` or `allowedMethodsResponse`: ids of services."""
    answer = _root(f"{operation}Response")
    for service in services:
        parts = [*_client_parts(service.id.provider), *_code_parts(service.id)]
        _add_identifier(answer, "service", "SERVICE", parts)
    return answer


def write_clients_xml(registry: MemberRegistry) -> bytes:
    """`clientList`: every member and every subsystem."""
    root = _root("clientList")
    for client, name in _clients(registry):
        member = etree.SubElement(root, _tag(names.XROAD, "member"))
        _add_identifier(member, "id", _object_type(client), _client_parts(client))
        _add(member, names.XROAD, "name", name)
        if client.subsystem_code:
            _add(member, names.XROAD, "subsystemName", client.subsystem_code)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def write_clients_json(registry: MemberRegistry) -> bytes:
    """The same in JSON, with X-Road's names."""
    members = [_json_client(client, name) for client, name in _clients(registry)]
    return json.dumps({"member": members}, ensure_ascii=False).encode()


def _json_client(client: SubsystemId, name: str) -> dict[str, Any]:
    identifier = {
        "object_type": _object_type(client),
        "xroad_instance": client.member.instance,
        "member_class": client.member.member_class,
        "member_code": client.member.member_code,
    }
    if not client.subsystem_code:
        return {"id": identifier, "name": name}
    identifier["subsystem_code"] = client.subsystem_code
    return {"id": identifier, "name": name, "subsystem_name": client.subsystem_code}


def _clients(registry: MemberRegistry) -> Iterator[tuple[SubsystemId, str]]:
    for member in registry.members.values():
        yield SubsystemId(member.id, ""), member.name
        for subsystem in member.subsystems:
            yield subsystem, member.name


def _object_type(client: SubsystemId) -> str:
    return "SUBSYSTEM" if client.subsystem_code else "MEMBER"


def _client_parts(client: SubsystemId) -> list[tuple[str, str]]:
    member = client.member
    parts = [
        ("xRoadInstance", member.instance),
        ("memberClass", member.member_class),
        ("memberCode", member.member_code),
    ]
    return [*parts, ("subsystemCode", client.subsystem_code)] if client.subsystem_code else parts


def _code_parts(service: ServiceId) -> list[tuple[str, str]]:
    parts = [("serviceCode", service.service_code), ("serviceVersion", service.service_version)]
    return [(name, text) for name, text in parts if text]


def _child_text(parent: etree._Element, name: str) -> str:
    found = parent.findall(_tag(names.XROAD, name))
    if len(found) > 1 or (found and len(found[0])):
        raise MetaserviceRequestInvalid(public_detail=f"{name} stands once and holds text only")
    text = (found[0].text or "").strip() if found else ""
    if len(text) > _TEXT_CHARACTERS_MAX:
        raise MetaserviceRequestInvalid(
            public_detail=f"{name} has more than {_TEXT_CHARACTERS_MAX} characters"
        )
    return text


def _add_identifier(
    parent: etree._Element, name: str, object_type: str, parts: Iterable[tuple[str, str]]
) -> None:
    element = etree.SubElement(parent, _tag(names.XROAD, name), {names.OBJECT_TYPE: object_type})
    for part, text in parts:
        _add(element, names.IDENTIFIERS, part, text)


def _add(parent: etree._Element, namespace: str, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(namespace, name)).text = text


def _root(name: str) -> etree._Element:
    return etree.Element(_tag(names.XROAD, name), nsmap=_PREFIXES)


def _tag(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}"
