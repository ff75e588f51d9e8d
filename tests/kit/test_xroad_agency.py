"""X-Road services as they really are: strict about form, sloppy in answers, each in its own way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lxml import etree

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_xml
from bus.http.client import AgencyHttp
from bus.kit.contract import Answer, Query, attachment_of_bytes
from bus.kit.xroad_agency import XRoadAgency, XRoadForm
from bus.runtime.deadline import Deadline

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
OURS = "urn:example:hotich:1"
QUERY = Query(
    service=ServiceId.parse("VN/GOV/G15/hotich/TraCuuKhaiSinh/v1"),
    client=SubsystemId.parse("VN/GOV/H41/motcua"),
    message_id="m-1",
    idempotency_key="key-1",
    user_id="VN0117",
    issue="H41-2026-1",
    purpose="test",
    payload=(
        f'<t:TraCuuKhaiSinh xmlns:t="{OURS}"><t:So>12</t:So>'
        '<x:Khac xmlns:x="urn:other">a</x:Khac></t:TraCuuKhaiSinh>'
    ).encode(),
    timeout_seconds=5.0,
)
ANSWER = f'<t:TraCuuKhaiSinhResponse xmlns:t="{OURS}"><t:Ten>An</t:Ten></t:TraCuuKhaiSinhResponse>'
CANONICAL_ANSWER = ANSWER.encode()


@dataclass(slots=True)
class Provider:
    """A service that remembers what it was sent and answers what a test says."""

    body: bytes = b""
    status: int = 200
    content_type: str = "text/xml; charset=utf-8"
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def call(self, form: XRoadForm | None = None, query: Query = QUERY) -> Answer:
        with listening(self) as url:
            http = AgencyHttp()
            try:
                agency = XRoadAgency(address=url, http=http, form=form)
                return agency.call(query, deadline=Deadline.after(5), headers={"X-Account": "hub"})
            finally:
                http.close()

    def sent(self) -> etree._Element:
        [(_, body)] = self.asked
        return parse_xml(body, bytes_max=len(body))


@contextmanager
def listening(provider: Provider) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = b""
            if "Content-Length" in self.headers:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
            else:
                while size := int(self.rfile.readline(), 16):
                    raw += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            headers = {name.lower(): value for name, value in self.headers.items()}
            provider.asked.append((headers, raw))
            self.send_response(provider.status)
            if provider.content_type:
                self.send_header("Content-Type", provider.content_type)
            self.send_header("Content-Length", str(len(provider.body)))
            self.end_headers()
            self.wfile.write(provider.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def envelope(body: str, header: str = "") -> bytes:
    return (
        f'<S:Envelope xmlns:S="{SOAP}" xmlns:xrd="{XROAD}" xmlns:id="{IDENTIFIERS}">'
        f"{header}<S:Body>{body}</S:Body></S:Envelope>"
    ).encode()


def header_names(sent: etree._Element) -> list[str]:
    return [etree.QName(block).localname for block in sent[0]]


def canonical(element: etree._Element) -> bytes:
    return etree.tostring(element, method="c14n", exclusive=True)


# --- what is sent --------------------------------------------------------------------------------


def test_a_query_is_sent_as_the_protocol_says() -> None:
    provider = Provider(envelope(ANSWER))

    answer = provider.call()

    sent = provider.sent()
    assert header_names(sent) == ["client", "service", "userId", "id", "issue", "protocolVersion"]
    assert sent.findtext(f".//{{{XROAD}}}id") == "m-1"
    assert sent.findtext(f".//{{{IDENTIFIERS}}}serviceVersion") == "v1"
    assert QUERY.payload == canonical(sent[1][0])
    assert canonical(answer.element) == CANONICAL_ANSWER
    assert tuple(provider.asked[0][0][name] for name in ("soapaction", "x-account")) == (
        '""',
        "hub",
    )


def test_headers_go_in_the_order_that_the_service_wants_and_others_are_left_out() -> None:
    order = ("userId", "protocolVersion", "id", "service", "client")
    provider = Provider(envelope(ANSWER))

    provider.call(XRoadForm(header_order=order, soap_action="urn:{service_code}"))

    assert list(order) == header_names(provider.sent())
    assert provider.asked[0][0]["soapaction"] == '"urn:TraCuuKhaiSinh"'


def test_what_a_query_does_not_say_is_not_sent() -> None:
    provider = Provider(envelope(ANSWER))
    query = Query(
        service=ServiceId(SubsystemId(QUERY.client.member, ""), "TraCuuKhaiSinh", ""),
        client=SubsystemId(QUERY.client.member, ""),
        message_id="m-2",
        idempotency_key="key-2",
        user_id="",
        issue="",
        purpose="test",
        payload=QUERY.payload,
        timeout_seconds=5.0,
    )

    provider.call(query=query)

    sent = provider.sent()
    assert header_names(sent) == ["client", "service", "id", "protocolVersion"]
    assert sent[0][0].get(f"{{{IDENTIFIERS}}}objectType") == "MEMBER"
    assert len(sent[0][0]) == 3


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (XRoadForm(namespace=""), "<TraCuuKhaiSinh><So>12</So>"),
        (XRoadForm(namespace="urn:theirs"), '<t:TraCuuKhaiSinh xmlns:t="urn:theirs"><t:So>12'),
        (
            XRoadForm(namespace="urn:theirs", qualifies_children=False),
            '<t:TraCuuKhaiSinh xmlns:t="urn:theirs"><So>12',
        ),
        (
            XRoadForm(qualifies_children=False),
            f'<t:TraCuuKhaiSinh xmlns:t="{OURS}"><So>12',
        ),
    ],
)
def test_a_body_goes_in_the_namespace_that_the_service_reads(
    form: XRoadForm, expected: str
) -> None:
    provider = Provider(envelope(ANSWER))

    provider.call(form)

    body = parse_xml(canonical(provider.sent()[1][0]), bytes_max=10_000)
    assert without_prefix(expected) in without_prefix(canonical(body).decode())
    assert body.findtext("{urn:other}Khac") == "a"


def without_prefix(text: str) -> str:
    for prefix in ("t:", "ns0:", ":t=", ":ns0="):
        text = text.replace(prefix, "=" if prefix.startswith(":") else "")
    return text


def test_attachments_go_beside_the_envelope() -> None:
    provider = Provider(envelope(ANSWER))
    scan = attachment_of_bytes(b"%PDF-1.7", content_id="scan-1", media_type="application/pdf")
    query = Query(
        **{name: getattr(QUERY, name) for name in Query.__slots__ if name != "attachments"},
        attachments=(scan,),
    )

    provider.call(query=query)

    [(headers, body)] = provider.asked
    assert headers["content-type"].startswith("multipart/related")
    assert b"%PDF-1.7" in body


def test_a_form_with_blocks_that_nobody_knows_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="securityToken"):
        XRoadForm(header_order=("client", "securityToken"))


# --- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "form"),
    [
        ("<TraCuuKhaiSinhResponse><Ten>An</Ten></TraCuuKhaiSinhResponse>", XRoadForm(namespace="")),
        (
            (
                '<r:TraCuuKhaiSinhResponse xmlns:r="urn:theirs"><Ten>An</Ten>'
                "</r:TraCuuKhaiSinhResponse>"
            ),
            XRoadForm(namespace="urn:theirs", qualifies_children=False),
        ),
        (
            f'<r:TraCuuKhaiSinhResponse xmlns:r="{OURS}"><Ten>An</Ten></r:TraCuuKhaiSinhResponse>',
            XRoadForm(qualifies_children=False),
        ),
        ("<Answer><Ten>An</Ten></Answer>", XRoadForm(namespace="", names_answer_freely=True)),
    ],
)
def test_an_answer_is_handed_on_in_the_namespace_of_our_schema(body: str, form: XRoadForm) -> None:
    answer = Provider(envelope(body)).call(form)

    found = [(str(one.tag), one.text) for one in answer.element.iter()]
    assert [(f"{{{OURS}}}TraCuuKhaiSinhResponse", None), (f"{{{OURS}}}Ten", "An")] == found


def test_a_service_fault_goes_on_in_its_own_words() -> None:
    fault = (
        "<S:Fault><faultcode>Server.HoTich.KhongTimThay</faultcode>"
        "<faultstring>Không tìm thấy</faultstring><faultactor>hotich</faultactor>"
        "<detail><ma>404</ma></detail></S:Fault>"
    )

    with pytest.raises(errors.ServiceFault) as raised:
        Provider(envelope(fault), status=500).call()

    error = raised.value
    assert (
        error.xroad_code,
        error.fault_string,
        error.actor,
        error.detail_content,
    ) == ("Server.HoTich.KhongTimThay", "Không tìm thấy", "hotich", b"<ma>404</ma>")


@pytest.mark.parametrize(
    ("code", "expected"),
    [("S:Client", "soap:Client"), ("own:Code", "Code"), ("", "soap:Server"), ("A.B", "A.B")],
)
def test_codes_of_faults_lose_their_prefixes(code: str, expected: str) -> None:
    fault = f"<S:Fault><faultcode>{code}</faultcode><faultstring>x</faultstring></S:Fault>"

    with pytest.raises(errors.ServiceFault) as raised:
        Provider(envelope(fault)).call()

    assert expected == raised.value.xroad_code


def _without_body() -> bytes:
    return f'<S:Envelope xmlns:S="{SOAP}"/>'.encode()


HTML = b"<html>moved</html>"
OTHER_ID = f'<S:Header><xrd:id xmlns:xrd="{XROAD}">m-666</xrd:id></S:Header>'
BAD_REPLIES: list[tuple[Callable[[], Provider], type[errors.BusError]]] = [
    (lambda: Provider(HTML, status=502), errors.RecipientHttpError),
    (lambda: Provider(envelope(ANSWER), status=404), errors.RecipientHttpRefused),
    (lambda: Provider(HTML, content_type="text/html"), errors.AnswerContentTypeInvalid),
    (lambda: Provider(HTML), errors.AnswerNotSoap),
    (lambda: Provider(b""), errors.AnswerNotSoap),
    (lambda: Provider(b"<!DOCTYPE a><a/>"), errors.AnswerNotSoap),
    (lambda: Provider(_without_body()), errors.AnswerBodyMissing),
    (lambda: Provider(envelope("")), errors.AnswerBodyInvalid),
    (lambda: Provider(envelope(ANSWER + ANSWER)), errors.AnswerBodyInvalid),
    (lambda: Provider(envelope(ANSWER, OTHER_ID)), errors.AnswerInconsistent),
]


@pytest.mark.parametrize(("make", "error"), BAD_REPLIES)
def test_what_is_no_answer_has_an_error_of_its_own(
    make: Callable[[], Provider], error: type[errors.BusError]
) -> None:
    with pytest.raises(error):
        make().call()


def test_a_reply_without_a_content_type_is_taken() -> None:
    assert Provider(envelope(ANSWER), content_type="").call().element is not None


def test_headers_are_required_where_the_form_says_so() -> None:
    form = XRoadForm(requires_headers=True)

    with pytest.raises(errors.AnswerHeaderMissing):
        Provider(envelope(ANSWER)).call(form)
    with pytest.raises(errors.AnswerFieldMissing):
        Provider(envelope(ANSWER, "<S:Header><xrd:id>m-1</xrd:id></S:Header>")).call(form)


def test_headers_that_are_repeated_are_taken_whatever_their_prefix_and_order() -> None:
    provider = Provider(envelope(ANSWER))
    provider.call()
    sent_header = canonical(provider.sent()[0]).decode().replace("xrd:", "q:")
    repeated = sent_header.replace("xmlns:xrd", "xmlns:q")

    answer = Provider(envelope(ANSWER, repeated)).call(XRoadForm(requires_headers=True))

    assert canonical(answer.element) == CANONICAL_ANSWER


# --- what the hub does not read --------------------------------------------------------------


REPRESENTED = (
    '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd" xmlns:w='
    '"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd" '
    'w:Id="h4"><r:partyClass>COM</r:partyClass><r:partyCode>"0100&amp;"</r:partyCode>'
    "</r:representedParty>"
)
TOKEN = (
    '<t:securityToken xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:t="http://x-road.eu/xsd/security-token.xsd" s:actor="" s:mustUnderstand="1" '
    't:tokenType="urn:jwt">abc</t:securityToken>'
)
SERVER = (
    f'<x:securityServer xmlns:i="{IDENTIFIERS}" xmlns:x="{XROAD}" i:objectType="SERVER">'
    "<i:xRoadInstance>VN</i:xRoadInstance></x:securityServer>"
)
FUTURE = f'<x:future xmlns:x="{XROAD}">1</x:future>'
OTHERS = replace(
    QUERY,
    header_blocks=(
        f'<x:id xmlns:x="{XROAD}">another</x:id>{REPRESENTED}{TOKEN}{SERVER}{FUTURE}'
        f'<x:requestHash xmlns:x="{XROAD}">AA==</x:requestHash>'
    ).encode(),
)


def test_blocks_that_the_hub_does_not_read_are_carried_to_the_service() -> None:
    provider = Provider(envelope(ANSWER))

    provider.call(query=OTHERS)

    sent = provider.sent()
    assert header_names(sent) == [
        *("client", "service", "userId", "id", "issue", "protocolVersion"),
        *("representedParty", "securityToken", "securityServer", "future"),
    ]
    represented, token, server, _ = list(sent[0])[6:]
    assert [part.text for part in represented] == ["COM", '"0100&"']
    assert not represented.attrib
    assert dict(token.attrib.items()) == {
        "{http://x-road.eu/xsd/security-token.xsd}tokenType": "urn:jwt"
    }
    assert dict(server.attrib.items()) == {f"{{{IDENTIFIERS}}}objectType": "SERVER"}
    assert sent.findtext(f".//{{{XROAD}}}id") == "m-1"


def test_a_service_that_stumbles_over_them_is_spared() -> None:
    provider = Provider(envelope(ANSWER))

    provider.call(XRoadForm(carries_other_blocks=False), OTHERS)

    assert len(provider.sent()[0]) == 6


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (XRoadForm(), '"urn:client:action"'),
        (XRoadForm(soap_action=""), '""'),
        (XRoadForm(soap_action="a/{service_code}"), '"a/TraCuuKhaiSinh"'),
    ],
)
def test_the_soap_action_is_the_clients_unless_the_service_wants_another(
    form: XRoadForm, expected: str
) -> None:
    provider = Provider(envelope(ANSWER))

    provider.call(form, replace(QUERY, soap_action="urn:client:action"))

    assert provider.asked[0][0]["soapaction"] == expected
