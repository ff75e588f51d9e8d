"""A schema is all its files: packaged, compiled, told and recorded whole, and never fetched."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import zeep
from lxml import etree

import schemas
from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core.canonical_json import JsonValue, canonical_json
from bus.core.errors import ConfigurationError, LogCorrupt
from bus.core.pipeline import Refusal, decide
from bus.core.schema_kinds import Kind
from bus.core.xml import parse_xml
from bus.judging.rules import RulesText, read_rules
from bus.judging.rules_manifest import restore_rules
from bus.protocols.soap_xroad.parse import parse
from bus.settings import schema_set
from bus.settings.payload_schemas import CompiledSchema
from tests.nation import LOOKUP, LOOKUP_NAMESPACE, NOW, REFERENCE, SmallNation, request

_HEAD = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" xmlns:o="urn:o" '
    'elementFormDefault="qualified" {}>'
)
_END = "</xs:schema>"


def document(content: str, attributes: str = 'targetNamespace="urn:t"') -> str:
    return "\n".join([_HEAD.format(attributes), content, _END])


MAIN = document(
    '<xs:include schemaLocation="parts/person.xsd"/>\n'
    '<xs:import namespace="urn:o" schemaLocation="o.xsd"/>\n'
    '<xs:element name="Ask"><xs:complexType><xs:sequence>'
    '<xs:element name="Who" type="t:Person"/><xs:element ref="o:Paper" minOccurs="0"/>'
    "</xs:sequence></xs:complexType></xs:element>"
)
PERSON = document(
    '<xs:include schemaLocation="deeper/number.xsd"/>'
    '<xs:import namespace="urn:o" schemaLocation="../o.xsd"/>'
    '<xs:complexType name="Person"><xs:sequence><xs:element name="Number" type="t:Number"/>'
    '<xs:element name="Photo" type="t:Photo" minOccurs="0"/></xs:sequence></xs:complexType>'
)
NUMBER = document(
    '<xs:simpleType name="Number"><xs:restriction base="Twelve"/></xs:simpleType>'
    '<xs:simpleType name="Twelve"><xs:restriction base="xs:string">'
    '<xs:pattern value="[0-9]{12}"/></xs:restriction></xs:simpleType>'
    '<xs:simpleType name="Photo"><xs:restriction base="xs:base64Binary"/></xs:simpleType>',
    "",
)
"""Without a namespace: it has that of who includes it."""
OTHER = document(
    '<xs:element name="Paper" type="o:Link"/>'
    '<xs:simpleType name="Link"><xs:restriction base="xs:anyURI"/></xs:simpleType>',
    'targetNamespace="urn:o"',
)
FILES = {
    "t.xsd": MAIN,
    "parts/person.xsd": PERSON,
    "parts/deeper/number.xsd": NUMBER,
    "o.xsd": OTHER,
}
ASK = '<Ask xmlns="urn:t"><Who>\n<Number>{}</Number></Who></Ask>'


def stored(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def compiled(folder: Path, files: Mapping[str, str] = FILES) -> CompiledSchema:
    return CompiledSchema(stored(folder, files) / "t.xsd", within=folder)


def said(schema: CompiledSchema, text: str) -> str:
    mistake = schema.mistake(parse_xml(text.encode(), bytes_max=len(text.encode())))
    return "" if mistake is None else str(mistake)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory that holds files of the same names, which say something else."""
    lies = {name: document("", "") for name in FILES if name != "t.xsd"}
    folder = stored(tmp_path / "elsewhere", lies)
    monkeypatch.chdir(folder)
    return folder


def test_a_schema_of_many_files_judges_wherever_the_process_runs(
    elsewhere: Path, tmp_path: Path
) -> None:
    schema = compiled(tmp_path / "schemas")
    paper = '<Paper xmlns="urn:o">cid:a</Paper></Ask>'

    assert said(schema, ASK.format("040185766517")) == ""
    assert said(schema, ASK.format("040185766517").replace("</Ask>", paper)) == ""
    # The words of the precise validator, too, come from the files.
    told = said(
        schema, ASK.format("040185766517").replace("</Ask>", paper.replace("cid:a", "<x/>"))
    )
    assert "line 2, /Ask/Paper: expected" in told
    assert "breaks the schema" not in told
    told = said(schema, ASK.format("BI-MAT"))
    assert "line 2, /Ask/Who/Number: expected a text of the form [0-9]{12}" in told
    assert schema.files.texts.keys() == FILES.keys()
    assert elsewhere == Path.cwd()


def test_a_message_that_names_a_schema_of_its_own_has_nothing_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = compiled(tmp_path / "schemas")
    trap = tmp_path / "trap.xsd"
    os.mkfifo(trap)  # whoever opened it would wait
    hint = (
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        f'xsi:schemaLocation="urn:t {trap.as_uri()} urn:q {trap.as_uri()}"'
    )

    told = said(schema, ASK.format("BI-MAT").replace("<Ask", f"<Ask {hint}"))

    assert "expected a text of the form [0-9]{12}" in told


def test_relative_folders_and_a_current_directory_that_moves_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(tmp_path / "schemas")
    monkeypatch.chdir(tmp_path)
    schema = CompiledSchema(Path("schemas/t.xsd"), within=Path("schemas"))
    monkeypatch.chdir("/")
    shutil.rmtree(tmp_path / "schemas")

    schema.compile_precise()

    assert "expected a text of the form" in said(schema, ASK.format("1"))


def test_what_included_and_imported_elements_hold_is_known(tmp_path: Path) -> None:
    kinds = compiled(tmp_path).kinds

    assert kinds.keys() >= {"{urn:t}Ask", "{urn:t}Who", "{urn:t}Number"}
    assert {tag: held for tag, held in kinds.items() if held} == {
        "{urn:t}Photo": frozenset({Kind.BYTES}),
        "{urn:o}Paper": frozenset({Kind.REFERENCE}),
    }


def test_a_type_is_certain_where_all_files_together_have_one_of_its_name(tmp_path: Path) -> None:
    schema = compiled(tmp_path)

    assert schema.is_only_type("urn:t", "Twelve")
    assert schema.is_only_type("urn:o", "Link")
    assert not schema.is_only_type("urn:t", "Link")
    twice = OTHER.replace("Link", "Person")
    assert not compiled(tmp_path, {**FILES, "o.xsd": twice}).is_only_type("urn:t", "Person")


def test_a_qname_in_any_file_is_looked_for(tmp_path: Path) -> None:
    assert not compiled(tmp_path).has_qnames
    named = {**FILES, "o.xsd": OTHER.replace("xs:anyURI", "xs:QName")}
    assert compiled(tmp_path, named).has_qnames


def test_elements_of_an_included_file_may_start_a_message(tmp_path: Path) -> None:
    person = PERSON.replace(_END, f'<xs:element name="Other"/>{_END}')
    schema = compiled(tmp_path, {**FILES, "parts/person.xsd": person})

    assert schema.has_element("Ask")
    assert schema.has_element("Other")
    assert not schema.has_element("Paper")


# --- what is refused ------------------------------------------------------------------------------


def refused(folder: Path, files: Mapping[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        compiled(folder, files)
    return str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "../secret.xsd",
        "parts/../../secret.xsd",
        "/etc/passwd",
        "file:///etc/passwd",
        "//host/x.xsd",
        "http://127.0.0.1:9/x.xsd",
        "https://www.w3.org/2001/xml.xsd",
        "ftp://host/x.xsd",
        "%2e%2e/secret.xsd",
        "..\\secret.xsd",
        "C:/x.xsd",
        "secret.xsd?x",
        "secret.xsd#x",
        "",
        "data:text/xml,x",
        "parts",
    ],
)
@pytest.mark.parametrize("kind", ["include", "import"])
def test_nothing_is_taken_from_outside_the_folder(location: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "secret.xsd").write_text(document("", 'targetNamespace="urn:o"'))
    namespace = ' namespace="urn:o"' if kind == "import" else ""
    text = document(f'\n\n<xs:{kind}{namespace} schemaLocation="{location}"/>')
    folder = tmp_path / "schemas"
    stored(folder / "parts", {"x.xsd": OTHER})

    told = refused(folder, {"t.xsd": text})

    assert told.startswith(f"{folder}/t.xsd:4: ")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.xsd"
    outside.write_text(OTHER)
    folder = stored(tmp_path / "schemas", {"t.xsd": MAIN, "parts/person.xsd": PERSON})
    (folder / "o.xsd").symlink_to(outside)

    assert "o.xsd, which it needs, cannot be read: it lies outside" in refused(folder, {})


def test_a_link_to_a_file_of_the_folder_is(tmp_path: Path) -> None:
    """As those of mounted settings are."""
    real = stored(tmp_path / "schemas" / "..data")
    for name in ("o.xsd", "parts"):
        (tmp_path / "schemas" / name).symlink_to(real / name)

    assert said(compiled(tmp_path / "schemas", {"t.xsd": MAIN}), ASK.format("1")) != ""


@pytest.mark.parametrize("missing", [name for name in FILES if name != "t.xsd"])
def test_a_file_that_is_missing_is_told_with_the_file_and_line_that_name_it(
    missing: str, tmp_path: Path
) -> None:
    by = {"parts/person.xsd": "t.xsd:2", "o.xsd": "t.xsd:3"}.get(missing, "parts/person.xsd:2")

    told = refused(tmp_path, {name: text for name, text in FILES.items() if name != missing})

    assert told == f"{tmp_path}/{by}: {missing}, which it needs, cannot be read: " + os.strerror(2)


@pytest.mark.parametrize("kind", ["redefine", "override"])
def test_what_gives_a_name_a_second_meaning_is_refused(kind: str, tmp_path: Path) -> None:
    text = document(f'<xs:{kind} schemaLocation="o.xsd"/>')
    told = refused(tmp_path, {"t.xsd": text, "o.xsd": NUMBER})
    assert f"t.xsd:2: xs:{kind} is not taken" in told


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("parts/person.xsd", OTHER, "another targetNamespace than who includes it"),
        ("o.xsd", NUMBER, "does not have the namespace that is imported"),
        ("o.xsd", "<a>", "o.xsd: not a schema: "),
        ("o.xsd", f"<!DOCTYPE a>{OTHER}", "o.xsd: not a schema: "),
        ("o.xsd", OTHER.replace("o:Link", "o:None"), "not a schema: "),
        ("o.xsd", OTHER.replace("xs:anyURI", "t:Nothing"), "not a schema: "),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    name: str, text: str, words: str, tmp_path: Path
) -> None:
    told = refused(tmp_path, {**FILES, name: text})
    assert words in told
    assert "schema-set" not in told


def test_files_that_name_each_other_end(tmp_path: Path) -> None:
    number = NUMBER.replace(
        "<xs:simpleType", '<xs:include schemaLocation="../../t.xsd"/>\n<xs:simpleType', 1
    )
    other = OTHER.replace(
        "<xs:element", '<xs:import namespace="urn:t" schemaLocation="t.xsd"/><xs:element', 1
    )
    schema = compiled(tmp_path, {**FILES, "parts/deeper/number.xsd": number, "o.xsd": other})

    assert said(schema, ASK.format("040185766517")) == ""
    assert "expected a text of the form" in said(schema, ASK.format("1"))
    assert len(schema.files.texts) == len(FILES)

    itself = MAIN.replace("parts/person.xsd", "t.xsd")
    assert "not a schema" in refused(tmp_path, {**FILES, "t.xsd": itself})


def test_depth_number_and_bytes_of_files_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = {
        f"{number}.xsd": document(f'<xs:include schemaLocation="{number + 1}.xsd"/>')
        for number in range(schema_set.DEPTH_MAX + 1)
    }
    first = {"t.xsd": document('<xs:include schemaLocation="0.xsd"/>')}
    last = {f"{schema_set.DEPTH_MAX + 1}.xsd": document("")}
    assert "more than 16 deep" in refused(tmp_path, {**chain, **first, **last})

    many = range(schema_set.FILES_MAX)
    wide = {f"w{number}.xsd": document("") for number in many}
    includes = "".join(f'<xs:include schemaLocation="w{number}.xsd"/>' for number in many)
    assert "more than 64 files" in refused(tmp_path, {**wide, "t.xsd": document(includes)})

    monkeypatch.setattr(schema_set, "SET_BYTES_MAX", 1000)
    assert "more than 1,000 bytes" in refused(tmp_path, FILES)
    monkeypatch.undo()
    monkeypatch.setattr(schema_set, "SCHEMA_BYTES_MAX", 300)
    assert "at most 300" in refused(tmp_path, FILES)


def test_nothing_but_the_files_of_the_schema_is_given_to_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever libxml2 would ask for: there is no way to the disk or the network behind them."""
    from bus.settings import payload_schemas

    schema = compiled(tmp_path)
    fewer = replace(schema.files, texts={"t.xsd": schema.files.texts["t.xsd"]})
    monkeypatch.chdir(tmp_path)

    with pytest.raises((etree.XMLSchemaParseError, LookupError)):
        etree.XMLSchema(payload_schemas._with_files(fewer))


# --- under the digest of the rules, and back in an audit ------------------------------------------


SCHEMA = REFERENCE.services[LOOKUP].schema
PART = f"{SCHEMA.rpartition('/')[0]}/parts/all.xsd"


def split(folder: Path) -> Path:
    """The packaged schemas, one of them cut in two."""
    shutil.copytree(schemas.FOLDER, folder)
    main, part = folder / SCHEMA, folder / PART
    part.parent.mkdir()
    main.rename(part)
    included = '<xs:include schemaLocation="parts/all.xsd"/>'
    head = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    main.write_text(f'{head}targetNamespace="{LOOKUP_NAMESPACE}">{included}</xs:schema>')
    return folder


def reader(ruled: RulesText) -> Mapping[bytes, bytes]:
    return {hashlib.sha256(text).digest(): text for text in ruled.texts}


WRONG = f'<p:TraCuuThongTinCongDan xmlns:p="{LOOKUP_NAMESPACE}"/>'.encode()


def test_an_audit_judges_by_the_files_of_that_time(nation: SmallNation, tmp_path: Path) -> None:
    folder = split(tmp_path / "schemas")
    settings = replace(nation.settings, schemas=folder)
    ruled = read_rules(settings)
    kept = reader(ruled)
    part = folder / PART
    text = part.read_text()
    part.write_text(text.replace("</xs:schema>", '<xs:element name="New"/></xs:schema>'))

    changed = read_rules(settings)
    assert changed.rules.digest != ruled.rules.digest
    assert hashlib.sha256(text.encode()).digest() in kept

    shutil.rmtree(folder)
    again = restore_rules(ruled.rules.digest, kept.__getitem__)
    for raw in (request(nation), request(nation, body=WRONG)):
        first, second = (decide(raw, parse, rules, NOW) for rules in (ruled.rules, again))
        assert type(first) is type(second)
        if isinstance(first, Refusal):
            assert isinstance(second, Refusal)
            assert str(first.error) == str(second.error)
    first_schema, second_schema = (rules.schemas[LOOKUP] for rules in (ruled.rules, changed.rules))
    assert isinstance(first_schema, CompiledSchema)
    assert isinstance(second_schema, CompiledSchema)
    assert not first_schema.has_element("New")
    assert second_schema.has_element("New")
    assert again.schemas[LOOKUP].digest == first_schema.digest != second_schema.digest


def test_rules_with_one_file_of_each_schema_have_the_digest_that_they_always_had(
    nation: SmallNation, tmp_path: Path
) -> None:
    ruled = read_rules(nation.settings)
    manifest = json.loads(ruled.texts[0])
    assert manifest["v"] == 1
    assert manifest["schemas"].keys() == {
        service.schema for service in nation.rules.registry.services.values()
    }

    folder = split(tmp_path / "schemas")
    manifest = json.loads(read_rules(replace(nation.settings, schemas=folder)).texts[0])
    assert manifest["v"] == 2
    assert PART in manifest["schemas"]


def altered(ruled: RulesText, **facts: JsonValue) -> tuple[bytes, Mapping[bytes, bytes]]:
    manifest = canonical_json({**json.loads(ruled.texts[0]), **facts})
    digest = hashlib.sha256(manifest).digest()
    return digest, {**reader(ruled), digest: manifest}


def test_rules_of_an_unknown_form_or_without_one_of_their_files_do_not_come_back(
    nation: SmallNation, tmp_path: Path
) -> None:
    folder = split(tmp_path / "schemas")
    ruled = read_rules(replace(nation.settings, schemas=folder))
    named = json.loads(ruled.texts[0])["schemas"]

    digest, kept = altered(ruled, v=3)
    with pytest.raises(LogCorrupt, match="form 3"):
        restore_rules(digest, kept.__getitem__)

    del named[PART]
    digest, kept = altered(ruled, schemas=named)
    with pytest.raises(ConfigurationError, match="not among the texts"):
        restore_rules(digest, kept.__getitem__)


def test_rules_of_programs_that_kept_one_file_of_a_schema_are_read_as_they_were(
    nation: SmallNation,
) -> None:
    """What could not be imported was left out then, with whatever location it had."""
    ruled = read_rules(nation.settings)
    named = json.loads(ruled.texts[0])["schemas"]
    text = reader(ruled)[bytes.fromhex(named[SCHEMA])]
    place = text.index(b">", text.index(b"schema")) + 1
    more = b'<xs:import namespace="urn:o" schemaLocation="http://127.0.0.1:9/o.xsd"/>'
    older = text[:place] + more + text[place:]
    digest, kept = altered(ruled, schemas={**named, SCHEMA: hashlib.sha256(older).hexdigest()})

    again = restore_rules(digest, {**kept, hashlib.sha256(older).digest(): older}.__getitem__)

    assert not isinstance(decide(request(nation), parse, again, NOW), Refusal)


# --- told to others -------------------------------------------------------------------------------


def test_a_description_holds_every_file_and_a_foreign_client_writes_by_it(
    nation: SmallNation, tmp_path: Path
) -> None:
    folder = tmp_path / "schemas"
    shutil.copytree(schemas.FOLDER, folder)
    main = MAIN.replace('"Ask"', f'"{LOOKUP.service_code}"').replace(
        _END, f'<xs:element name="{LOOKUP.service_code}Response" type="xs:string"/>{_END}'
    )
    stored((folder / SCHEMA).parent, {**FILES, Path(SCHEMA).name: main})
    rules = replace(nation.rules)
    schema = CompiledSchema(folder / SCHEMA, within=folder)
    rules = replace(rules, schemas={**rules.schemas, LOOKUP: schema})
    told = ServiceDescriptions(rules, schemas=folder, public_url="http://127.0.0.1:9")

    wsdl = told.wsdl_named(str(LOOKUP))

    assert wsdl is not None
    assert b"schemaLocation" not in wsdl
    inside = etree.fromstring(wsdl).iterfind(".//{http://www.w3.org/2001/XMLSchema}schema")
    namespaces = [one.get("targetNamespace") for one in inside]
    assert len(namespaces) == len(set(namespaces))
    path = tmp_path / "t.wsdl"
    path.write_bytes(wsdl)
    client: Any = cast(Any, zeep).Client(str(path))
    number = "040185766517"
    message = client.create_message(
        client.service,
        LOOKUP.service_code,
        Who={"Number": number, "Photo": b"\x00\x01"},
        Paper="cid:a",
    )
    payload = message.find("{http://schemas.xmlsoap.org/soap/envelope/}Body")[0]
    raw = etree.tostring(payload)
    assert schema.mistake(parse_xml(raw, bytes_max=len(raw))) is None
    assert number.encode() in raw
    with pytest.raises(zeep.exceptions.ValidationError):
        client.create_message(client.service, LOOKUP.service_code, Who={})
