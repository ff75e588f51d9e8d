"""What is recalled of a signature is what reading it with care finds; what is not, is read so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.core.errors import NotWellFormed
from bus.core.xml import parse_xml
from signing import names
from signing import policy as uri
from signing.errors import AlgorithmForbiddenError, SignatureError, SignatureMalformedError
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.signature_cache import SignatureCache
from signing.wss import signature_reading
from signing.wss.canonical import EXCLUSIVE
from signing.wss.sign import CanonicalPart, security_header
from signing.wss.signature_reading import SignatureReading
from signing.wss.signed_info import SignedInfo, read_signed_info
from tests.nation import NOW, SmallNation
from tests.signing.wss.signed_parts import MINUTES, POLICY, ROUTE, verify


def message(
    nation: SmallNation,
    text: str = "1",
    *,
    kind: str = "rsa-2048",
    around: str = "",
    identifier: str = "body",
) -> bytes:
    """<e>: a header with ROUTE and the signature, then a Body that says `text`."""
    part = CanonicalPart(
        identifier,
        f'<b xmlns:wsu="{names.WSU}" wsu:Id="{identifier}"><x>{text}</x></b>'.encode(),
    )
    security = security_header([ROUTE, part], nation.client_signers[kind], NOW, MINUTES)
    start = f"<e{around}><h>".encode()
    return start + ROUTE.canonical + security + b"</h>" + part.canonical + b"</e>"


@pytest.fixture
def trust(nation: SmallNation) -> TrustStore:
    return TrustStore([nation.anchor])


@pytest.fixture
def reads_with_care(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each SignedInfo that is read with care."""
    seen: list[str] = []
    careful = read_signed_info

    def counted(element: object, policy: SignaturePolicy) -> SignedInfo:
        seen.append("read")
        return careful(element, policy)  # type: ignore[arg-type]

    monkeypatch.setattr(signature_reading, "read_signed_info", counted)
    return seen


@pytest.mark.parametrize("kind", ["rsa-2048", "p-256", "p-384", "ed25519"])
def test_the_third_message_of_a_sender_is_recalled_and_gives_what_care_finds(
    kind: str, nation: SmallNation, trust: TrustStore, reads_with_care: list[str]
) -> None:
    found = [verify(message(nation, text, kind=kind), nation, trust=trust) for text in "123"]

    assert reads_with_care == ["read", "read"]
    for text, verified in zip("123", found, strict=True):
        again = verify(message(nation, text, kind=kind), nation)
        assert again.canonical_parts == verified.canonical_parts
        assert (again.algorithm, again.certificate) == (verified.algorithm, verified.certificate)


def test_a_message_that_comes_once_is_not_kept(
    nation: SmallNation, trust: TrustStore, reads_with_care: list[str]
) -> None:
    for number in range(4):
        verify(message(nation, identifier=f"id-{number}"), nation, trust=trust)

    assert reads_with_care == ["read"] * 4


def test_other_namespaces_around_are_another_text(
    nation: SmallNation, trust: TrustStore, reads_with_care: list[str]
) -> None:
    for around in ("", "", "", ' xmlns:a="urn:a"', ' xmlns:a="urn:b"'):
        verify(message(nation, around=around), nation, trust=trust)

    assert reads_with_care == ["read"] * 4


REFERENCES = 3
"""Of `message`: ROUTE, the Body, and the timestamp."""


@pytest.mark.parametrize(
    ("stricter", "error", "reason"),
    [
        (
            {"signature_algorithms": frozenset({uri.RSA_SHA512})},
            AlgorithmForbiddenError,
            "rsa-sha256' is not allowed",
        ),
        (
            {"digest_algorithms": frozenset({uri.DIGEST_SHA512})},
            AlgorithmForbiddenError,
            "sha256' is not allowed",
        ),
        (
            {"canonicalisations": frozenset({names.INCLUSIVE_C14N})},
            AlgorithmForbiddenError,
            "SignedInfo must be canonicalised",
        ),
        (
            {"references_max": REFERENCES - 1},
            SignatureMalformedError,
            "3 references; at most 2",
        ),
    ],
)
def test_a_policy_that_became_stricter_holds_for_what_is_recalled(
    stricter: dict[str, Any],
    error: type[SignatureError],
    reason: str,
    nation: SmallNation,
    trust: TrustStore,
) -> None:
    for text in "123":
        verify(message(nation, text), nation, trust=trust)

    with pytest.raises(error, match=reason):
        verify(message(nation, "4"), nation, replace(POLICY, **stricter), trust=trust)


@pytest.mark.parametrize(
    "allowed",
    [
        {"clock_skew_seconds_max": 1},
        {"signature_algorithms": frozenset({uri.RSA_SHA256})},
        {"digest_algorithms": frozenset({uri.DIGEST_SHA256})},
        {"canonicalisations": frozenset({names.EXCLUSIVE_C14N})},
        {"references_max": REFERENCES},
    ],
)
def test_another_policy_that_allows_all_of_it_recalls_it(
    allowed: dict[str, Any], nation: SmallNation, trust: TrustStore, reads_with_care: list[str]
) -> None:
    for text in "12":
        verify(message(nation, text), nation, trust=trust)
    policy = replace(POLICY, **allowed)

    assert verify(message(nation, "3"), nation, policy, trust=trust).policy is policy
    assert reads_with_care == ["read", "read"]


DIGEST_START = b"<ds:DigestValue>"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DIGEST_START, DIGEST_START + b"<x/>"),
        (DIGEST_START, DIGEST_START + b"&amp;"),
        (DIGEST_START, DIGEST_START + b"A"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue><x/>"),
        (b"<ds:SignatureValue>", b"<ds:SignatureValue>="),
        (
            b"</ds:SignatureValue>",
            b"</ds:SignatureValue><ds:SignatureValue>AA==</ds:SignatureValue>",
        ),
        (b"#x509", b"#x510"),
        (b"<x>4</x>", b"<x>5</x>"),
    ],
)
def test_a_defect_in_a_known_signature_is_told_as_in_an_unknown_one(
    old: bytes, new: bytes, nation: SmallNation, trust: TrustStore
) -> None:
    for text in "123":
        verify(message(nation, text), nation, trust=trust)
    altered = message(nation, "4").replace(old, new, 1)

    assert outcome(altered, nation, TrustStore([nation.anchor])) == outcome(altered, nation, trust)
    assert isinstance(outcome(altered, nation, trust), tuple)


def outcome(raw: bytes, nation: SmallNation, trust: TrustStore) -> object:
    """What verification says: an error with its words, or what was signed."""
    try:
        verified = verify(raw, nation, trust=trust)
    except SignatureError as error:
        return type(error), str(error)
    return verified.canonical_parts


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_change_to_a_known_signature_comes_out_as_without_memory(
    data: st.DataObject, nation: SmallNation
) -> None:
    trust = TrustStore([nation.anchor])
    for text in "123":
        verify(message(nation, text), nation, trust=trust)
    raw = message(nation, "4")
    place = data.draw(st.integers(raw.index(b"<ds:Signature "), raw.index(b"</ds:Signature>")))
    piece = data.draw(
        st.sampled_from([b"", b"A", b" ", b'"', b"<", b">", b"=", b"&#65;", b"<a/>", b"Value>"])
    )
    length = data.draw(st.integers(0, 3))
    altered = raw[:place] + piece + raw[place + length :]
    try:
        parse_xml(altered, bytes_max=len(altered))
    except Exception:
        return  # never comes to a signature

    assert outcome(altered, nation, TrustStore([nation.anchor])) == outcome(altered, nation, trust)


# --- what is not remembered --------------------------------------------------------------------


def reading(raw: bytes, cache: SignatureCache[Any]) -> SignatureReading:
    root = parse_xml(raw, bytes_max=len(raw))
    signature = root.find(f".//{names.SIGNATURE}")
    assert signature is not None
    return SignatureReading(signature, cache)


def is_remembered(raw: bytes, change: Callable[[SignedInfo], SignedInfo] = lambda one: one) -> bool:
    """Whether a signature is known after it was read twice, and proved to say `change` of it."""
    cache: SignatureCache[Any] = SignatureCache()
    for _ in range(2):
        one = reading(raw, cache)
        one.remember(change(one.signed_info(POLICY)), one.value(), POLICY)
    return cache.lookup(reading(raw, cache)._around) is not None


def test_what_can_be_recalled_is_remembered(nation: SmallNation) -> None:
    assert is_remembered(message(nation))


@pytest.mark.parametrize("name", ["urn:a>b", "urn:&lt;a", "urn:&quot;"])
def test_a_namespace_name_that_is_markup_is_not_well_formed(name: str, nation: SmallNation) -> None:
    raw = message(nation).replace(b"<e>", f'<e xmlns:a="{name}">'.encode())

    with pytest.raises(NotWellFormed, match="ns uri"):
        parse_xml(raw, bytes_max=len(raw))


@pytest.mark.parametrize("name", ["urn:&amp;", "urn:'"])
def test_a_namespace_name_that_could_be_markup_is_not_remembered(
    name: str, nation: SmallNation
) -> None:
    raw = message(nation)

    assert not is_remembered(raw.replace(b"<e>", f'<e xmlns:a="{name}">'.encode()))
    assert not is_remembered(
        raw.replace(b"<ds:Transforms>", f'<ds:Transforms xmlns:a="{name}">'.encode(), 1)
    )


def test_canonical_xml_1_0_is_not_remembered(nation: SmallNation) -> None:
    inclusive = replace(EXCLUSIVE, method=names.INCLUSIVE_C14N)

    def of_a_part(one: SignedInfo) -> SignedInfo:
        last = replace(one.references[-1], canonicalisation=inclusive)
        return one._replace(references=(*one.references[:-1], last))

    assert not is_remembered(message(nation), lambda one: one._replace(canonicalisation=inclusive))
    assert not is_remembered(message(nation), of_a_part)


def test_a_signature_that_is_very_long_is_not_remembered(nation: SmallNation) -> None:
    long = "a" * signature_reading.CHARACTERS_KEPT_MAX

    assert not is_remembered(message(nation, identifier=long))


def test_an_id_that_holds_a_border_is_not_remembered(nation: SmallNation) -> None:
    assert not is_remembered(message(nation, identifier="aValue>b"))


def test_values_that_are_not_those_in_the_text_are_not_remembered(nation: SmallNation) -> None:
    raw = message(nation)

    assert not is_remembered(raw, lambda one: one._replace(digest_values=one.digest_values[::-1]))
    cache: SignatureCache[Any] = SignatureCache()
    for _ in range(2):
        one = reading(raw, cache)
        one.remember(one.signed_info(POLICY), b"another", POLICY)
    assert cache.lookup(reading(raw, cache)._around) is None


def test_a_digest_that_is_no_base64_is_not_remembered(nation: SmallNation) -> None:
    raw = message(nation)
    text = raw.partition(b"<ds:DigestValue>")[2].partition(b"<")[0]
    broken = raw.replace(text, b"=" + text, 1)
    info = reading(raw, SignatureCache()).signed_info(POLICY)
    cache: SignatureCache[Any] = SignatureCache()
    for _ in range(2):
        canonical = info.canonical.replace(text, b"=" + text, 1)
        one = reading(broken, cache)
        one.remember(info._replace(canonical=canonical), one.value(), POLICY)

    assert cache.lookup(reading(broken, cache)._around) is None


def test_an_attribute_of_a_digest_hides_it_from_memory(nation: SmallNation) -> None:
    raw = message(nation).replace(b"<ds:DigestValue>", b'<ds:DigestValue a="b">')

    assert not is_remembered(raw)


def test_the_oldest_is_forgotten_first(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signing.signature_cache.SIGNATURES_KEPT_MAX", 2)
    cache: SignatureCache[Any] = SignatureCache()
    raws = [message(nation, identifier=f"id-{number}") for number in range(3)]
    for raw in raws:
        for _ in range(2):
            one = reading(raw, cache)
            one.remember(one.signed_info(POLICY), one.value(), POLICY)

    known = [cache.lookup(reading(raw, cache)._around) is not None for raw in raws]
    assert known == [False, True, True]


def test_what_cannot_be_recalled_crowds_nobody_out(
    nation: SmallNation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signing.signature_cache.SIGNATURES_KEPT_MAX", 1)
    cache: SignatureCache[Any] = SignatureCache()
    for identifier in ("body", "aValue>b"):
        for _ in range(2):
            one = reading(message(nation, identifier=identifier), cache)
            one.remember(one.signed_info(POLICY), one.value(), POLICY)

    assert cache.lookup(reading(message(nation), cache)._around) is not None


def test_senders_that_take_turns_are_seen_again() -> None:
    cache: SignatureCache[str] = SignatureCache()

    assert [cache.has_seen((text,)) for text in "abcabc"] == [False] * 3 + [True] * 3


def test_what_came_once_is_forgotten_some_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signing.signature_cache.SEEN_ONCE_MAX", 2)
    cache: SignatureCache[Any] = SignatureCache()

    assert [cache.has_seen((text,)) for text in "abbca"] == [False, False, True, False, False]


def test_a_key_that_is_named_in_another_way_is_looked_up_each_time(
    nation: SmallNation, trust: TrustStore, reads_with_care: list[str]
) -> None:
    token = b"<wsse:SecurityTokenReference>"
    for text in "1234":
        named = message(nation, text).replace(token, b"<ds:KeyName>me</ds:KeyName>" + token, 1)
        verify(named, nation, trust=trust)

    assert reads_with_care == ["read", "read"]


def test_a_security_header_of_many_children_is_verified(nation: SmallNation) -> None:
    start = b"<wsse:BinarySecurityToken"
    raw = message(nation).replace(start, b"<x/>" * 20 + start, 1)

    assert (
        outcome(raw, nation, TrustStore([nation.anchor]))
        == verify(message(nation), nation).canonical_parts
    )


def test_what_was_verified_does_not_show_what_was_signed(nation: SmallNation) -> None:
    shown = repr(verify(message(nation, "Nguyễn Văn An"), nation))

    assert "Nguyễn" not in shown
    assert "<b" not in shown
    assert uri.RSA_SHA256 in shown
