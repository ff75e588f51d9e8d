"""The description of a service is enough for a stranger's SOAP client."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import xmlschema
import zeep
from lxml import etree

import schemas
from bus.core.identifiers import ServiceId
from bus.core.nation import Service
from bus.edge.payload_schemas import read_schema
from bus.protocols.soap_xroad.wsdl import write_wsdl
from tests.nation import LOOKUP, SmallNation

LOCATION = "http://127.0.0.1:8080/services/x"
WSDL = {"w": "http://schemas.xmlsoap.org/wsdl/", "s": "http://schemas.xmlsoap.org/wsdl/soap/"}


def described(service: Service) -> bytes:
    header = [
        read_schema(schemas.FOLDER / "xroad/4.0" / name)
        for name in ("identifiers.xsd", "xroad.xsd")
    ]
    return write_wsdl(service, LOCATION, read_schema(schemas.FOLDER / service.schema), header)


@pytest.fixture(scope="session")
def services(nation: SmallNation) -> Mapping[ServiceId, Service]:
    return nation.rules.nation.services


def test_every_service_is_understood_by_zeep(
    services: Mapping[ServiceId, Service], tmp_path: object
) -> None:
    for service in services.values():
        path = f"{tmp_path}/{service.id.service_code}.wsdl"
        with open(path, "wb") as file:  # noqa: PTH123 - zeep takes names of files
            file.write(described(service))

        client = zeep.Client(path)

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
