"""The description of a service is enough for a stranger's SOAP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import xmlschema
import zeep
from lxml import etree

import schemas
from bus.core.envelope import SoapVersion
from bus.core.identifiers import ServiceId
from bus.core.registry import AttachmentRule, Service
from bus.core.schema_kinds import alone
from bus.protocols.soap_xroad.read_identifiers import FREE_TEXT_CHARACTERS_MAX
from bus.protocols.soap_xroad.wsdl import write_wsdl
from bus.settings.payload_schemas import read_schema
from tests.nation import LOOKUP, SmallNation

LOCATION = "http://127.0.0.1:8080/services/x"
WSDL = {"w": "http://schemas.xmlsoap.org/wsdl/", "s": "http://schemas.xmlsoap.org/wsdl/soap/"}


def described(service: Service, version: SoapVersion = SoapVersion.SOAP_1_1) -> bytes:
    header = [
        read_schema(schemas.FOLDER / "xroad/4.0" / name)
        for name in ("identifiers.xsd", "xroad.xsd")
    ]
    schema = read_schema(schemas.FOLDER / service.schema)
    return write_wsdl(service, LOCATION, alone(schema), header, version)


@pytest.fixture(scope="session")
def services(nation: SmallNation) -> Mapping[ServiceId, Service]:
    return nation.rules.registry.services


def test_every_service_is_understood_by_zeep(
    services: Mapping[ServiceId, Service], tmp_path: object
) -> None:
    for service in services.values():
        path = f"{tmp_path}/{service.id.service_code}.wsdl"
        with open(path, "wb") as file:  # noqa: PTH123 - zeep takes names of files
            file.write(described(service))

        client = zeep.Client(path)  # type: ignore[no-untyped-call]

        (one,) = client.wsdl.services.values()
        (port,) = one.ports.values()
        assert list(port.binding._operations) == [service.id.service_code]
        assert port.binding_options["address"] == LOCATION


def test_the_schemas_inside_mean_what_they_mean_outside(
    services: Mapping[ServiceId, Service],
) -> None:
    # Prefixes in values (type="dc:YeuCau") are text to every tool that moves trees about.
    raw = described(services[LOOKUP])
    inside = etree.fromstring(raw).findall("w:types/*", WSDL)
    outside = read_schema(schemas.FOLDER / services[LOOKUP].schema)

    assert len(inside) == 3
    assert etree.tostring(outside, encoding="UTF-8", xml_declaration=False) in raw
    compiled = xmlschema.XMLSchema(etree.tostring(inside[-1]).decode())
    assert LOOKUP.service_code in compiled.elements


def test_every_header_part_is_declared_by_a_schema_inside(
    services: Mapping[ServiceId, Service],
) -> None:
    root = etree.fromstring(described(services[LOOKUP]))

    parts = {
        part.get("element", "").removeprefix("xrd:")
        for part in root.findall("w:message[@name='requestHeader']/w:part", WSDL)
    }
    declared = {
        element.get("name")
        for element in root.findall(".//{http://www.w3.org/2001/XMLSchema}schema/{*}element")
    }
    assert parts == {"client", "service", "userId", "id", "issue", "protocolVersion"}
    assert parts <= declared


def test_the_binding_is_document_literal_with_an_empty_action(
    services: Mapping[ServiceId, Service],
) -> None:
    root = etree.fromstring(described(services[LOOKUP]))
    binding = root.find("w:binding/s:binding", WSDL)
    operation = root.find("w:binding/w:operation/s:operation", WSDL)

    assert binding is not None
    assert operation is not None
    assert binding.get("style") == "document"
    assert (operation.get("soapAction"), operation.get("style")) == ("", "document")
    assert {body.get("use") for body in root.findall(".//s:body", WSDL)} == {"literal"}


def test_a_service_without_versions_names_none(services: Mapping[ServiceId, Service]) -> None:
    one = services[LOOKUP]
    without = replace(one, id=replace(one.id, service_version=""))

    for service, versions in ((one, ["v1"]), (without, [])):
        root = etree.fromstring(described(service))
        found = root.findall("w:binding/w:operation/{http://x-road.eu/xsd/xroad.xsd}version", WSDL)
        assert [version.text for version in found] == versions


def test_a_description_has_one_port_of_the_version_that_is_asked_for(
    services: Mapping[ServiceId, Service], tmp_path: object
) -> None:
    path = f"{tmp_path}/soap12.wsdl"
    with open(path, "wb") as file:  # noqa: PTH123 - zeep takes names of files
        file.write(described(services[LOOKUP], SoapVersion.SOAP_1_2))

    client = zeep.Client(path)  # type: ignore[no-untyped-call]
    (service,) = client.wsdl.services.values()

    (port,) = service.ports.values()
    assert type(port.binding).__name__ == "Soap12Binding"


# --- attachments and texts -----------------------------------------------------------------------

HAND_IN = "nopTaiLieu"
EXPECTED = "{http://www.w3.org/2005/05/xmlmime}expectedContentTypes"


@pytest.mark.parametrize(
    ("rule", "answers", "expected"),
    [
        (
            AttachmentRule(1, 1, frozenset({"text/xml", "image/png"})),
            None,
            "application/octet-stream, image/png, text/xml",
        ),
        (AttachmentRule(1, 1), None, "*/*"),
        (None, AttachmentRule(1, 1), None),
        (None, None, None),
    ],
)
def test_bytes_name_the_types_in_which_they_may_come_beside(
    services: Mapping[ServiceId, Service],
    rule: AttachmentRule | None,
    answers: AttachmentRule | None,
    expected: str | None,
) -> None:
    service = next(one for one in services.values() if one.id.service_code == HAND_IN)

    raw = described(replace(service, attachments=rule, answer_attachments=answers))

    root = etree.fromstring(raw)
    (content,) = [one for one in root.iter("{*}element") if one.get("name") == "NoiDung"]
    assert content.get(EXPECTED) == expected
    assert [one.get("name") for one in root.iter("{*}element") if one.get(EXPECTED)] == (
        ["NoiDung"] if expected else []
    )
    assert (b"xmlns:xmime=" in raw) == (expected is not None)


def test_the_bound_of_free_texts_is_told(services: Mapping[ServiceId, Service]) -> None:
    root = etree.fromstring(described(services[LOOKUP]))

    (bound,) = root.iterfind(".//{*}simpleType[@name='FreeText']/{*}restriction/{*}maxLength")
    assert bound.get("value") == str(FREE_TEXT_CHARACTERS_MAX)
    texts = {one.get("name"): one.get("type") for one in root.iter("{*}element")}
    assert (texts["userId"], texts["issue"]) == ("xrd:FreeText", "xrd:FreeText")
