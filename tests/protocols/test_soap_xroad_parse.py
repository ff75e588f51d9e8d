"""Requests as X-Road Message Protocol 4.0 writes them, and every way to write them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core import errors
from bus.core.envelope import Envelope, SoapVersion
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_identifiers import FREE_TEXT_CHARACTERS_MAX
from signing.names import SOAP12
from tests.envelopes import block, body, security, with_header
from tests.nation import CLIENT, LOOKUP, SmallNation, request

QUERIES = Path(__file__).parents[1] / "vectors" / "xroad" / "queries"
LIMITS = Limits()


@pytest.fixture(scope="session")
def good(nation: SmallNation) -> bytes:
    return request(nation)


def change(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw, old
    return raw.replace(old, new)


# --- what is read ------------------------------------------------------------------------------


def test_an_envelope_holds_what_the_headers_say(good: bytes) -> None:
    envelope = parse(good, LIMITS)

    assert (envelope.client, envelope.service) == (CLIENT, LOOKUP)
    assert (envelope.message_id, envelope.user_id, envelope.issue) == (
        "m-1",
        "VN0117",
        "H41-2026-1",
    )
    assert envelope.raw is good
    assert [one.name for one in envelope.routing_blocks] == [
        "client",
        "service",
        "userId",
        "id",
        "issue",
        "protocolVersion",
    ]


def test_nothing_of_the_payload_stands_in_a_repr(good: bytes) -> None:
    assert "040185766517" not in repr(parse(good, LIMITS))


ACCEPTED = {
    "getstate": "EE/BUSINESS/producer/getState",
    "getstate-subsystem": "EE/BUSINESS/producer/subsys2/getState",
    "simple": "EE/BUSINESS/producer/testQuery",
    "cdata": "EE/BUSINESS/producer/getState",
    "missing-userId": "EE/BUSINESS/producer/testQuery",
    "simple-representedparty": "EE/BUSINESS/producer/testQuery",
    "listMethods": "EE/BUSINESS/producer/listMethods",
    "allowedMethods": "EE/BUSINESS/producer/allowedMethods",
    "notAllowed": "EE/BUSINESS/producer/test",
    "missing-org": "EE/BUSINESS/producer/getState",
}

REFUSED = {
    # The fault codes are those of X-Road's own test suite for the same files.
    "empty": "Client.InvalidSoap",
    "no-header": "Client.MissingHeader",
    "missing-protocolVersion": "Client.MissingHeaderField",
    "wrong-protocolVersion": "Client.InvalidProtocolVersion",
    "faulty-header2": "Client.DuplicateHeaderField",
    "missingobjecttype": "Client.InvalidXml",
    "missing-body": "Client.MissingBody",
    "malformed-body1": "Client.InvalidBody",
    "malformed-body3": "Client.InconsistentHeaders",
    "fault": "Client.CODE",
    # Parts of MIME, which no header announces here.
    "attachm": "Client.InvalidSoap",
    "attachm-error": "Client.InvalidSoap",
    "attachm-mtom": "Client.InvalidSoap",
    "attachm-no-soap": "Client.InvalidSoap",
}


def test_every_vector_of_x_road_is_judged_here() -> None:
    assert {path.stem for path in QUERIES.glob("*.query")} == ACCEPTED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", ACCEPTED)
def test_requests_of_x_road_are_read(name: str) -> None:
    envelope = parse((QUERIES / f"{name}.query").read_bytes(), LIMITS)

    assert str(envelope.service) == ACCEPTED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_bad_requests_of_x_road_get_its_fault_code(name: str) -> None:
    with pytest.raises(errors.BusError) as caught:
        parse((QUERIES / f"{name}.query").read_bytes(), LIMITS)

    assert caught.value.xroad_code == REFUSED[name]


def test_a_member_may_ask_without_naming_a_subsystem(good: bytes) -> None:
    raw = change(good, b'"SUBSYSTEM"', b'"MEMBER"')
    raw = change(raw, b"<id:subsystemCode>motcua</id:subsystemCode>", b"")

    assert parse(raw, LIMITS).client == SubsystemId(CLIENT.member, "")


def test_a_service_may_be_named_without_version(good: bytes) -> None:
    raw = change(good, b"<id:serviceVersion>v1</id:serviceVersion>", b"")

    assert parse(raw, LIMITS).service == ServiceId(LOOKUP.provider, LOOKUP.service_code, "")


def test_optional_headers_may_be_absent(good: bytes) -> None:
    raw = change(change(good, block(good, "userId"), b""), block(good, "issue"), b"")

    envelope = parse(raw, LIMITS)

    assert (envelope.user_id, envelope.issue) == ("", "")


def test_blocks_that_need_not_be_understood_are_passed_over(good: bytes) -> None:
    raw = with_header(good, b'<x:y xmlns:x="urn:x" soap:mustUnderstand="0"/>')

    assert len(parse(raw, LIMITS).routing_blocks) == 6


def test_a_block_for_another_actor_need_not_be_understood(good: bytes) -> None:
    raw = with_header(good, b'<x:y xmlns:x="u:x" soap:mustUnderstand="1" soap:actor="urn:z"/>')

    assert parse(raw, LIMITS).client == CLIENT


def test_security_for_another_actor_stands_beside_ours(good: bytes) -> None:
    wsse = b"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
    raw = with_header(good, b'<s:Security xmlns:s="%s" soap:actor="urn:z"/>' % wsse)

    security = parse(raw, LIMITS).security

    assert security is not None
    assert len(security)


# --- what is refused -------------------------------------------------------------------------

SOAP11 = b"http://schemas.xmlsoap.org/soap/envelope/"
EXTRA = b'<xrd:%s xmlns:xrd="http://x-road.eu/xsd/xroad.xsd">1</xrd:%s>'

DEFECTS: dict[str, tuple[tuple[bytes, bytes], type[errors.BusError], str]] = {
    "another SOAP": ((SOAP11, b"urn:soap"), errors.WrongSoapVersion, "Envelope"),
    "no Envelope": ((b"soap:Envelope", b"soap:Letter"), errors.WrongSoapVersion, "Envelope"),
    "something beside Header and Body": (
        (b"</soap:Envelope>", b"<x/></soap:Envelope>"),
        errors.BodyInvalid,
        "nothing else",
    ),
    "a block that must be understood": (
        (b"</soap:Header>", b'<x soap:mustUnderstand="1"/></soap:Header>'),
        errors.HeaderNotUnderstood,
        "x",
    ),
    "a block that must be understood, spelt true": (
        (b"</soap:Header>", b'<x soap:mustUnderstand="true"/></soap:Header>'),
        errors.HeaderNotUnderstood,
        "x",
    ),
    "a block twice, once for another actor": (
        (
            b"</soap:Header>",
            (EXTRA % (b"id", b"id")).replace(b">1", b' soap:actor="u:z">1') + b"</soap:Header>",
        ),
        errors.HeaderDuplicate,
        "id",
    ),
    "too many blocks": (
        (b"</soap:Header>", b"<x/>" * 32 + b"</soap:Header>"),
        errors.HeaderInvalid,
        "39 header blocks, at most 32",
    ),
    "no objectType": ((b'id:objectType="SUBSYSTEM"', b""), errors.HeaderInvalid, "client"),
    "a group as client": ((b'"SUBSYSTEM"', b'"GLOBALGROUP"'), errors.HeaderInvalid, "client"),
    "a server as service": ((b'"SERVICE"', b'"SERVER"'), errors.HeaderInvalid, "service"),
    "a part missing": (
        (b"<id:memberClass>GOV</id:memberClass>", b""),
        errors.HeaderFieldMissing,
        "memberClass is required",
    ),
    "a part twice": (
        (b"<id:memberClass>", b"<id:memberClass>GOV</id:memberClass><id:memberClass>"),
        errors.HeaderDuplicate,
        "memberClass",
    ),
    "a part of another kind": (
        (b"<id:memberClass>", b"<id:groupCode>1</id:groupCode><id:memberClass>"),
        errors.HeaderInvalid,
        "groupCode is not expected",
    ),
    "a part of another namespace": (
        (b"<id:memberClass>GOV</id:memberClass>", b"<memberClass>GOV</memberClass>"),
        errors.HeaderInvalid,
        "memberClass is not expected",
    ),
    "a part outside the alphabet": (
        (b"<id:memberClass>GOV", b"<id:memberClass>G/OV"),
        errors.HeaderInvalid,
        "expected 1 to 64 of",
    ),
    "an empty part": ((b">GOV<", b"><"), errors.HeaderInvalid, "expected 1 to 64 of"),
    "elements in a part": (
        (b"<id:memberClass>", b"<id:memberClass><b/>"),
        errors.HeaderInvalid,
        "must hold text only",
    ),
    "an empty message id": ((b">m-1<", b"><"), errors.HeaderInvalid, "1 to 128 characters"),
    "a long message id": (
        (b">m-1<", b">" + b"m" * 129 + b"<"),
        errors.HeaderInvalid,
        "1 to 128 characters",
    ),
    "a message id of two lines": ((b">m-1<", b">m\n1<"), errors.HeaderInvalid, "on one line"),
    "an element in a user id": ((b">VN0117<", b">VN<b/>17<"), errors.HeaderInvalid, "text of"),
    "a user id without end": (
        (b">VN0117<", b">" + b"V" * (FREE_TEXT_CHARACTERS_MAX + 1) + b"<"),
        errors.HeaderInvalid,
        "at most 1024",
    ),
    "another protocol": ((b">4.0<", b">3.1<"), errors.ProtocolVersionInvalid, "4.0"),
    "an empty Body": (
        (b"<soap:Body", b"<soap:Body/></soap:Envelope><!--"),
        errors.NotWellFormed,
        "line",
    ),
    "text beside the payload": (
        (b"</soap:Body>", b"x</soap:Body>"),
        errors.BodyInvalid,
        "text beside",
    ),
    "another element in the Body": (
        (b"p:TraCuuThongTinCongDan", b"p:TraCuu"),
        errors.BodyInconsistent,
        "expected an element TraCuuThongTinCongDan",
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_has_its_error_and_says_where(defect: str, good: bytes) -> None:
    (old, new), error, words = DEFECTS[defect]

    with pytest.raises(error, match=words) as caught:
        parse(change(good, old, new), LIMITS)

    assert type(caught.value) is error


@pytest.mark.parametrize("name", ["client", "service", "id", "protocolVersion"])
def test_a_required_block_must_be_there_and_once(name: str, good: bytes) -> None:
    one = block(good, name)

    with pytest.raises(errors.HeaderFieldMissing, match=f"{name} is required"):
        parse(change(good, one, b""), LIMITS)
    with pytest.raises(errors.HeaderDuplicate, match=name):
        parse(change(good, one, one * 2), LIMITS)


def test_one_security_header_is_for_us(good: bytes) -> None:
    with pytest.raises(errors.HeaderDuplicate, match="Security"):
        parse(with_header(good, security(good)), LIMITS)


def test_header_and_body_stand_once_and_in_order(good: bytes) -> None:
    whole = body(good)
    header = good[good.index(b"<soap:Header>") : good.index(b"<soap:Body")]

    with pytest.raises(errors.HeaderMissing):
        parse(change(good, header, b""), LIMITS)
    with pytest.raises(errors.HeaderDuplicate, match="2 times"):
        parse(change(good, header, header * 2), LIMITS)
    with pytest.raises(errors.BodyMissing):
        parse(change(good, whole, b""), LIMITS)
    with pytest.raises(errors.BodyInvalid, match="2 times"):
        parse(change(good, whole, whole * 2), LIMITS)
    with pytest.raises(errors.BodyInvalid, match="one Header, then one Body"):
        parse(change(good, header + whole, whole + header), LIMITS)


def test_the_body_holds_one_element(good: bytes) -> None:
    whole = body(good)
    inner = whole[whole.index(b">") + 1 : -len(b"</soap:Body>")]

    for count, content in ((0, b""), (2, inner * 2)):
        with pytest.raises(errors.BodyInvalid, match=f"{count} elements"):
            parse(change(good, inner, content), LIMITS)


def test_a_request_above_the_bound_is_not_parsed(good: bytes) -> None:
    with pytest.raises(errors.TooLarge):
        parse(good, Limits(envelope_bytes_max=len(good) - 1))


# --- any bytes -----------------------------------------------------------------------------------


def read(raw: bytes) -> Envelope | errors.BusError:
    try:
        return parse(raw, LIMITS)
    except errors.BusError as error:
        return error


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_change_of_a_request_gives_an_envelope_or_a_bus_error(
    good: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(good)))
    length = data.draw(st.integers(0, 40))
    put = data.draw(st.binary(max_size=40) | st.sampled_from([good[:200], b"<!--", b"&amp;"]))

    result = read(good[:start] + put + good[start + length :])

    assert isinstance(result, Envelope) or result.code


# --- SOAP 1.2, faults, names ---------------------------------------------------------------------


def test_an_envelope_says_its_soap_version(nation: SmallNation) -> None:
    for version in SoapVersion:
        assert parse(request(nation, soap_version=version), LIMITS).soap_version is version


FAULT_OF_1_2 = (
    "<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>x:No</s:Value></s:Subcode></s:Code>"
    "<s:Reason><s:Text>words</s:Text></s:Reason>"
)


@pytest.mark.parametrize(
    ("version", "content", "code", "reason"),
    [
        (
            SOAP11.decode(),
            "<faultcode>CODE</faultcode><faultstring>a\n b</faultstring>",
            "CODE",
            "a b",
        ),
        (SOAP11.decode(), "<faultcode>s:Server</faultcode>", "Server", ""),
        (SOAP11.decode(), "<faultcode>a b/&lt;c</faultcode>", "abc", ""),
        (SOAP11.decode(), "", "", ""),
        (
            SOAP12,
            FAULT_OF_1_2,
            "No",
            "words",
        ),
    ],
)
def test_a_fault_that_is_sent_is_named_by_its_own_code(
    version: str, content: str, code: str, reason: str
) -> None:
    fault = f"<s:Body><s:Fault>{content}</s:Fault></s:Body>"
    raw = f'<s:Envelope xmlns:s="{version}">{fault}</s:Envelope>'

    with pytest.raises(errors.FaultSent) as caught:
        parse(raw.encode(), LIMITS)

    assert caught.value.xroad_code == (f"Client.{code}" if code else "Client.InvalidMessage")
    assert caught.value.public_detail == reason


def test_a_request_may_name_a_security_server(good: bytes) -> None:
    parts = "<id:xRoadInstance>VN</id:xRoadInstance><id:memberClass>GOV</id:memberClass>"
    block = (
        '<xrd:securityServer xmlns:xrd="http://x-road.eu/xsd/xroad.xsd" '
        'xmlns:id="http://x-road.eu/xsd/identifiers" id:objectType="SERVER">'
        f"{parts}<id:memberCode>G22</id:memberCode><id:serverCode>s</id:serverCode>"
        "</xrd:securityServer>"
    )

    assert str(parse(with_header(good, block.encode()), LIMITS).security_server) == "VN/GOV/G22/s"
    with pytest.raises(errors.HeaderFieldMissing, match="serverCode is required"):
        parse(
            with_header(good, block.replace("<id:serverCode>s</id:serverCode>", "").encode()),
            LIMITS,
        )
    with pytest.raises(errors.HeaderInvalid, match="must be SERVER"):
        parse(with_header(good, block.replace('"SERVER"', '"SERVICE"').encode()), LIMITS)


def test_the_name_of_the_payload_begins_with_the_service_code(good: bytes) -> None:
    raw = change(good, b"p:TraCuuThongTinCongDan", b"p:TraCuuThongTinCongDanV2")

    assert parse(raw, LIMITS).payload.tag.endswith("TraCuuThongTinCongDanV2")


def test_a_missing_field_is_told_before_a_missing_body(good: bytes) -> None:
    raw = change(change(good, body(good), b""), block(good, "id"), b"")

    with pytest.raises(errors.HeaderFieldMissing):
        parse(raw, LIMITS)


def test_a_byte_order_mark_belongs_to_the_bytes_and_not_to_the_message(good: bytes) -> None:
    marked = b"\xef\xbb\xbf" + good

    envelope = parse(marked, LIMITS)

    assert envelope.raw == marked
    assert envelope.client == CLIENT


def test_a_text_may_stand_on_a_line_of_its_own(good: bytes) -> None:
    raw = change(change(good, b">m-1<", b">\n   m-1\n<"), b">4.0<", b">\t4.0\n<")

    envelope = parse(raw, LIMITS)

    assert (envelope.message_id, envelope.protocol_version) == ("m-1", "4.0")


def test_a_part_of_an_identifier_has_no_blanks_around_it(good: bytes) -> None:
    for blank in (b" ", b"\n"):
        with pytest.raises(errors.HeaderInvalid, match="expected 1 to 64"):
            parse(
                change(good, b"<id:memberClass>GOV", b"<id:memberClass>" + blank + b"GOV"), LIMITS
            )
