"""The acceptance of a submission: what its sender may rest on, and what proves nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lxml import etree

from bus.core.decision import Accepted
from bus.core.envelope import Envelope, SoapVersion
from bus.core.log.receipts import Receipt
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.core.xml import parse_again
from bus.protocols.soap_xroad import names
from bus.protocols.soap_xroad.acceptance import Acceptance
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAcceptance,
    verify_answer,
    verify_reply,
)
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.protocols.soap_xroad.write import SigningTime, write_with_blocks
from bus.settings.hub import packaged_folder
from bus.settings.payload_schemas import CompiledSchema
from signing.signed_note import SigningKey, sign_note
from tests.nation import HUB, NOW, PROVIDER, SmallNation, decide_request, request

KEY = SigningKey("lienthong.vn/log/receipt", Ed25519PrivateKey.from_private_bytes(bytes(32)))
SCHEMAS = packaged_folder("schemas")


@dataclass(frozen=True, slots=True)
class Exchange:
    raw: bytes
    envelope: Envelope
    accepted: Accepted
    known: KnownHub


@pytest.fixture(scope="session", params=list(SoapVersion), ids=["soap-1.1", "soap-1.2"])
def exchange(nation: SmallNation, request: pytest.FixtureRequest) -> Exchange:
    return made(nation, request.param)


def made(nation: SmallNation, version: SoapVersion) -> Exchange:
    raw = request(nation, soap_version=version)
    accepted = decide_request(raw, nation.rules, NOW, lambda error: None)
    assert isinstance(accepted, Accepted)
    known = KnownHub(trust=nation.rules.trust, member=HUB.member, receipt_key=KEY.verifying_key)
    return Exchange(raw, parse(raw, nation.rules.registry.limits), accepted, known)


def receipt(exchange: Exchange) -> AcceptanceReceipt:
    return AcceptanceReceipt(
        KEY.name, NOW, 41, b"r" * 32, hashlib.sha256(exchange.raw).digest(), (), 34
    )


def told(exchange: Exchange, nation: SmallNation, note: str = "", key: SigningKey = KEY) -> bytes:
    """What the hub says: an acceptance, with a receipt of this text."""
    body = SOAP_XROAD.acceptance(exchange.accepted, 34, nation.signers[HUB], NOW)
    return SOAP_XROAD.with_receipt(body, sign_note(note or receipt(exchange).text(), [key]))


def verified(exchange: Exchange, raw: bytes) -> object:
    return verify_reply(raw, exchange.envelope, exchange.known, NOW)


def test_an_acceptance_says_what_its_receipt_says(exchange: Exchange, nation: SmallNation) -> None:
    found = verified(exchange, told(exchange, nation))

    assert isinstance(found, VerifiedAcceptance)
    assert found.acceptance == Acceptance("m-1", 34, NOW)
    assert found.receipt == receipt(exchange)
    assert found.certificate.digest == nation.signers[HUB].certificate_sha256


def test_it_follows_its_published_schema(exchange: Exchange, nation: SmallNation) -> None:
    schema = CompiledSchema(SCHEMAS / "lienthong/1.0/message.xsd", within=SCHEMAS)
    found = verified(exchange, told(exchange, nation))
    assert isinstance(found, VerifiedAcceptance)

    assert schema.mistake(found.payload) is None


def test_it_is_no_answer_to_a_query(exchange: Exchange, nation: SmallNation) -> None:
    with pytest.raises(AnswerRejected, match="accepted, to be delivered later"):
        verify_answer(told(exchange, nation), exchange.envelope, exchange.known, NOW)


def test_only_the_hub_accepts(exchange: Exchange, nation: SmallNation) -> None:
    """An agency that is asked can write the same element, and sign it."""
    body = SOAP_XROAD.acceptance(exchange.accepted, 34, nation.signers[PROVIDER], NOW)
    raw = SOAP_XROAD.with_receipt(body, sign_note(receipt(exchange).text(), [KEY]))

    with pytest.raises(AnswerRejected, match="expected the signature of VN/GOV/G22"):
        verified(exchange, raw)


NOTES: dict[str, tuple[str, Callable[[Exchange], str]]] = {
    "another request": (
        "another request",
        lambda one: replace(receipt(one), request_digest=bytes(32)).text(),
    ),
    "parts that were not sent": (
        "another request",
        lambda one: replace(receipt(one), part_digests=(bytes(32),)).text(),
    ),
    "fewer recipients": (
        "something else",
        lambda one: replace(receipt(one), recipients_count=33).text(),
    ),
    "another origin": (
        "one of 'lienthong.vn/x'",
        lambda one: replace(receipt(one), origin="lienthong.vn/x").text(),
    ),
    "an answer": (
        "none of an acceptance",
        lambda one: Receipt(
            KEY.name, NOW, 41, bytes(32), 42, bytes(32), one.envelope.digest, bytes(32)
        ).text(),
    ),
    "nothing": ("does not hold", lambda one: f"{KEY.name}\n"),
}


@pytest.mark.parametrize("of", NOTES)
def test_a_receipt_of_something_else_proves_nothing(
    of: str, exchange: Exchange, nation: SmallNation
) -> None:
    reason, note = NOTES[of]

    with pytest.raises(AnswerRejected, match=reason):
        verified(exchange, told(exchange, nation, note(exchange)))


def test_a_receipt_of_somebody_else_proves_nothing(exchange: Exchange, nation: SmallNation) -> None:
    stranger = SigningKey(KEY.name, Ed25519PrivateKey.generate())
    body = SOAP_XROAD.acceptance(exchange.accepted, 34, nation.signers[HUB], NOW)

    with pytest.raises(AnswerRejected, match="does not hold"):
        verified(exchange, told(exchange, nation, key=stranger))
    with pytest.raises(AnswerRejected, match="no receipt"):
        verified(exchange, body)


def test_an_answer_under_the_receipt_of_an_acceptance_is_none(
    exchange: Exchange, nation: SmallNation
) -> None:
    body = SOAP_XROAD.answer(
        exchange.accepted,
        replace(Acceptance("m-1", 34, NOW).element(), canonical=b"<a></a>"),
        nation.signers[PROVIDER],
        NOW,
    )
    raw = SOAP_XROAD.with_receipt(body, sign_note(receipt(exchange).text(), [KEY]))

    with pytest.raises(AnswerRejected, match="none of an answer"):
        verified(exchange, raw)


PART = "<lt:messageId>m-1</lt:messageId>"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (PART, PART.replace("m-1", "m-2"), "another message id"),
        (PART, "", "its form"),
        (PART, PART + PART, "its form"),
        (">34<", ">0<", "its form"),
        (">34<", ">many<", "its form"),
        ("2026-03", "2026-13", "its form"),
        ("acceptedAt", "at", "its form"),
    ],
)
def test_an_acceptance_that_says_something_else_is_none(
    old: str, new: str, reason: str, exchange: Exchange, nation: SmallNation
) -> None:
    content = Acceptance("m-1", 34, NOW).element()
    changed = content.canonical.replace(old.encode(), new.encode())
    assert changed != content.canonical
    body = write_with_blocks(
        exchange.accepted.answer_blocks,
        replace(content, canonical=changed),
        nation.signers[HUB],
        SigningTime(NOW),
        soap_version=exchange.envelope.soap_version,
    )
    raw = SOAP_XROAD.with_receipt(body, sign_note(receipt(exchange).text(), [KEY]))

    with pytest.raises(AnswerRejected, match=reason):
        verified(exchange, raw)


def test_the_element_is_canonical() -> None:
    element = Acceptance("a<b&c", 2, NOW).element()
    tree = parse_again(element.canonical)

    assert tree.tag == names.ACCEPTANCE
    assert etree.tostring(tree, method="c14n", exclusive=True) == element.canonical
