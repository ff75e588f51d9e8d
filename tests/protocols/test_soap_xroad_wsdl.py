"""The description of a service is enough for a stranger's SOAP client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import xmlschema
import zeep
from lxml import etree

import schemas
from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core.envelope import SoapVersion
from bus.core.identifiers import ServiceId
from bus.core.registry import (
    AttachmentRule,
    Mode,
    RecipientRule,
    Service,
    SubmissionRule,
)
from bus.core.schema_kinds import SchemaPart, alone
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.read_identifiers import FREE_TEXT_CHARACTERS_MAX
from bus.protocols.soap_xroad.wsdl import write_wsdl
from bus.settings.payload_schemas import read_schema
from tests.nation import LOOKUP, SmallNation

LOCATION = "http://127.0.0.1:8080/services/x"
HEADER_SCHEMAS = (
    "xroad/4.0/identifiers.xsd",
    "xroad/4.0/xroad.xsd",
    "lienthong/1.0/message.xsd",
)
WSDL = {"w": "http://schemas.xmlsoap.org/wsdl/", "s": "http://schemas.xmlsoap.org/wsdl/soap/"}


def described(service: Service, version: SoapVersion = SoapVersion.SOAP_1_1) -> bytes:
    header = [read_schema(schemas.FOLDER / name) for name in HEADER_SCHEMAS]
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


@pytest.mark.parametrize("version", list(SoapVersion))
def test_every_element_that_is_named_is_declared_by_a_schema_inside(
    version: SoapVersion, nation: SmallNation
) -> None:
    told = ServiceDescriptions(nation.rules, schemas=schemas.FOLDER, public_url="unused:")
    for service in nation.rules.registry.services.values():
        root = etree.fromstring(told.wsdl(service, LOCATION, version))

        declared = {
            f"{{{schema.get('targetNamespace')}}}{element.get('name')}"
            for schema in root.findall("w:types/*", WSDL)
            for element in schema.findall("{*}element")
        }
        parts = [(part.nsmap, part.get("element", "")) for part in root.iterfind(".//w:part", WSDL)]
        named = {
            f"{{{prefixes[name.partition(':')[0]]}}}{name.partition(':')[2]}"
            for prefixes, name in parts
        }
        assert len(named) >= 8
        assert named - declared == set()


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


@pytest.mark.parametrize("version", list(SoapVersion))
@pytest.mark.parametrize("rule", list(RecipientRule))
def test_what_is_submitted_is_answered_by_the_hubs_acceptance(
    rule: RecipientRule,
    version: SoapVersion,
    services: Mapping[ServiceId, Service],
    tmp_path: object,
) -> None:
    service = replace(
        services[LOOKUP], mode=Mode.SUBMISSION, submission=SubmissionRule(recipients=rule)
    )
    path = f"{tmp_path}/submission.wsdl"
    with open(path, "wb") as file:  # noqa: PTH123 - zeep takes names of files
        file.write(described(service, version))

    client = zeep.Client(path)  # type: ignore[no-untyped-call]

    (one,) = client.wsdl.services.values()
    (port,) = one.ports.values()
    operation = port.binding._operations[LOOKUP.service_code]
    assert operation.output.body.qname == names.ACCEPTANCE
    headers = {name for name, _ in operation.input.header.type.elements}
    assert ("recipients" in headers) is (rule is RecipientRule.NAMED)
    back = {name for name, _ in operation.output.header.type.elements}
    assert "recipients" not in back


def test_a_query_says_nothing_of_submissions(services: Mapping[ServiceId, Service]) -> None:
    assert b"acceptance" not in described(services[LOOKUP])


# --- schemas of several files ------------------------------------------------------------------

XSD = "http://www.w3.org/2001/XMLSchema"
QUESTION = LOOKUP.service_code


def schema_inside(services: Mapping[ServiceId, Service], *documents: str) -> etree._Element:
    """The one schema that a WSDL tells of documents of the namespace `urn:a`."""
    parts = [SchemaPart(etree.fromstring(text), "urn:a") for text in documents]
    wsdl = etree.fromstring(write_wsdl(services[LOOKUP], LOCATION, parts, []))
    (schema,) = wsdl.findall("w:types/*", WSDL)
    return schema


@pytest.mark.parametrize("prefix", ["xs", "zs"])
def test_the_schema_itself_binds_the_prefixes_of_every_file(
    services: Mapping[ServiceId, Service], prefix: str
) -> None:
    # Xerces finds none that stands on a global declaration alone.
    schema = schema_inside(
        services,
        f"<{prefix}:schema xmlns:{prefix}='{XSD}' targetNamespace='urn:a' xmlns:a='urn:a'>"
        f"<{prefix}:element name='{QUESTION}' type='a:T'/></{prefix}:schema>",
        f"<y:schema xmlns:y='{XSD}' targetNamespace='urn:a' xmlns:b='urn:a' xmlns='urn:a'>"
        "<y:simpleType name='T'><y:restriction base='b:U'/></y:simpleType>"
        "<y:simpleType name='U'><y:restriction base='y:int'/></y:simpleType></y:schema>",
    )

    assert {XSD, "urn:a"} == set(schema.nsmap.values()) & {XSD, "urn:a"}
    assert {prefix, "y", "a", "b", None} <= schema.nsmap.keys()
    compiled = xmlschema.XMLSchema(etree.tostring(schema).decode())
    assert compiled.is_valid(f"<{QUESTION} xmlns='urn:a'>1</{QUESTION}>")
    assert not compiled.is_valid(f"<{QUESTION} xmlns='urn:a'>x</{QUESTION}>")


def test_a_name_without_prefix_means_what_it_meant_in_its_file(
    services: Mapping[ServiceId, Service],
) -> None:
    schema = schema_inside(
        services,
        f"<xs:schema xmlns:xs='{XSD}' targetNamespace='urn:a' xmlns:a='urn:a'>"
        f"<xs:import/><xs:element name='{QUESTION}' type='OfNoNamespace'/></xs:schema>",
        f"<xs:schema xmlns:xs='{XSD}'><xs:simpleType name='Adopted'>"
        "<xs:restriction base='xs:int'/></xs:simpleType></xs:schema>",
        f"<schema xmlns='{XSD}' targetNamespace='urn:a' xmlns:a='urn:a'>"
        "<simpleType name='T'><restriction base='a:Adopted'/></simpleType></schema>",
    )

    defaults = {child.get("name"): child.nsmap.get(None) for child in schema if child.get("name")}

    assert defaults == {QUESTION: "", "Adopted": "urn:a", "T": XSD}
