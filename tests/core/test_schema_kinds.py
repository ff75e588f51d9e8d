"""A schema says which elements hold bytes, and which name an attachment."""

from __future__ import annotations

from collections import defaultdict

import pytest
from lxml import etree

import schemas
from bus.core.schema_kinds import Kind, alone, declared_below, kind_of, kinds_of
from bus.core.xml import parse_xml
from bus.settings.payload_schemas import read_schema
from tests.nation import SmallNation

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t"
  xmlns:ref="http://ws-i.org/profiles/basic/1.1/xsd" targetNamespace="urn:t" {form}>
  <xs:import namespace="http://ws-i.org/profiles/basic/1.1/xsd"/>
  <xs:element name="Ask"><xs:complexType><xs:sequence>
    <xs:element name="Bytes" type="xs:base64Binary"/>
    <xs:element name="Hex" type="xs:hexBinary"/>
    <xs:element name="Short" type="t:ShortBytes"/>
    <xs:element name="WithName" type="t:BytesWithName"/>
    <xs:element name="Inline"><xs:simpleType><xs:restriction base="xs:anyURI"/></xs:simpleType>
    </xs:element>
    <xs:element name="Swa" type="ref:swaRef"/>
    <xs:element name="Other" type="ref:other"/>
    <xs:element name="Text" type="xs:string"/>
    <xs:element name="None"/>
    <xs:element name="Missing" type="t:missing"/>
    <xs:element name="Round" type="t:Round"/>
    <xs:element name="Both" type="xs:string"/>
    <xs:element ref="t:Both"/>
    <xs:element name="Box"><xs:complexType><xs:sequence>
      <xs:element name="Unqualified" form="unqualified" type="xs:anyURI"/>
    </xs:sequence></xs:complexType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="Both" type="xs:base64Binary"/>
  <xs:element name="Unused" type="xs:base64Binary"/>
  <xs:simpleType name="ShortBytes"><xs:restriction base="xs:base64Binary">
    <xs:maxLength value="9"/></xs:restriction></xs:simpleType>
  <xs:complexType name="BytesWithName"><xs:simpleContent><xs:extension base="t:ShortBytes">
    <xs:attribute name="n" type="xs:string"/></xs:extension></xs:simpleContent></xs:complexType>
  <xs:simpleType name="Round"><xs:restriction base="t:Round"/></xs:simpleType>
</xs:schema>"""


def schema(form: str = 'elementFormDefault="qualified"') -> etree._Element:
    raw = XSD.format(form=form).encode()
    return parse_xml(raw, bytes_max=len(raw))


def test_bytes_and_references_are_known_by_their_types() -> None:
    bytes_, reference = frozenset({Kind.BYTES}), frozenset({Kind.REFERENCE})

    assert {tag: kinds for tag, kinds in kinds_of(alone(schema())).items() if kinds} == {
        "{urn:t}Bytes": bytes_,
        "{urn:t}Short": bytes_,
        "{urn:t}WithName": bytes_,
        "{urn:t}Inline": reference,
        "{urn:t}Swa": reference,
        "{urn:t}Both": bytes_,
        "{urn:t}Unused": bytes_,
        "Unqualified": reference,
        "{urn:t}None": frozenset({Kind.ANYTHING}),
    }


def test_an_element_that_holds_neither_is_known_as_such() -> None:
    assert kinds_of(alone(schema()))["{urn:t}Ask"] == frozenset()
    assert "{urn:t}Unheard" not in kinds_of(alone(schema()))


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ('<xs:element name="a"/>', Kind.ANYTHING),
        ('<xs:element name="a" type="xs:anyType"/>', Kind.ANYTHING),
        ('<xs:element name="a" type="t:Any"/>', Kind.ANYTHING),
        (
            (
                '<xs:element name="a"><xs:complexType><xs:sequence><xs:any/></xs:sequence>'
                "</xs:complexType></xs:element>"
            ),
            Kind.ANYTHING,
        ),
        (
            (
                '<xs:element name="a"><xs:complexType><xs:sequence><xs:element name="b">'
                "<xs:complexType><xs:sequence><xs:any/></xs:sequence></xs:complexType>"
                "</xs:element></xs:sequence></xs:complexType></xs:element>"
            ),
            None,
        ),
        ('<xs:element name="a"><xs:complexType/></xs:element>', None),
        ('<xs:element name="a" type="u:Any" xmlns:u="urn:u"/>', None),
        ('<xs:element name="a" type="xs:string"/>', None),
    ],
)
def test_a_wildcard_lets_anything_in(declared: str, kind: Kind | None) -> None:
    raw = (
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" '
        f'targetNamespace="urn:t">{declared}<xs:complexType name="Any"><xs:sequence>'
        "<xs:any/></xs:sequence></xs:complexType></xs:schema>"
    ).encode()
    whole = parse_xml(raw, bytes_max=len(raw))

    parts = alone(whole)
    assert kind_of(whole[0], parts[0], parts) is kind


def test_elements_that_are_not_qualified_are_known_without_namespace() -> None:
    found = kinds_of(alone(schema("")))

    assert "Bytes" in found
    assert "{urn:t}Both" in found
    assert "{urn:t}Bytes" not in found


def test_what_a_message_may_hold_is_found_through_types_and_references() -> None:
    whole = schema()
    names = [one.get("name") for one, _ in declared_below("Ask", alone(whole))]

    assert {"Ask", "Bytes", "Box", "Unqualified", "Both"} <= set(names)
    assert "Unused" not in names


# --- our own schemas -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["dancu/1.0/dancu.xsd", "dkdn/1.0/dkdn.xsd"])
def test_no_name_has_two_types_in_a_question_and_its_answer(path: str, nation: SmallNation) -> None:
    """wsdl2java unwraps both into one method, which has one parameter of a name."""
    whole = read_schema(schemas.FOLDER / path)
    for service in nation.rules.registry.services.values():
        if service.schema != path:
            continue
        types: dict[str | None, set[str | None]] = defaultdict(set)
        for root in (service.id.service_code, f"{service.id.service_code}Response"):
            (declared,) = [one for one in whole if one.get("name") == root and "element" in one.tag]
            named = declared.get("type")
            holder = (
                declared
                if named is None
                else next(one for one in whole if one.get("name") == named.rpartition(":")[2])
            )
            for child in holder.iterfind("{*}complexType/{*}sequence/{*}element"):
                types[child.get("name")].add(child.get("type"))
            for child in holder.iterfind("{*}sequence/{*}element"):
                types[child.get("name")].add(child.get("type"))
        assert {name: found for name, found in types.items() if len(found) > 1} == {}
        assert types


def test_the_documents_of_a_dossier_are_bytes_or_references() -> None:
    schema = alone(read_schema(schemas.FOLDER / "dkdn/1.0/dkdn.xsd"))
    kinds = {
        one.get("name"): kind_of(one, part, schema)
        for one, part in declared_below("nopTaiLieu", schema)
        if kind_of(one, part, schema)
    }

    assert kinds == {"NoiDung": Kind.BYTES, "TepDinhKem": Kind.REFERENCE}
