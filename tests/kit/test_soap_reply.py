"""What an agency's SOAP service sends back: answers in every form, and faults in its own words."""

from __future__ import annotations

import pytest

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.http.client import AgencyReply
from bus.kit.soap_reply import FAULT_DETAIL_BYTES_MAX, read_reply
from signing.names import WSSE, WSU
from tests.attacks.shapes import ATTRIBUTES

SOAP_1_1, SOAP_1_2 = SoapVersion


def soap(body: str, header: str = "", *, version: SoapVersion = SOAP_1_1) -> bytes:
    return f'<s:Envelope xmlns:s="{version}">{header}<s:Body>{body}</s:Body></s:Envelope>'.encode()


def fault_of(
    body: str, *, version: SoapVersion = SOAP_1_1, status: int = 500
) -> errors.ServiceFault:
    with pytest.raises(errors.ServiceFault) as caught:
        read_reply(AgencyReply(status, soap(body, version=version), "text/xml"))
    return caught.value


@pytest.mark.parametrize("kind", ["attributes", "prefixes"])
@pytest.mark.parametrize("size", [5_000, 50_000, 1_000_000])
def test_a_reply_of_more_than_is_read_is_the_agencys_fault(kind: str, size: int) -> None:
    reply = AgencyReply(200, soap(f"<a{ATTRIBUTES[kind](size).decode()}/>"), "text/xml")

    with pytest.raises(errors.AnswerTooComplex, match="line 1"):
        read_reply(reply)


@pytest.mark.parametrize("version", SoapVersion)
def test_the_one_element_of_the_body_is_the_answer(version: SoapVersion) -> None:
    reply = read_reply(AgencyReply(200, soap("<a>1</a>", "<s:Header/>", version=version)))

    assert (reply.payload.tag, reply.payload.text) == ("a", "1")
    assert reply.header is not None


@pytest.mark.parametrize(
    ("status", "body", "content_type", "error"),
    [
        (200, b"", "text/xml", errors.AnswerNotSoap),
        (200, b"<html><body>maintenance</body></html>", "text/xml", errors.AnswerNotSoap),
        (
            200,
            b'<!DOCTYPE x [<!ENTITY e "x">]>' + soap("<a>&e;</a>"),
            "text/xml",
            errors.AnswerNotSoap,
        ),
        (200, soap("<a>").replace(b"<a>", b"<a"), "text/xml", errors.AnswerNotSoap),
        (200, soap("<a/>"), "text/html", errors.AnswerContentTypeInvalid),
        (200, soap("<a/>"), "text/xml; charset=klingon", errors.AnswerContentTypeInvalid),
        (200, soap(""), "text/xml", errors.AnswerBodyInvalid),
        (200, soap("<a/><b/>"), "text/xml", errors.AnswerBodyInvalid),
        (200, b'<s:Envelope xmlns:s="%s"/>' % SOAP_1_1.encode(), "", errors.AnswerBodyMissing),
        (500, b"", "text/html", errors.RecipientHttpError),
        (503, soap("<a/>"), "text/xml", errors.RecipientHttpError),
        (404, b"<html/>", "text/html", errors.RecipientHttpRefused),
        (401, b"<html/>", "text/html", errors.AccountRefused),
        (403, b"", "", errors.AccountRefused),
        (407, b"<html/>", "text/html", errors.AccountRefused),
        (401, soap("<s:Fault><faultcode>900901</faultcode></s:Fault>"), "", errors.AccountRefused),
    ],
)
def test_what_is_no_answer_is_told_by_what_is_wrong_with_it(
    status: int, body: bytes, content_type: str, error: type[errors.BusError]
) -> None:
    with pytest.raises(error) as caught:
        read_reply(AgencyReply(status, body, content_type))

    assert type(caught.value) is error


def test_an_answer_in_latin_1_is_read_by_the_charset_of_its_content_type() -> None:
    body = soap("<a>Nguyên</a>").decode().encode("iso-8859-1")

    reply = read_reply(AgencyReply(200, body, 'text/xml; charset="ISO-8859-1"'))

    assert reply.payload.text == "Nguyên"


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("ISO-8859-1", "utf-8-sig"),
        ("utf-16le", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
        ("utf-8", "utf-16"),
        ("", "utf-16-le"),
    ],
)
def test_an_answer_is_read_by_its_mark_and_in_every_form_of_utf_16(
    charset: str, codec: str
) -> None:
    body = soap("<a>Đà Nẵng</a>").decode().encode(codec)

    reply = read_reply(AgencyReply(200, body, f"text/xml; charset={charset}"))

    assert reply.payload.text == "Đà Nẵng"


def test_an_answer_that_declares_its_charset_alone_is_read_by_it() -> None:
    body = b'<?xml version="1.0" encoding="iso-8859-1"?>' + soap("<a>ê</a>").decode().encode(
        "iso-8859-1"
    )

    assert read_reply(AgencyReply(200, body, "text/xml")).payload.text == "ê"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_fault_is_the_services_own_word_with_any_status(status: int) -> None:
    fault = fault_of(
        "<s:Fault><faultcode>s:Client</faultcode><faultstring>a\nb</faultstring>"
        "<faultactor>urn:tax</faultactor>"
        '<detail>  <x:no xmlns:x="urn:x">17</x:no></detail></s:Fault>',
        status=status,
    )

    assert (
        fault.xroad_code,
        fault.fault_string,
        fault.actor,
    ) == ("soap:Client", "a b", "urn:tax")
    assert fault.detail_content == b'<x:no xmlns:x="urn:x">17</x:no>'


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("<faultcode>s:Server</faultcode>", "soap:Server"),
        ('<faultcode xmlns:t="urn:tax">t:NoSuchYear</faultcode>', "NoSuchYear"),
        ("<faultcode>NoSuchYear</faultcode>", "NoSuchYear"),
        ("<faultcode>Server.ServerProxy.X</faultcode>", "Server.ServerProxy.X"),
        ("<faultcode>undeclared:X</faultcode>", "X"),
        ("<faultcode/>", "soap:Server"),
        ("", "soap:Server"),
    ],
)
def test_a_code_loses_the_prefix_that_its_envelope_declared(code: str, expected: str) -> None:
    assert fault_of(f"<s:Fault>{code}<faultstring>x</faultstring></s:Fault>").subject == expected


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ("<s:Value>s:Sender</s:Value>", "soap:Client"),
        ("<s:Value>s:Receiver</s:Value>", "soap:Server"),
        ("<s:Value>s:MustUnderstand</s:Value>", "soap:MustUnderstand"),
        (
            '<s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:t="u">t:No</s:Value></s:Subcode>',
            "No",
        ),
        ("", "soap:Server"),
    ],
)
def test_a_fault_of_soap_1_2_is_told_in_the_words_of_1_1(codes: str, expected: str) -> None:
    fault = fault_of(
        f"<s:Fault><s:Code>{codes}</s:Code><s:Reason>"
        '<s:Text xml:lang="vi">Không có</s:Text></s:Reason><s:Role>urn:tax</s:Role>'
        "<s:Detail><no><s:Value>x</s:Value></no></s:Detail></s:Fault>",
        version=SOAP_1_2,
    )

    assert (expected, "Không có", "urn:tax") == (fault.subject, fault.fault_string, fault.actor)
    assert fault.detail_content.startswith(b"<no>")


@pytest.mark.parametrize("name", ["FailedAuthentication", "InvalidSecurityToken"])
def test_a_fault_about_our_proof_is_our_account_and_not_the_senders_answer(name: str) -> None:
    """WSS 1.1.1 §12."""
    bound = f'xmlns:w="{WSSE}">w:{name}'
    faults = {
        SOAP_1_1: f"<s:Fault><faultcode {bound}</faultcode></s:Fault>",
        SOAP_1_2: "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode>"
        f"<s:Value {bound}</s:Value></s:Subcode></s:Code></s:Fault>",
    }
    for version, fault in faults.items():
        with pytest.raises(errors.AccountRefused):
            read_reply(AgencyReply(500, soap(fault, version=version), "text/xml"))
    # The same name in a namespace of its own is the service's word.
    own = faults[SOAP_1_1].replace(WSSE, "urn:own")
    assert fault_of(own).subject == name


def test_a_fault_with_403_is_the_services_answer() -> None:
    fault = fault_of("<s:Fault><faultcode>s:Client</faultcode></s:Fault>", status=403)

    assert fault.subject == "soap:Client"


def test_a_service_cannot_speak_in_the_hubs_name() -> None:
    detail = '<lt:error xmlns:lt="urn:lienthong:message:1.0"/><own/>'

    assert fault_of(f"<s:Fault><detail>{detail}</detail></s:Fault>").detail_content == (
        b"<own></own>"
    )


def test_a_detail_has_no_ids_that_a_signature_could_mean() -> None:
    inner = f'<b xmlns:u="{WSU}" u:Id="ts" c="1"/>'
    detail = f'<a Id="body" ID="x" xml:id="y">{inner}</a> tail'

    assert fault_of(f"<s:Fault><detail>{detail}</detail></s:Fault>").detail_content == (
        b'<a><b c="1"></b></a>'
    )


def test_what_a_fault_may_say_is_bounded() -> None:
    text = "x" * (FAULT_DETAIL_BYTES_MAX + 1)

    fault = fault_of(
        f"<s:Fault><faultcode>{text}</faultcode><faultstring>{text}</faultstring>"
        f"<faultactor>{text}</faultactor><detail>{text}</detail></s:Fault>"
    )

    assert (len(fault.subject), len(fault.fault_string), len(fault.actor)) == (128, 1000, 1000)
    assert fault.detail_content == b""


def test_what_a_fault_says_is_printable() -> None:
    assert fault_of("<s:Fault><faultstring>a&#x9b;b</faultstring></s:Fault>").fault_string == "a?b"
