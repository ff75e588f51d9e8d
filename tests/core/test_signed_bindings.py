"""What a value means is what was signed: a binding outside of the signature changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from lxml import etree

from bus.audit.audit import decide_outcome
from bus.audit.checks.replay import Replay
from bus.core.decision import Accepted, Refused
from bus.core.errors import AnswerInvalid, NoCanonicalForm, PayloadInvalid
from bus.core.exchange_leaves import SealedFacts, refused_leaf
from bus.core.identifiers import ServiceId
from bus.core.log.leaf import read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.pipeline import Refusal, Rules, decide
from bus.core.ports.message_log import SealedPayload, StoredEntry
from bus.core.routing import RoutedMessage
from bus.core.schema_kinds import Kind
from bus.core.validation import PayloadSchema, SchemaMistake, validate_answer
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.names import XROAD
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.settings.payload_schemas import CompiledSchema
from signing.names import WSU
from signing.wss.canonical import canonicalise
from tests.envelopes import HEADER_BLOCKS, signed_again
from tests.envelopes import body as body_of
from tests.nation import CLIENT, LOOKUP, LOOKUP_NAMESPACE, NOW, SmallNation, decide_request, request

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
XSD = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
PAYLOAD = f'<p:TraCuuThongTinCongDan xmlns:p="{LOOKUP_NAMESPACE}"/>'.encode()
SCHEMA = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:t="{LOOKUP_NAMESPACE}"
  targetNamespace="{LOOKUP_NAMESPACE}" elementFormDefault="qualified">
  <xs:element name="TraCuuThongTinCongDan"><xs:complexType><xs:sequence>
    <xs:element name="Name" type="xs:QName" minOccurs="0"/>
    <xs:element name="Names" minOccurs="0"><xs:simpleType><xs:list itemType="xs:QName"/>
    </xs:simpleType></xs:element>
    <xs:element name="Any" type="xs:anyType" minOccurs="0"/>
  </xs:sequence><xs:attribute name="which" type="xs:QName"/></xs:complexType></xs:element>
  <xs:complexType name="string"><xs:sequence/></xs:complexType>
  <xs:complexType name="Own"><xs:sequence/></xs:complexType>
</xs:schema>"""


@pytest.fixture(scope="module")
def rules(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Rules:
    path = tmp_path_factory.mktemp("schemas") / "qnames.xsd"
    path.write_text(SCHEMA)
    schemas: Mapping[ServiceId, PayloadSchema] = {
        **nation.rules.schemas,
        LOOKUP: CompiledSchema(path),
    }
    return replace(nation.rules, schemas=schemas)


def signed(nation: SmallNation, content: str, outside: str, *, attributes: str = "") -> bytes:
    """A request whose signature does not reach what only values use."""
    plain = request(nation)
    own = body_of(plain)
    payload = (
        f'<p:TraCuuThongTinCongDan xmlns:p="{LOOKUP_NAMESPACE}"{attributes}>{content}'
        "</p:TraCuuThongTinCongDan>"
    ).encode()
    written = own[: own.index(b"<p:")] + payload + b"</soap:Body>"
    envelope = f"<soap:Envelope {outside}".encode()
    whole = plain.replace(own, written).replace(b"<soap:Envelope", envelope, 1)
    canonical = canonicalise(parse_xml(whole, bytes_max=len(whole))[1])
    again = signed_again(plain.replace(own, canonical), nation.signers[CLIENT])
    return again.replace(canonical, written).replace(b"<soap:Envelope", envelope, 1)


def decided(raw: bytes, rules: Rules) -> RoutedMessage | Refusal:
    return decide(raw, parse, rules, NOW)


@pytest.mark.parametrize(
    ("content", "attributes", "name"),
    [
        ("<p:Name>q:a</p:Name>", "", "prefix q"),
        ("<p:Names>p:a q:a</p:Names>", "", "prefix q"),
        ("<p:Name>a</p:Name>", "", "default namespace"),
        ("", ' which="q:a"', "prefix q"),
        (f'<p:Any {XSI} xsi:type="xsd:QName">q:a</p:Any>', "", "prefix xsd"),
        (f'<p:Any {XSI} xsi:type="xsd:string">a</p:Any>', "", "prefix xsd"),
        (f'<p:Any {XSI} xsi:type="q:string"/>', "", "prefix q"),
    ],
)
def test_a_value_that_the_signature_leaves_open_is_refused_by_its_prefix(
    nation: SmallNation, rules: Rules, content: str, attributes: str, name: str
) -> None:
    outside = f'xmlns="urn:d" xmlns:q="{LOOKUP_NAMESPACE}" {XSD}'

    refusal = decided(signed(nation, content, outside, attributes=attributes), rules)

    assert isinstance(refusal, Refusal)
    assert type(refusal.error) is PayloadInvalid
    assert f"the {name} of a value is bound where the signature does not" in str(refusal.error)
    assert "line " in str(refusal.error)


@pytest.mark.parametrize(
    "content",
    [
        "<p:Name>p:a</p:Name>",
        f'<p:Any {XSI} xsi:type="q:Own"/>',
        f'<p:Any {XSI} xsi:type="xsd:int">1</p:Any>',
    ],
)
def test_what_can_mean_one_thing_only_passes(
    nation: SmallNation, rules: Rules, content: str
) -> None:
    raw = signed(nation, content, f'xmlns:q="{LOOKUP_NAMESPACE}" {XSD}')

    assert isinstance(decided(raw, rules), RoutedMessage)
    for old, new in ((f'xmlns:q="{LOOKUP_NAMESPACE}"', 'xmlns:q="urn:x"'), (XSD, "")):
        if f'type="{old[6:7]}' in content or ("xsd:" in content and old == XSD):
            assert isinstance(decided(raw.replace(old.encode(), new.encode()), rules), Refusal)


@pytest.mark.parametrize("content", ["<p:Name>q:a</p:Name>", f'<p:Any {XSI} xsi:type="q:string"/>'])
def test_what_a_prefix_list_covers_passes_and_goes_on_whole(
    nation: SmallNation, rules: Rules, content: str
) -> None:
    """Our own requests name the prefixes of their values, as WSS4J's do."""
    payload = (
        f'<p:TraCuuThongTinCongDan xmlns:p="{LOOKUP_NAMESPACE}" xmlns:q="{LOOKUP_NAMESPACE}">'
        f"{content}</p:TraCuuThongTinCongDan>"
    )
    raw = request(nation, body=payload.encode())
    assert b'PrefixList="q"' in raw

    decision = decide_request(raw, rules, NOW, _fail)

    assert isinstance(decision, Accepted)
    carried = parse_xml(decision.payload, bytes_max=len(decision.payload))
    assert carried[0].nsmap["q"] == LOOKUP_NAMESPACE
    changed = raw.replace(f'xmlns:q="{LOOKUP_NAMESPACE}"'.encode(), b'xmlns:q="urn:x"')
    assert isinstance(decide_request(changed, rules, NOW, _fail), Refused)


def test_more_prefixes_than_an_answer_can_repeat_are_refused(
    nation: SmallNation, rules: Rules
) -> None:
    bound = " ".join(f'xmlns:n{number}="urn:{number}"' for number in range(33))
    words = " ".join(f"n{number}:x" for number in range(33))
    block = (
        f'<xrd:other xmlns:wsu="{WSU}" xmlns:xrd="{XROAD}" wsu:Id="other">{words}</xrd:other>'
    ).encode()
    plain = request(nation, body=PAYLOAD)
    raw = plain.replace(b"</soap:Header>", block + b"</soap:Header>", 1)
    raw = signed_again(raw, nation.signers[CLIENT], blocks=(*HEADER_BLOCKS, "other"))
    raw = raw.replace(b"<soap:Envelope", f"<soap:Envelope {bound}".encode(), 1)

    decision = decide_request(raw, rules, NOW, _fail)

    assert isinstance(decision, Refused)
    assert type(decision.error) is NoCanonicalForm
    assert decision.proof is not None
    assert found_again(decision, raw, rules) == []


def found_again(refused: Refused, raw: bytes, rules: Rules) -> list[str]:
    """What an audit finds wrong with the entry of a refusal."""
    replay = Replay(SOAP_XROAD, {rules.digest: rules}.get, decide_outcome)
    payload = SealedFacts(SealedPayload(b"", b""), bytes(32), bytes(32), len(raw))
    leaf = refused_leaf(refused, len(raw), payload, Pseudonyms(bytes(32)), rules.digest, "f-1", NOW)
    findings = replay.examine(StoredEntry(1, leaf, None), read_leaf(leaf), raw)
    return [finding.what for finding in findings]


def _fail(error: Exception) -> None:
    raise error


# --- answers -------------------------------------------------------------------------------------


class AnySchema:
    """A schema with QNames that takes whatever has the right name, and remembers it."""

    namespace = LOOKUP_NAMESPACE
    digest = b""
    kinds: Mapping[str, frozenset[Kind]] = {}
    has_qnames = True
    seen: etree._Element | None = None

    def is_only_type(self, namespace: str, local_name: str) -> bool:
        return False

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        self.seen = element
        return None


def answer_with(bindings: str, values: str) -> etree._Element:
    raw = (
        f'<p:{LOOKUP.service_code}Response xmlns:p="{LOOKUP_NAMESPACE}" {bindings} '
        f'which="{values}"/>'
    ).encode()
    return parse_xml(raw, bytes_max=len(raw))


def test_an_answer_is_held_to_its_schema_in_the_form_that_is_signed(nation: SmallNation) -> None:
    schema = AnySchema()

    form = validate_answer(
        answer_with('xmlns:q="urn:q" xmlns:unused="urn:u"', "q:x"),
        nation.rules.registry.services[LOOKUP],
        schema,
    )

    assert form.prefixes == ("q",)
    assert schema.seen is not None
    assert schema.seen.nsmap["q"] == "urn:q"
    assert "unused" not in schema.seen.nsmap


def test_an_answer_with_more_prefixes_than_can_be_signed_is_invalid(nation: SmallNation) -> None:
    bound = " ".join(f'xmlns:n{number}="urn:{number}"' for number in range(33))
    words = " ".join(f"n{number}:x" for number in range(33))

    with pytest.raises(AnswerInvalid):
        validate_answer(
            answer_with(bound, words), nation.rules.registry.services[LOOKUP], AnySchema()
        )
