"""A sender believes an answer only if signature, signer, hash and receipt tell one story."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core import errors
from bus.core.envelope import Envelope, SoapVersion
from bus.core.faults import Fault, SoapCode, fault_of
from bus.core.identifiers import MemberId, SubsystemId
from bus.core.limits import Limits
from bus.core.log.receipts import Receipt
from bus.core.registry import FaultSpelling
from bus.protocols.soap_xroad.faults import fault_element
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_answer import AnswerRejected, read_answer
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAnswer,
    VerifiedFault,
    verify_answer,
    verify_recorded,
)
from bus.protocols.soap_xroad.write import (
    SigningTime,
    with_receipt,
    write_answer,
    write_fault_message,
)
from signing.signed_note import SigningKey, sign_note
from tests.envelopes import block, body, security, signed_again, timestamp, with_header
from tests.nation import ANSWER, HUB, NOW, PROVIDER, SmallNation, payload, request

ORIGIN = "lienthong.example/vn/receipt"
KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER_KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
TIME = SigningTime(NOW, timedelta(minutes=5))
ANSWER_BLOCKS = ("client", "service", "userId", "id", "issue", "protocolVersion", "requestHash")


@pytest.fixture(scope="session")
def asked(nation: SmallNation) -> Envelope:
    return parse(request(nation), Limits())


@pytest.fixture(scope="session")
def known(nation: SmallNation) -> KnownHub:
    return KnownHub(trust=nation.rules.trust, member=HUB.member, receipt_key=KEY.verifying_key)


def signed(asked: Envelope, nation: SmallNation, signer: SubsystemId = PROVIDER) -> bytes:
    return write_answer(asked, payload(ANSWER), nation.signers[signer], TIME)


def receipted(raw: bytes, asked: Envelope, key: SigningKey = KEY, **changes: object) -> bytes:
    receipt = Receipt(
        origin=ORIGIN,
        time=NOW,
        received_index=1,
        received_hash=bytes(32),
        outcome_index=2,
        outcome_hash=bytes(32),
        request_digest=asked.digest,
        answer_digest=hashlib.sha256(raw).digest(),
    )
    text = replace(receipt, **changes).text()  # type: ignore[arg-type]
    return with_receipt(raw, sign_note(text, [key]))


def fault_message(
    asked: Envelope,
    nation: SmallNation,
    error: errors.BusError,
    signer: SubsystemId = HUB,
    **changes: object,
) -> bytes:
    fault = fault_of(
        error,
        fault_id="f-1",
        message_id=asked.message_id,
        request_digest=asked.digest,
        show_precise_faults=True,
    )
    element = fault_element(replace(fault, **changes), FaultSpelling.PASCAL)  # type: ignore[arg-type]
    return write_fault_message(element, nation.signers[signer], TIME)


def test_a_proved_answer_gives_payload_signer_and_receipt(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    raw = receipted(signed(asked, nation), asked)

    proved = verify_answer(raw, asked, known, NOW)

    assert isinstance(proved, VerifiedAnswer)
    assert proved.signer == PROVIDER.member
    assert proved.receipt.outcome_index == 2
    assert proved.payload[0].get("SoCongDan") == "0"
    assert proved.raw == raw


def test_an_answer_says_what_the_request_said_however_that_was_indented(
    nation: SmallNation, known: KnownHub
) -> None:
    raw = request(nation)
    client = block(raw, "client")
    indented = client.replace(b"><", b">\n  <")
    extra = (
        b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="client" Id="c" '
        b'xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:mustUnderstand="1" '
    )
    asked = parse(raw.replace(client, indented.replace(b" ", extra, 1)), Limits())

    answer = receipted(signed(asked, nation), asked)

    assert isinstance(verify_answer(answer, asked, known, NOW), VerifiedAnswer)


def test_an_answer_as_the_log_keeps_it_is_proved_without_receipt(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    fault = fault_message(asked, nation, errors.RecipientTimeout())

    assert verify_recorded(signed(asked, nation), asked, known, NOW) is None
    recorded = verify_recorded(fault, asked, known, NOW)
    assert recorded is not None
    assert recorded.code == errors.RecipientTimeout.code


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=80).filter(
        lambda text: not any(letter in "\ufffe\uffff" for letter in text)
    )
)
def test_whatever_an_agency_says_is_proved_and_read_as_it_was_said(
    name: str, asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    said = payload(ANSWER)
    said[0].set("GhiChu", name)
    raw = write_answer(asked, said, nation.signers[PROVIDER], TIME)

    proved = verify_answer(receipted(raw, asked), asked, known, NOW)

    assert isinstance(proved, VerifiedAnswer)
    assert proved.payload[0].get("GhiChu") == name


Change = Callable[[bytes], bytes]

ALTERED: dict[str, tuple[Change, str]] = {
    "no XML": (lambda raw: b"<html>", "cannot be read"),
    "another root": (lambda raw: b"<html/>", "not a SOAP envelope"),
    "something behind the Body": (
        lambda raw: raw.replace(b"</soap:Envelope>", b"<x/></soap:Envelope>"),
        "not a SOAP envelope",
    ),
    "unsigned": (lambda raw: raw.replace(security(raw), b""), "not signed"),
    "signed twice": (
        lambda raw: with_header(raw, security(raw)),
        "Security stands 2 times",
    ),
    "two elements in the Body": (
        lambda raw: raw.replace(b"</soap:Body>", b"<x/></soap:Body>"),
        "2 elements",
    ),
    "no timestamp": (lambda raw: raw.replace(timestamp(raw), b""), "0 wsu:Timestamp"),
    "a changed Body": (lambda raw: raw.replace(b'"0"', b'"1"'), "signature does not hold"),
    "a changed header": (lambda raw: raw.replace(b">m-1<", b">m-2<"), "signature does not hold"),
    "an unsigned header": (
        lambda raw: with_header(
            raw, b'<r:x xmlns:r="http://x-road.eu/xsd/representation.xsd">1</r:x>'
        ),
        "x is not signed",
    ),
    "a moved Body": (
        lambda raw: with_header(
            raw.replace(body(raw), body(raw).replace(b' wsu:Id="body"', b"")),
            b'<w:w xmlns:w="urn:w">' + body(raw) + b"</w:w>",
        ),
        "Body is not signed",
    ),
}


@pytest.mark.parametrize("name", ALTERED)
def test_what_was_altered_on_the_way_is_rejected(
    name: str, asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    change, reason = ALTERED[name]

    with pytest.raises(AnswerRejected, match=reason) as caught:
        verify_answer(change(receipted(signed(asked, nation), asked)), asked, known, NOW)

    assert caught.value.reason == str(caught.value)


SAID: dict[str, tuple[Change, str]] = {
    "another message id": (lambda raw: raw.replace(b">m-1<", b">m-2<"), "headers are not those"),
    "another order": (
        lambda raw: raw.replace(block(raw, "issue"), b"").replace(
            block(raw, "client"), block(raw, "issue") + block(raw, "client")
        ),
        "headers are not those",
    ),
    "another hash": (
        lambda raw: raw.replace(
            block(raw, "requestHash"), block(raw, "requestHash").replace(b"==", b"=A")
        ),
        "requestHash is not that",
    ),
    "a hash by another algorithm": (
        lambda raw: raw.replace(b"xmlenc#sha512", b"xmldsig#sha1"),
        "must be made with SHA-512",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_the_agency_signs_must_answer_what_was_sent(
    name: str, asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    change, reason = SAID[name]
    raw = change(signed(asked, nation))
    again = signed_again(raw, nation.signers[PROVIDER], blocks=ANSWER_BLOCKS)

    with pytest.raises(AnswerRejected, match=reason):
        verify_answer(receipted(again, asked), asked, known, NOW)


def test_without_the_requests_hash_an_answer_is_bound_to_nothing(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    raw = signed(asked, nation)
    without = raw.replace(block(raw, "requestHash"), b"")
    again = signed_again(without, nation.signers[PROVIDER], blocks=ANSWER_BLOCKS[:-1])

    with pytest.raises(AnswerRejected, match="0 requestHash headers"):
        verify_answer(receipted(again, asked), asked, known, NOW)


def test_only_the_provider_answers_and_only_the_hub_tells_faults(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    answer = signed(asked, nation, HUB)
    fault = fault_message(asked, nation, errors.AccessDenied(), PROVIDER)

    with pytest.raises(AnswerRejected, match="expected the signature of VN/GOV/G01"):
        verify_answer(receipted(answer, asked), asked, known, NOW)
    with pytest.raises(AnswerRejected, match="expected the signature of VN/GOV/G22"):
        verify_answer(receipted(fault, asked), asked, known, NOW)


def test_a_member_may_be_known_by_another_subject(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    subjects = {MemberId.parse("VN/GOV/G01"): "MST-0100109106"}

    with pytest.raises(AnswerRejected, match="signed by 'VN/GOV/G01'"):
        verify_answer(
            receipted(signed(asked, nation), asked),
            asked,
            replace(known, certificate_subjects=subjects),
            NOW,
        )


# --- receipts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"key": OTHER_KEY}, "receipt does not hold"),
        ({"origin": "lienthong.example/xx/receipt"}, "receipt is one of"),
        ({"request_digest": bytes(32)}, "another request"),
        ({"answer_digest": bytes(32)}, "another answer"),
    ],
)
def test_a_receipt_must_be_about_this_exchange(
    changes: dict[str, object],
    reason: str,
    asked: Envelope,
    known: KnownHub,
    nation: SmallNation,
) -> None:
    raw = receipted(signed(asked, nation), asked, **changes)  # type: ignore[arg-type]

    with pytest.raises(AnswerRejected, match=reason):
        verify_answer(raw, asked, known, NOW)


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (b"no note", "receipt does not hold"),
        (sign_note("no receipt\n", [KEY]), "receipt does not hold"),
    ],
)
def test_a_receipt_must_be_one(
    note: bytes, reason: str, asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    with pytest.raises(AnswerRejected, match=reason):
        verify_answer(with_receipt(signed(asked, nation), note), asked, known, NOW)


def test_a_receipt_of_another_hub_of_the_operator_is_believed_as_its_own(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    other = SigningKey("lienthong.example/b/receipt", OTHER_KEY.private_key)
    both = replace(known, receipt_keys_elsewhere=(other.verifying_key,))
    answer = signed(asked, nation)
    raw = receipted(answer, asked, key=other, origin=other.name)
    proved = verify_answer(raw, asked, both, NOW)
    assert proved.receipt is not None
    assert proved.receipt.origin == other.name
    # Neither speaks for the other, and who does not know it believes none of it.
    for origin, key, who in (
        (ORIGIN, other, both),
        (other.name, KEY, both),
        (ORIGIN, other, known),
    ):
        with pytest.raises(AnswerRejected, match="receipt"):
            verify_answer(receipted(answer, asked, key=key, origin=origin), asked, who, NOW)


def test_without_receipt_nothing_says_that_it_was_recorded(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    with pytest.raises(AnswerRejected, match="no receipt"):
        verify_answer(signed(asked, nation), asked, known, NOW)


def test_a_receipt_that_is_no_base64_is_rejected(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    raw = receipted(signed(asked, nation), asked).replace(b"</lt:receipt>", b"?</lt:receipt>")

    with pytest.raises(AnswerRejected, match="receipt is not base64"):
        verify_answer(raw, asked, known, NOW)


# --- faults ----------------------------------------------------------------------------------


def test_a_proved_fault_says_what_and_why(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    raw = fault_message(asked, nation, errors.PayloadInvalid(public_detail="line 3"))

    proved = verify_answer(receipted(raw, asked), asked, known, NOW)

    assert isinstance(proved, VerifiedFault)
    assert proved.fault.code == errors.PayloadInvalid.code
    assert proved.fault.reason.endswith("line 3")
    assert proved.fault.request_digest == asked.digest
    assert proved.receipt is not None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"request_digest": bytes(32)}, "another request"), ({"message_id": "m-2"}, "message id")],
)
def test_a_fault_about_something_else_is_rejected(
    changes: dict[str, object],
    reason: str,
    asked: Envelope,
    known: KnownHub,
    nation: SmallNation,
) -> None:
    raw = fault_message(asked, nation, errors.AccessDenied(), **changes)  # type: ignore[arg-type]

    with pytest.raises(AnswerRejected, match=reason):
        verify_answer(receipted(raw, asked), asked, known, NOW)


def test_only_a_hub_without_log_may_leave_the_receipt_out(
    asked: Envelope, known: KnownHub, nation: SmallNation
) -> None:
    unlogged = fault_message(asked, nation, errors.LogUnavailable())
    denied = fault_message(asked, nation, errors.AccessDenied())

    proved = verify_answer(unlogged, asked, known, NOW)

    assert isinstance(proved, VerifiedFault)
    assert proved.receipt is None
    with pytest.raises(AnswerRejected, match="no receipt"):
        verify_answer(denied, asked, known, NOW)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"faultcode>", b"code>", "0 elements faultcode"),
        (b"<lt:code>", b"<lt:code>x</lt:code><lt:code>", "2 elements code"),
        (b"</lt:requestDigest>", b"?</lt:requestDigest>", "requestDigest is not base64"),
    ],
)
def test_a_fault_of_another_form_is_not_read(
    old: bytes, new: bytes, reason: str, asked: Envelope, nation: SmallNation
) -> None:
    raw = fault_message(asked, nation, errors.AccessDenied()).replace(old, new)

    with pytest.raises(AnswerRejected, match=reason):
        read_answer(raw)


def test_a_fault_whose_detail_has_no_canonical_form_is_not_proved(nation: SmallNation) -> None:
    raw = signed_fault(
        replace(THEIRS, detail_content=b'<e xmlns="rel"></e>'), nation, SoapVersion.SOAP_1_1
    )

    with pytest.raises(AnswerRejected, match="no canonical form"):
        read_answer(raw)


def test_what_a_fault_says_is_fit_to_be_shown(asked: Envelope, nation: SmallNation) -> None:
    raw = fault_message(asked, nation, errors.AccessDenied()).replace(
        b"No grant", b"\x1b[31m".replace(b"\x1b", "\u009b".encode()) + b"No\ngrant"
    )

    fault = read_answer(raw).fault

    assert fault is not None
    assert fault.reason.isprintable()
    assert base64.b64encode(fault.request_digest)


# --- faults in both SOAP versions ----------------------------------------------------------------


def signed_fault(fault: Fault, nation: SmallNation, version: SoapVersion) -> bytes:
    element = fault_element(fault, FaultSpelling.PASCAL, version)
    return write_fault_message(element, nation.signers[HUB], TIME, soap_version=version)


OURS = Fault("a.b", "Client.X", "words", "f-1", "m-1", bytes(32), True, soap_code=SoapCode.SENDER)
THEIRS = Fault(
    errors.ServiceFault.code,
    "NoSuchYear",
    "words",
    "f-1",
    "m-1",
    bytes(32),
    False,
    keeps_spelling=True,
    actor="urn:tax",
    detail_content=b"<a>1</a>",
)


@pytest.mark.parametrize("version", SoapVersion)
@pytest.mark.parametrize(
    "fault",
    [
        OURS,
        THEIRS,
        replace(THEIRS, detail_content=b""),
        replace(THEIRS, detail_content=b"words"),
        replace(THEIRS, detail_content=b"<faultDetail>of theirs</faultDetail>"),
        replace(THEIRS, xroad_code="soap:Server"),
        replace(THEIRS, xroad_code="soap:Client", soap_code=SoapCode.SENDER),
    ],
)
def test_a_fault_that_was_written_is_read_as_it_was(
    fault: Fault, version: SoapVersion, nation: SmallNation
) -> None:
    answer = read_answer(signed_fault(fault, nation, version))

    assert answer.fault == fault
    assert answer.soap_version is version


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"soap:Sender<", b"soap:Nobody<", "none of SOAP 1.2"),
        (b"<soap:Value>soap:Sender</soap:Value>", b"", "0 elements Value"),
        (b"<soap:Code>", b"<soap:Code/><soap:Code>", "2 elements Code"),
    ],
)
def test_a_fault_of_soap_1_2_has_its_code_once(
    old: bytes, new: bytes, reason: str, nation: SmallNation
) -> None:
    raw = signed_fault(OURS, nation, SoapVersion.SOAP_1_2)

    with pytest.raises(AnswerRejected, match=reason):
        read_answer(raw.replace(old, new))


def test_an_answer_in_soap_1_2_is_proved(nation: SmallNation, known: KnownHub) -> None:
    asked = parse(request(nation, soap_version=SoapVersion.SOAP_1_2), Limits())

    verified = verify_answer(receipted(signed(asked, nation), asked), asked, known, NOW)

    assert isinstance(verified, VerifiedAnswer)
