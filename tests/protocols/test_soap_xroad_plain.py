"""Plain requests: which bytes are taken, what is signed of them, what comes back."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.faults import Fault
from bus.core.limits import Limits
from bus.core.registry import FaultSpelling
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.plain import (
    PlainRequest,
    fault_to_client,
    plain_answer,
    plain_fault,
    read_plain,
    sign_plain,
    to_utf8,
)
from bus.protocols.soap_xroad.read_identifiers import FREE_TEXT_CHARACTERS_MAX
from bus.protocols.soap_xroad.relocate import relocate_wsdl
from bus.protocols.soap_xroad.write import SigningTime
from signing.names import SOAP11, SOAP12
from signing.wss.canonical import canonicalise
from tests.access_point.running_access_point import XROAD, plain_request, request_hash
from tests.nation import ANSWER, CLIENT, NOW, SmallNation, payload

LIMITS = Limits()
FAULT = Fault(
    code="access.denied",
    xroad_code="Server.ServerProxy.AccessDenied",
    reason="No grant lets this client use this service.",
    fault_id="fault-1",
    message_id="m-9",
    request_digest=b"signed",
    is_retryable=False,
)


def read(raw: bytes, charset: str = "") -> PlainRequest:
    return read_plain(raw, charset, LIMITS)


def tree(raw: bytes) -> etree._Element:
    return parse_xml(raw, bytes_max=len(raw))


# --- charsets ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "codec", "declared"),
    [
        ("utf-8", "utf-8", "UTF-8"),
        ("UTF-8", "utf-8-sig", ""),
        ("", "utf-8-sig", "utf-8"),
        ("us-ascii", "ascii", ""),
        ("ISO-8859-1", "iso-8859-1", "ISO-8859-1"),
        ("", "iso-8859-1", "ISO-8859-1"),
        ("latin1", "iso-8859-1", "UTF-8"),
        ("utf-8", "utf-8", "ISO-8859-1"),
        ("windows-1252", "windows-1252", ""),
        ("utf-16", "utf-16", "UTF-16"),
        ("", "utf-16", "UTF-16"),
        # A mark decides before the Content-Type. RFC 7303 §3.
        ("ISO-8859-1", "utf-8-sig", ""),
        ("windows-1252", "utf-8-sig", "ISO-8859-1"),
        ("utf-8", "utf-16", "UTF-16"),
        ("koi8-r", "utf-16", ""),
        ("utf-16le", "utf-16", ""),
        ("utf-16be", "utf-16", "UTF-16"),
        # Without one, the name or the first letter tells the order of bytes.
        ("utf-16le", "utf-16-le", ""),
        ("UTF-16BE", "utf-16-be", "UTF-16"),
        ("utf-16", "utf-16-le", ""),
        ("utf-16", "utf-16-be", ""),
        ("", "utf-16-le", "UTF-16"),
        ("", "utf-16-be", ""),
        (" utf-8 ", "utf-8", ""),
    ],
)
def test_the_charset_is_that_of_the_content_type_and_then_that_of_the_text(
    charset: str, codec: str, declared: str
) -> None:
    user_id = "VN0117" if codec == "ascii" else "Émile"
    declaration = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    body = b'<p:TraCuuThongTinCongDan xmlns:p="urn:p"/>'
    text = plain_request(user_id=user_id, declaration=declaration, body=body).decode()
    raw = text.encode(codec)

    request = read(raw, charset)

    assert user_id == request.envelope.user_id
    assert (raw, hashlib.sha256(raw).digest()) == (request.raw, request.digest)


def test_bytes_in_utf_8_stay_as_they_are() -> None:
    raw = codecs.BOM_UTF8 + plain_request(declaration='<?xml version="1.0" encoding="utf-8"?>')

    assert raw == to_utf8(raw, "utf-8")


def test_utf_16_that_begins_with_a_space_has_its_larger_byte_first() -> None:
    text = f"\n{plain_request(user_id='Đào').decode()}"

    assert read(text.encode("utf-16-be"), "utf-16").envelope.user_id == "Đào"
    with pytest.raises(errors.NotWellFormed):
        read(text.encode("utf-16-le"), "utf-16")


@pytest.mark.parametrize("codec", ["utf-32", "utf-32-be"])
@pytest.mark.parametrize("charset", ["", "utf-32", "utf-16"])
def test_utf_32_is_a_charset_that_is_not_taken(codec: str, charset: str) -> None:
    text = plain_request().decode()
    marked = text if codec == "utf-32" else f"\ufeff{text}"

    with pytest.raises(errors.ContentTypeInvalid, match="charset"):
        to_utf8(marked.encode(codec), charset)


def test_a_text_in_utf_16_without_mark_and_letter_is_none() -> None:
    with pytest.raises(errors.NotWellFormed):
        to_utf8(b"\x00", "utf-16")


def test_lines_and_tabs_of_free_texts_are_signed_and_repeated_as_they_were_sent(
    nation: SmallNation,
) -> None:
    for text in ("H41\n2026\t1", " a ", "x" * FREE_TEXT_CHARACTERS_MAX, "&#xD;&lt;&#x85;31m\u009b"):
        meant = text.replace("&#xD;", "\r").replace("&lt;", "<").replace("&#x85;", "\x85")

        request = read(plain_request(user_id=text))

        assert request.envelope.user_id == meant
        signed = sign_plain(request, nation.signers[CLIENT], SigningTime(NOW))
        assert parse(signed, LIMITS).user_id == meant
        answer = plain_answer(request, payload(ANSWER))
        assert payload(answer).findtext(f".//{{{XROAD}}}userId") == meant


def test_a_charset_that_nobody_uses_is_refused() -> None:
    with pytest.raises(errors.ContentTypeInvalid, match="charset"):
        to_utf8(b"<a/>", "koi8-r")


def test_bytes_outside_their_charset_are_not_well_formed() -> None:
    with pytest.raises(errors.NotWellFormed, match="byte 0"):
        to_utf8(b"\x81", "windows-1252")


@given(st.binary(max_size=300), st.sampled_from(["", "utf-8", "iso-8859-1", "utf-16", "x"]))
def test_any_bytes_are_a_request_or_a_known_error(raw: bytes, charset: str) -> None:
    with pytest.raises(errors.BusError):
        read(raw, charset)


@given(st.data())
def test_a_request_with_any_byte_changed_is_a_request_or_a_known_error(data: st.DataObject) -> None:
    raw = bytearray(plain_request())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] = data.draw(st.integers(0, 255))

    try:
        request = read(bytes(raw), data.draw(st.sampled_from(["", "iso-8859-1"])))
    except errors.BusError:
        return
    assert bytes(raw) == request.raw


# --- what is signed ------------------------------------------------------------------------------


@pytest.mark.parametrize("soap", [SOAP11, SOAP12])
def test_the_signed_message_says_what_the_plain_one_says(nation: SmallNation, soap: str) -> None:
    order = ("protocolVersion", "id", "issue", "userId", "service", "client")
    plain = read(plain_request("p-1", order=order, soap=soap))

    signed = parse(sign_plain(plain, nation.signers[CLIENT], SigningTime(NOW)), LIMITS)

    assert [*order] == [block.name for block in signed.routing_blocks]
    assert signed.soap_version == soap
    for name in ("client", "service", "message_id", "user_id", "issue", "protocol_version"):
        assert getattr(plain.envelope, name) == getattr(signed, name)
    assert canonicalise(plain.envelope.payload) == canonicalise(signed.payload)


def test_another_id_is_signed_where_it_is_given(nation: SmallNation) -> None:
    plain = read(plain_request("p-1"))

    raw = sign_plain(plain, nation.signers[CLIENT], SigningTime(NOW), message_id="p-1.2")

    assert parse(raw, LIMITS).message_id == "p-1.2"
    assert plain.envelope.routing_blocks[3].element.text == "p-1"


# --- what comes back -----------------------------------------------------------------------------


def test_an_answer_repeats_the_headers_and_not_what_they_say_to_receivers() -> None:
    extra = (
        '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd" '
        'soapenv:mustUnderstand="1" soapenv:actor="">\n'
        "<r:partyCode>12</r:partyCode></r:representedParty>"
        '<xro:requestHash algorithmId="x">of the client</xro:requestHash>'
        '<o:other xmlns:o="urn:other"/>'
    )
    raw = plain_request(extra_header=extra)

    header, body = tree(plain_answer(read(raw), payload(ANSWER)))

    names = [etree.QName(block).localname for block in header]
    assert names[-2:] == ["representedParty", "requestHash"]
    assert "other" not in names
    assert not header[-2].attrib
    assert request_hash(raw) == header.findtext(f"{{{XROAD}}}requestHash")
    assert canonicalise(payload(ANSWER)) == canonicalise(body[0])


def test_a_payload_that_uses_our_prefix_keeps_its_meaning() -> None:
    element = tree(b'<soap:TraCuuThongTinCongDanResponse xmlns:soap="urn:theirs"/>')

    answer = tree(plain_answer(read(plain_request()), element))

    assert answer[1][0].tag == "{urn:theirs}TraCuuThongTinCongDanResponse"


@pytest.mark.parametrize(
    ("hub", "client"), list(product(FaultSpelling, repeat=2)), ids=lambda one: str(one)
)
def test_a_code_is_spelt_as_the_client_reads_it_however_the_hub_spells_it(
    hub: FaultSpelling, client: FaultSpelling
) -> None:
    codes = {
        FaultSpelling.PASCAL: "Server.ServerProxy.AccessDenied",
        FaultSpelling.SNAKE: "server.serverproxy.access_denied",
    }
    request = read(plain_request("p-1"))

    told = fault_to_client(replace(FAULT, xroad_code=codes[hub]), request, client)

    envelope = tree(plain_fault(told, client))
    assert codes[client] == envelope.findtext(".//faultcode")
    assert ("p-1", request.digest) == (told.message_id, told.request_digest)


def test_a_code_of_somebody_else_is_not_touched() -> None:
    own = replace(FAULT, code="delivery.service-fault", xroad_code="Server.HoTich.KhongCo")

    told = fault_to_client(own, read(plain_request()), FaultSpelling.SNAKE)

    assert told.xroad_code == "Server.HoTich.KhongCo"


def test_a_fault_of_soap_1_2_says_which_header_was_not_understood() -> None:
    extra = '<o:other xmlns:o="urn:other" soapenv:mustUnderstand="true"/>'

    with pytest.raises(errors.HeaderNotUnderstood) as refused:
        read(plain_request(soap=SOAP12, extra_header=extra))

    assert refused.value.subject == "{urn:other}other"
    assert b"Header" not in plain_fault(FAULT, FaultSpelling.PASCAL, SoapVersion.SOAP_1_2)


# --- descriptions --------------------------------------------------------------------------------


def test_every_address_of_a_wsdl_gets_another_place_and_keeps_its_path() -> None:
    wsdl = (
        b'<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/">'
        b'<a:address xmlns:a="http://schemas.xmlsoap.org/wsdl/soap/" location="http://h:1/s/x"/>'
        b'<a:address xmlns:a="http://schemas.xmlsoap.org/wsdl/soap12/" location="http://h:1"/>'
        b'<a:address xmlns:a="urn:other" location="http://h:1/s"/></w:definitions>'
    )

    moved = tree(relocate_wsdl(wsdl, "https://here"))

    assert [one.get("location") for one in moved] == [
        "https://here/s/x",
        "https://here",
        "http://h:1/s",
    ]
