"""A schema says where a message breaks it and what was expected, and never what stood there."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from bus.core.errors import ConfigurationError
from bus.core.xml import parse_xml
from bus.settings.payload_schemas import CompiledSchema, _fast_mistake, read_schema

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t"
  targetNamespace="urn:t" elementFormDefault="qualified">
  <xs:element name="Ask"><xs:complexType><xs:sequence>
    <xs:element name="Number"><xs:simpleType><xs:restriction base="xs:string">
      <xs:pattern value="[0-9]{12}"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="Sex" minOccurs="0"><xs:simpleType><xs:restriction base="xs:string">
      <xs:enumeration value="0"/><xs:enumeration value="1"/></xs:restriction></xs:simpleType>
    </xs:element>
    <xs:element name="Day" type="xs:date" minOccurs="0"/>
    <xs:element name="Name" minOccurs="0"><xs:simpleType><xs:restriction base="xs:token">
      <xs:maxLength value="5"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="Row" minOccurs="0" maxOccurs="unbounded"/>
  </xs:sequence><xs:attribute name="id" type="xs:integer" use="required"/></xs:complexType>
  </xs:element>
</xs:schema>"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> CompiledSchema:
    path = tmp_path_factory.mktemp("schemas") / "t.xsd"
    path.write_text(XSD)
    return CompiledSchema(path)


def said(schema: CompiledSchema, inside: str, *, attributes: str = 'id="1"') -> str:
    raw = f'<Ask xmlns="urn:t" {attributes}>\n{inside}</Ask>'.encode()
    mistake = schema.mistake(parse_xml(raw, bytes_max=len(raw)))
    return "" if mistake is None else str(mistake)


NUMBER = "<Number>040185766517</Number>"


def test_a_valid_message_has_no_mistake(schema: CompiledSchema) -> None:
    assert said(schema, f"{NUMBER}<Sex>1</Sex><Day>2026-03-01</Day><Name>An</Name>") == ""


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<Number>BI-MAT</Number>", "/Ask/Number: expected a text of the form [0-9]{12}"),
        (f"{NUMBER}<Sex>BI-MAT</Sex>", "/Ask/Sex: expected one of 0, 1"),
        (f"{NUMBER}<Name>BI-MAT</Name>", "/Ask/Name: expected maxLength 5"),
        (f"{NUMBER}<Day>BI-MAT</Day>", "/Ask/Day: expected"),
        (f"{NUMBER}\n<BI-MAT/>", "line 3, /Ask: unexpected element BI-MAT"),
        ("<BI-MAT/>", "unexpected element BI-MAT; expected Number"),
        ("", "/Ask: the content is not complete; expected Number"),
        (f"{NUMBER}<Row/>BI-MAT", "/Ask: does not have the form"),
    ],
)
def test_a_mistake_has_line_path_and_expectation(
    schema: CompiledSchema, inside: str, words: str
) -> None:
    told = said(schema, inside)

    assert told.startswith("line ")
    assert words in told
    # A stranger's element name is told; what stands in elements is not.
    assert "BI-MAT" not in told.replace("element BI-MAT", "")


@pytest.mark.parametrize("attributes", ["", 'id="1" other="BI-MAT"'])
def test_a_wrong_attribute_is_named_without_its_value(
    schema: CompiledSchema, attributes: str
) -> None:
    told = said(schema, NUMBER, attributes=attributes)

    assert "attribute" in told
    assert "BI-MAT" not in told


def test_a_large_message_is_told_of_in_fewer_words(schema: CompiledSchema) -> None:
    told = said(schema, f"{NUMBER}{'<Row/>' * 2001}<BI-MAT/>")

    assert "breaks the schema (SCHEMAV_ELEMENT_CONTENT)" in told


def test_a_schema_says_what_it_can_start_with(schema: CompiledSchema) -> None:
    assert schema.has_element("Ask")
    assert not schema.has_element("Number")
    assert schema.namespace == "urn:t"


@pytest.mark.parametrize(
    "text",
    [
        "no XML",
        "<a/>",
        XSD.replace('base="xs:date"', 'base="t:nothing"').replace("xs:date", "t:nothing"),
        XSD.replace("<xs:schema", "<!DOCTYPE x><xs:schema", 1),
    ],
)
def test_what_is_no_schema_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.xsd"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match="not a schema"):
        CompiledSchema(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for read in (CompiledSchema, read_schema):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read(tmp_path / "nothing.xsd")
    (tmp_path / "bad.xsd").write_text("<a>")
    with pytest.raises(ConfigurationError, match="line 1"):
        read_schema(tmp_path / "bad.xsd")


# --- what a library says over what it cannot explain -----------------------------------------

_TYPES = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


@pytest.mark.parametrize(
    "type_name",
    ["q:Nope", "nope:Thing", "", "xsd:string", " ", "a b", ":", "x:", "{urn}x", "t:Ask"],
)
@pytest.mark.parametrize("declared", ["", 'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '])
def test_a_type_that_cannot_stand_there_is_a_mistake_with_line_and_path(
    schema: CompiledSchema, type_name: str, declared: str
) -> None:
    """The precise validator raises over some of them; nothing but a mistake comes out."""
    told = said(
        schema,
        f'<Number xsi:type="{type_name}">040185766517</Number>',
        attributes=f'id="1" {_TYPES} {declared} xmlns:q="urn:t"',
    )

    assert told.startswith("line 2, ")
    assert "Number" in told


def test_prefixes_that_are_bound_around_an_element_are_known(schema: CompiledSchema) -> None:
    raw = (
        f'<E {_TYPES} xmlns:xsd="http://www.w3.org/2001/XMLSchema"><Ask xmlns="urn:t" id="1">'
        f'{NUMBER}<Sex>1</Sex><Day xsi:type="xsd:date">\n2026</Day></Ask></E>'
    ).encode()

    mistake = schema.mistake(parse_xml(raw, bytes_max=len(raw))[0])

    assert "/Ask/Day: expected" in str(mistake)


@pytest.mark.parametrize(
    "failure", [RecursionError("BI-MAT"), KeyError("BI-MAT"), ValueError("BI-MAT"), MemoryError()]
)
def test_whatever_fails_while_it_is_explained_a_mistake_stays_one(
    schema: CompiledSchema, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(_self: CompiledSchema) -> None:
        raise failure

    monkeypatch.setattr(CompiledSchema, "compile_precise", fail)

    told = said(schema, "<Number>BI-MAT</Number>\n<Sex>0</Sex><Day>BI-MAT</Day>")
    assert told == "line 2, /Ask/Number: breaks the schema (SCHEMAV_CVC_PATTERN_VALID)"
    told = said(schema, f"{NUMBER}\n<Sex>0</Sex><Day {_TYPES} xsi:type='BI-MAT'>1</Day>")
    assert told.startswith("line 3, /Ask/Day: its xsi:type names no type that may stand here")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (etree.XMLSchemaValidateError("BI-MAT"), "line 1, Ask: cannot be validated"),
        (False, "line 1, Ask: breaks the schema"),
    ],
)
def test_a_validator_that_gives_up_or_gives_no_reason_is_no_failure_of_the_hub(
    schema: CompiledSchema, answer: Exception | bool, words: str
) -> None:
    class Silent:
        error_log: tuple[object, ...] = ()

        def validate(self, _element: object) -> bool:
            if isinstance(answer, Exception):
                raise answer
            return bool(answer)

    silent = CompiledSchema(schema.path)
    silent._fast = Silent()  # type: ignore[assignment]

    assert said(silent, f"{NUMBER}<Sex>1</Sex>") == words


def test_a_path_that_leads_nowhere_is_told_as_far_as_it_leads() -> None:
    class Entry:
        path, line, type_name = "/*/*[2]/none:x", 7, "KIND"

    raw = b"<a><b/><c/></a>"

    told = str(_fast_mistake(parse_xml(raw, bytes_max=len(raw)), Entry()))

    assert told == "line 7, /a/c: breaks the schema (KIND)"


def test_a_schema_that_is_not_whole_leaves_no_type_certain(tmp_path: Path) -> None:
    path = tmp_path / "t.xsd"
    path.write_text(
        XSD.replace("<xs:element", '<xs:import namespace="urn:o"/><xs:element', 1).replace(
            "</xs:schema>",
            '<xs:simpleType name="T"><xs:list itemType="xs:NMTOKEN"/></xs:simpleType></xs:schema>',
        )
    )
    partly = CompiledSchema(path)

    assert not partly.is_only_type("urn:t", "T")
    assert not partly.has_qnames
