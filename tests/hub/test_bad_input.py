"""Whatever comes in: a signed fault, an entry, a receipt; and the next good request succeeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.log.leaf import Event
from bus.core.log.receipts import parse_receipt
from bus.protocols.soap_xroad.read_answer import read_answer
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from signing.names import TIMESTAMP
from signing.policy import SignaturePolicy
from signing.signed_note import verify_note
from signing.wss.verify import SignedPart, verify_signature
from tests.envelopes import block, body, security, signed_again, timestamp, with_header
from tests.hub.running_hub import XML, HttpReply, OpenHub, RunningHub, opened
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    DISABLED_SERVICE,
    NOTICE,
    NOW,
    OTHER_CLIENT,
    SAMPLE,
    SmallNation,
    request,
)

BOMB = (
    b'<!DOCTYPE e [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><e>&c;</e>'
)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Case:
    """A bad request: how it is made, what it gets, and what the fault says among other words."""

    make: Callable[[SmallNation], bytes]
    error: type[errors.BusError]
    words: str = ""
    method: str = "POST"
    content_type: bytes = XML
    soap_action: bytes = b'""'


def changed(old: bytes, new: bytes) -> Callable[[SmallNation], bytes]:
    def make(nation: SmallNation) -> bytes:
        raw = request(nation)
        assert old in raw
        return raw.replace(old, new)

    return make


def asking(service: str) -> Callable[[SmallNation], bytes]:
    asked = ServiceId.parse(service)
    payload = SAMPLE.replace(b"TraCuuThongTinCongDan", asked.service_code.encode())
    return lambda nation: request(nation, service=asked, body=payload)


def wrapped(nation: SmallNation) -> bytes:
    """The signed Body moved into the Header, another one in its place."""
    raw = request(nation)
    signed = body(raw)
    other = signed.replace(b"040185766517", b"001185000001").replace(b' wsu:Id="body"', b"")
    return with_header(raw.replace(signed, other), b'<w:w xmlns:w="urn:w">%s</w:w>' % signed)


def without_block(name: str) -> Callable[[SmallNation], bytes]:
    return lambda nation: (raw := request(nation)).replace(block(raw, name), b"")


def twice(part: Callable[[bytes], bytes]) -> Callable[[SmallNation], bytes]:
    return lambda nation: (raw := request(nation)).replace(part(raw), part(raw) * 2)


def header(raw: bytes) -> bytes:
    return raw[raw.index(b"<soap:Header>") : raw.index(b"<soap:Body")]


CASES = {
    # bytes
    "not XML": Case(lambda _: b"hello", errors.NotWellFormed, "line 1, column 1"),
    "empty": Case(lambda _: b"", errors.NotWellFormed, "line 1"),
    "cut off": Case(lambda nation: request(nation)[:-9], errors.NotWellFormed, "line 11"),
    "UTF-16": Case(
        lambda nation: request(nation).decode().encode("utf-16"), errors.NotWellFormed, "UTF-8"
    ),
    "a document type": Case(
        lambda nation: request(nation).replace(b"?>", b"?><!DOCTYPE soap:Envelope>", 1),
        errors.ForbiddenXml,
        "document type",
    ),
    "an entity bomb": Case(lambda _: BOMB, errors.ForbiddenXml, "document type"),
    "a processing instruction": Case(
        changed(b"<soap:Header>", b"<?x y?><soap:Header>"), errors.ForbiddenXml, "line 2"
    ),
    "20 MB": Case(lambda _: b"<a>" + bytes(20_000_000), errors.TooLarge, "10485760 bytes"),
    # HTTP
    "GET": Case(lambda _: b"", errors.HttpMethodInvalid, "GET", method="GET"),
    "PUT": Case(request, errors.HttpMethodInvalid, "PUT", method="PUT"),
    "JSON": Case(request, errors.ContentTypeInvalid, content_type=b"application/json"),
    "SOAP 1.2's type": Case(request, errors.ContentTypeInvalid, content_type=b"application/soap"),
    "Latin-1": Case(
        request, errors.ContentTypeInvalid, content_type=b"text/xml; charset=iso-8859-1"
    ),
    "a bare SOAPAction": Case(request, errors.SoapActionInvalid, soap_action=b"urn:x"),
    # envelope
    "another SOAP": Case(
        changed(b"http://schemas.xmlsoap.org/soap/envelope/", b"urn:soap"),
        errors.WrongSoapVersion,
    ),
    "no Header": Case(
        lambda nation: (raw := request(nation)).replace(header(raw), b""), errors.HeaderMissing
    ),
    "two Headers": Case(twice(header), errors.HeaderDuplicate, "2 times"),
    "no Body": Case(
        lambda nation: (raw := request(nation)).replace(body(raw), b""), errors.BodyMissing
    ),
    "two Bodies": Case(twice(body), errors.BodyInvalid, "2 times"),
    "no client": Case(without_block("client"), errors.HeaderFieldMissing, "client is required"),
    "no id": Case(without_block("id"), errors.HeaderFieldMissing, "id is required"),
    "two ids": Case(twice(lambda raw: block(raw, "id")), errors.HeaderDuplicate, "id"),
    "an identifier outside the alphabet": Case(
        changed(b">H41<", b">H 41<"), errors.HeaderInvalid, "memberCode"
    ),
    "another protocol version": Case(changed(b">4.0<", b">3.1<"), errors.ProtocolVersionInvalid),
    "a header that must be understood": Case(
        lambda nation: with_header(request(nation), b'<x soap:mustUnderstand="1"/>'),
        errors.HeaderNotUnderstood,
    ),
    "a Body of another service": Case(
        changed(b"p:TraCuuThongTinCongDan", b"p:XoaCongDan"), errors.BodyInconsistent
    ),
    # signature
    "unsigned": Case(
        lambda nation: (raw := request(nation)).replace(security(raw), b""),
        errors.SignatureMissing,
    ),
    "no timestamp": Case(
        lambda nation: (raw := request(nation)).replace(timestamp(raw), b""),
        errors.SignatureMalformed,
        "wsu:Timestamp",
    ),
    "an altered Body": Case(changed(b"040185766517", b"001185000001"), errors.DigestMismatch),
    "an altered header": Case(changed(b">VN0117<", b">VN0118<"), errors.DigestMismatch, "userId"),
    "another client": Case(changed(b">H41<", b">H26<"), errors.DigestMismatch, "client"),
    "a moved Body": Case(wrapped, errors.CoverageInsufficient, "Body is not signed"),
    "an unsigned header": Case(
        lambda nation: signed_again(
            request(nation), nation.signers[CLIENT], blocks=("client", "id", "protocolVersion")
        ),
        errors.CoverageInsufficient,
        "service is not signed",
    ),
    "another value": Case(
        changed(b"<ds:SignatureValue>", b"<ds:SignatureValue>AAAA"), errors.SignatureInvalid
    ),
    "SHA-1": Case(changed(b"xmlenc#sha256", b"xmldsig#sha1"), errors.AlgorithmForbidden, "sha1"),
    "no certificate": Case(changed(b'"x509">MI', b'"x509">NI'), errors.CertificateRejected),
    "yesterday's message": Case(
        lambda nation: request(nation, created=NOW - 301 * SECOND, valid_for=timedelta(days=1)),
        errors.MessageExpired,
        "too old",
    ),
    "tomorrow's message": Case(
        lambda nation: request(nation, created=NOW + 61 * SECOND), errors.MessageExpired, "future"
    ),
    # who may
    "an unknown client": Case(
        lambda nation: request(
            nation,
            client=SubsystemId(CLIENT.member, "khongco"),
            signer=nation.signers[CLIENT],
        ),
        errors.ClientUnknown,
    ),
    "a client that is not the signer": Case(
        lambda nation: request(nation, client=OTHER_CLIENT, signer=nation.signers[CLIENT]),
        errors.SenderMismatch,
    ),
    "no grant": Case(
        lambda nation: request(nation, client=CLIENT_WITHOUT_GRANT), errors.AccessDenied
    ),
    "an unknown member": Case(asking("VN/GOV/Z99/a/b/v1"), errors.RecipientUnknown),
    "an unknown service": Case(asking("VN/GOV/G01/dancu/XoaCongDan/v1"), errors.ServiceUnknown),
    "a service that is off": Case(asking(str(DISABLED_SERVICE)), errors.ServiceDisabled, NOTICE),
    "a payload that breaks its schema": Case(
        lambda nation: request(nation, body=SAMPLE.replace(b"040185766517", b"12")),
        errors.PayloadInvalid,
        "SoDinhDanh: expected a text of the form [0-9]{12}",
    ),
}


def signed_fault(running: RunningHub, reply: HttpReply) -> VerifiedFault:
    """A fault is signed by the hub over Body and timestamp, at their positions."""
    envelope = read_answer(reply.body)
    assert envelope.fault is not None
    stamp = envelope.security.find(TIMESTAMP)
    assert stamp is not None
    parts = [SignedPart("Body", envelope.body), SignedPart("Timestamp", stamp)]
    signature = verify_signature(
        envelope.security, parts, SignaturePolicy(), running.nation.rules.trust, NOW
    )
    assert signature.certificate.subject_identifier == "VN/GOV/G22"
    receipt = None
    if envelope.receipt_note is not None:
        note = verify_note(envelope.receipt_note, [running.known().receipt_key])
        receipt = parse_receipt(note.text.decode())
    return VerifiedFault(envelope.fault, receipt, reply.body, signature.certificate)


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHub]:
    """One hub for all: what went wrong before must not show in what comes next."""
    with opened(nation, tmp_path_factory.mktemp("hub")) as one:
        yield one


@pytest.fixture(scope="module")
def stern_hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHub]:
    folder = tmp_path_factory.mktemp("stern-hub")
    with opened(nation, folder, shows_precise_faults=False) as one:
        yield one


@pytest.mark.parametrize("name", CASES)
def test_a_bad_request_gets_a_signed_fault_an_entry_and_a_receipt(
    name: str, nation: SmallNation, hub: OpenHub
) -> None:
    case = CASES[name]

    async def story(running: RunningHub) -> None:
        raw = case.make(nation)
        reply = await running.post(
            raw,
            method=case.method,
            content_type=case.content_type,
            soap_action=case.soap_action,
        )

        told = signed_fault(running, reply)
        assert reply.status == 500
        assert (told.fault.code, told.fault.xroad_code) == (case.error.code, case.error.xroad)
        assert case.words in told.fault.reason
        assert told.fault.is_retryable is False
        last = running.leaves()[-1]
        assert (last.event, last.verdict) == (Event.REFUSED, case.error.code)
        assert last.fault == told.fault.fault_id
        assert told.receipt is not None
        assert told.receipt.received_index == len(running.leaves()) - 1
        assert running.agency.asked == []

        good = request(nation, f"after {name}")
        assert isinstance(running.proved(await running.post(good), good), VerifiedAnswer)

    hub.tell(story)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.error.reveals])
def test_outside_a_sandbox_every_failed_verification_looks_the_same(
    name: str, nation: SmallNation, stern_hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        reply = await running.post(CASES[name].make(nation))

        told = signed_fault(running, reply).fault
        assert told.code == "sender.not-verified"
        assert told.reason == "The sender of the message could not be verified."
        assert running.leaves()[-1].verdict == CASES[name].error.code

    stern_hub.tell(story)


def test_a_fault_is_bound_to_the_request_that_it_is_about(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation, client=CLIENT_WITHOUT_GRANT)

        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.message_id == "m-1"

    hub.tell(story)
