"""The schemas load in both validators, and the catalogue tells the truth about every file."""

from __future__ import annotations

import hashlib

import pytest
import xmlschema
import yaml
from lxml import etree

import schemas
from tests.nation import REFERENCE

CATALOGUE = yaml.safe_load((schemas.FOLDER / "catalogue.yaml").read_text("utf-8"))["schemas"]
HUB_FACING = {
    schema: [
        known.service_code for known, one in REFERENCE.services.items() if one.schema == schema
    ]
    for schema in sorted({service.schema for service in REFERENCE.services.values()})
}
"""The service codes of each schema that routes.yaml names."""


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: str(entry["file"]))
def test_the_catalogue_holds_the_checksum_of_our_copy(entry: dict[str, str]) -> None:
    content = (schemas.FOLDER / entry["file"]).read_bytes()
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["publisher"]
    assert entry["version"]
    assert entry["date"]


def test_the_catalogue_leaves_no_schema_out() -> None:
    files = [*schemas.FOLDER.rglob("*.xsd"), *schemas.FOLDER.rglob("*.wsdl")]
    found = {str(file.relative_to(schemas.FOLDER)) for file in files}
    assert found == {entry["file"] for entry in CATALOGUE}


@pytest.mark.parametrize("file", HUB_FACING)
def test_a_schema_of_services_loads_in_both_validators(file: str) -> None:
    etree.XMLSchema(etree.parse(schemas.FOLDER / file))
    assert xmlschema.XMLSchema(schemas.FOLDER / file).elements


@pytest.mark.parametrize("file", HUB_FACING)
def test_a_service_has_a_request_and_an_answer_named_after_it(file: str) -> None:
    expected = {f"{service}{end}" for service in HUB_FACING[file] for end in ("", "Response")}
    declared = xmlschema.XMLSchema(schemas.FOLDER / file).elements
    assert expected == {name.rpartition("}")[2] for name in declared}


@pytest.mark.parametrize("file", HUB_FACING)
def test_every_declaration_is_documented(file: str) -> None:
    tree = etree.parse(schemas.FOLDER / file)
    xs = {"xs": "http://www.w3.org/2001/XMLSchema"}
    undocumented = tree.xpath(
        "/xs:schema/xs:*[@name][not(xs:annotation/xs:documentation)]/@name", namespaces=xs
    )
    assert undocumented == []
