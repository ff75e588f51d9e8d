"""What we write is read and verified by our own stages, and says what it was told to say."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from bus.core.envelope import Envelope, SoapVersion
from bus.core.limits import Limits
from bus.core.pipeline import decide
from bus.core.routing import RoutedMessage
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import (
    RequestHeader,
    SigningTime,
    escape,
    with_receipt,
    without_receipt,
    write_answer,
    write_fault_message,
    write_request,
)
from signing.names import DS, SECURITY, SOAP11, SOAP12, TIMESTAMP, WSU, WSU_ID
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.wss.canonical import canonicalise
from signing.wss.verify import SignedPart, VerifiedSignature, verify_signature
from tests.envelopes import with_header
from tests.nation import (
    ANSWER,
    CLIENT,
    LOOKUP,
    NOW,
    PROVIDER,
    SAMPLE,
    SmallNation,
    payload,
    request,
)

TIME = SigningTime(NOW, timedelta(minutes=5))


def verify_message(raw: bytes, nation: SmallNation) -> VerifiedSignature:
    """Verify an answer or a fault: Body, timestamp and every X-Road block, by position."""
    root = parse_xml(raw, bytes_max=len(raw))
    header, body = root
    security = header.find(SECURITY)
    assert security is not None
    timestamp = security.find(TIMESTAMP)
    assert timestamp is not None
    parts = [SignedPart("Body", body), SignedPart("Timestamp", timestamp)]
    parts += [
        SignedPart(etree.QName(block).localname, block)
        for block in header
        if etree.QName(block).namespace in names.ROUTING_NAMESPACES
    ]
    return verify_signature(security, parts, SignaturePolicy(), TrustStore([nation.anchor]), NOW)


def envelope_of(raw: bytes) -> Envelope:
    return parse(raw, Limits())


def answer_to(raw: bytes, nation: SmallNation, body: bytes = ANSWER) -> bytes:
    return write_answer(envelope_of(raw), payload(body), nation.signers[PROVIDER], TIME)


# --- requests ----------------------------------------------------------------------------------

LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Co", "Cn"])
LINE = st.text(LETTERS, max_size=60).filter(str.isprintable)
# XML 1.0 §2.2: what may stand in a document at all.
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r"),
    max_size=60,
).filter(lambda text: not any(character in "\ufffe\uffff" for character in text))
NAME = st.text("AĂÂBCDĐEÊGHIKLMNOÔƠPQRSTUƯVXYaăâđêôơư &<>'\"", min_size=1, max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    message_id=st.text(LETTERS, min_size=1, max_size=60).filter(str.isprintable),
    user_id=LINE,
    issue=LINE,
    name=NAME.filter(lambda text: text == " ".join(text.split())),
    kind=st.sampled_from(["rsa-2048", "p-256", "p-384", "ed25519"]),
)
def test_what_we_write_is_judged_to_pass_and_says_the_same(
    nation: SmallNation, message_id: str, user_id: str, issue: str, name: str, kind: str
) -> None:
    citizen = payload(SAMPLE)
    field = citizen.find("{*}HoVaTen")
    assert field is not None
    field.text = name

    raw = write_request(
        RequestHeader(CLIENT, LOOKUP, message_id, user_id=user_id, issue=issue),
        citizen,
        nation.client_signers[kind],
        TIME,
    )

    result = decide(raw, parse, nation.rules, NOW)
    assert isinstance(result, RoutedMessage), result
    envelope = result.valid.authorised.verified.envelope
    assert (envelope.message_id, envelope.user_id, envelope.issue) == (message_id, user_id, issue)
    assert envelope.payload.findtext("{*}HoVaTen") == name


@given(text=TEXT)
def test_escaped_text_is_read_back(text: str) -> None:
    raw = f"<a>{escape(text)}</a>".encode()

    assert (parse_xml(raw, bytes_max=len(raw)).text or "") == text


@pytest.mark.parametrize(
    "body",
    [
        f'<soap:x xmlns:soap="{SOAP11}"><y/></soap:x>',
        '<soap:x xmlns:soap="urn:another"/>',
        f'<x xmlns:wsu="{WSU}"><wsu:y/></x>',
        '<x xmlns="urn:x"><y xmlns=""/></x>',
        "<x> \n </x>",
    ],
)
def test_a_payload_may_use_any_prefix(nation: SmallNation, body: str) -> None:
    raw = answer_to(request(nation), nation, body.encode())

    assert verify_message(raw, nation)
    written = parse_xml(raw, bytes_max=len(raw))[1][0]
    assert etree.tostring(written, method="c14n", exclusive=True) == etree.tostring(
        payload(body.encode()), method="c14n", exclusive=True
    )


# --- answers -------------------------------------------------------------------------------------


def test_an_answer_repeats_the_headers_in_order_and_names_the_requests_hash(
    nation: SmallNation,
) -> None:
    raw = request(nation)

    answer = envelope_of_answer(answer_to(raw, nation))

    asked = [block.element for block in envelope_of(raw).routing_blocks]
    assert [_said(block) for block in answer[:-1]] == [_said(block) for block in asked]
    assert answer[-1].tag == names.REQUEST_HASH
    assert answer[-1].text == base64.b64encode(hashlib.sha512(raw).digest()).decode()
    assert answer[-1].get("algorithmId") == names.REQUEST_HASH_ALGORITHM


def envelope_of_answer(raw: bytes) -> list[etree._Element]:
    header = parse_xml(raw, bytes_max=len(raw))[0]
    return [block for block in header if etree.QName(block).namespace == names.XROAD]


def _said(block: etree._Element) -> object:
    return block.tag, block.text, [(child.tag, child.text) for child in block]


def test_an_answer_is_signed_over_every_block_by_the_agency(nation: SmallNation) -> None:
    verified = verify_message(answer_to(request(nation), nation), nation)

    assert verified.certificate.subject_identifier == "VN/GOV/G01"
    assert {"Body", "Timestamp", "client", "id", "requestHash"} <= verified.canonical_parts.keys()


def test_what_a_request_leaves_out_its_answer_leaves_out(nation: SmallNation) -> None:
    raw = request(nation, user_id="", issue="")
    for old, new in (
        (b'"SUBSYSTEM"', b'"MEMBER"'),
        (b"<id:subsystemCode>motcua</id:subsystemCode>", b""),
        (b"<id:subsystemCode>dancu</id:subsystemCode>", b""),
        (b"<id:serviceVersion>v1</id:serviceVersion>", b""),
    ):
        raw = raw.replace(old, new)

    answer = envelope_of_answer(answer_to(raw, nation))

    asked = [block.element for block in envelope_of(raw).routing_blocks]
    assert [_said(block) for block in answer[:-1]] == [_said(block) for block in asked]
    assert len(asked) == 4


PARTY = (
    b'<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd">'
    b"<r:partyCode%s>1</r:partyCode></r:representedParty>"
)
WSU_BODY = b' xmlns:wsu="%s" wsu:Id="body"' % WSU.encode()
XRD = b'xmlns:xrd="http://x-road.eu/xsd/xroad.xsd"'


@pytest.mark.parametrize(
    "extra",
    [
        PARTY % b"",
        PARTY % WSU_BODY,
        PARTY % b' Id="timestamp"',
        PARTY % b' xml:id="x509"',
        b"<xrd:body " + XRD + b">1</xrd:body>",
        b"<xrd:timestamp " + XRD + b">1</xrd:timestamp>",
        b"<xrd:requestHash " + XRD + b">1</xrd:requestHash>",
        b"<xrd:x " + XRD + b'><soap:Header/><soap:Body wsu:Id="body" xmlns:wsu="u:w"/></xrd:x>',
        b"<xrd:x " + XRD + b'><lt:receipt xmlns:lt="urn:lienthong:message:1.0"/></xrd:x>',
    ],
)
def test_no_block_of_a_request_can_spoil_the_answer(nation: SmallNation, extra: bytes) -> None:
    raw = with_header(request(nation), extra)

    answer = answer_to(raw, nation)
    told = with_receipt(answer, b"receipt")

    assert verify_message(told, nation).certificate.subject_identifier == "VN/GOV/G01"
    assert without_receipt(told) == answer
    root = parse_xml(told, bytes_max=len(told))
    identifiers = [one.get(WSU_ID) for one in root.iter() if one.get(WSU_ID)]
    assert len(identifiers) == len(set(identifiers))
    assert root[0][-1].tag == names.RECEIPT


# --- faults and receipts -------------------------------------------------------------------------


def test_a_fault_message_is_signed(nation: SmallNation) -> None:
    raw = write_fault_message(b"<soap:Fault></soap:Fault>", nation.signers[PROVIDER], TIME)

    assert (
        verify_message(raw, nation)
        .canonical_parts["Body"]
        .endswith(b"<soap:Fault></soap:Fault></soap:Body>")
    )


def test_a_message_of_soap_1_2_is_canonical_where_it_is_signed(nation: SmallNation) -> None:
    raw = write_fault_message(
        b"<soap:Fault></soap:Fault>",
        nation.signers[PROVIDER],
        TIME,
        soap_version=SoapVersion.SOAP_1_2,
    )

    root = parse_xml(raw, bytes_max=len(raw))
    references = [one.get("URI", "") for one in root.iter(f"{{{DS}}}Reference")]
    digests = [base64.b64decode(one.text or "") for one in root.iter(f"{{{DS}}}DigestValue")]
    by_id = {f"#{one.get(WSU_ID)}": one for one in root.iter() if one.get(WSU_ID)}
    made = [hashlib.sha256(canonicalise(by_id[one])).digest() for one in references]
    assert root.tag == f"{{{SOAP12}}}Envelope"
    assert made == digests
    assert without_receipt(with_receipt(raw, b"note")) == raw


@given(note=st.binary(max_size=100))
def test_a_receipt_comes_off_again(note: bytes) -> None:
    message = (
        f'<soap:Envelope xmlns:soap="{SOAP11}"><soap:Header></soap:Header>'
        f'<soap:Body xmlns:soap="{SOAP11}" xmlns:wsu="{WSU}" wsu:Id="body"></soap:Body>'
        "</soap:Envelope>"
    ).encode()

    told = with_receipt(message, note)

    assert without_receipt(told) == message
    assert base64.b64encode(note) in told


def test_a_message_without_receipt_stays_as_it_is(nation: SmallNation) -> None:
    raw = answer_to(request(nation), nation)

    assert without_receipt(raw) == raw
