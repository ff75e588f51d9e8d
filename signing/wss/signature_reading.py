"""Read one ds:Signature: with care the first time, from memory when another says the same.

Most senders write the same with every message, but for digests and signature value. As an element
is serialised, `Value>` stands at the end of tags only, and base64 holds no tags: where all that is
outside of DigestValue and SignatureValue is the same text, namespaces in scope included, two
signatures are the same but for what stands within. XML Signature 1.1 §4.

Only a signature that was proved is remembered, and only when its text comes a second time: senders
that choose new Ids for each message are read with care each time, and crowd nobody out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from lxml import etree

from signing import names
from signing.elements import base64_bytes, base64_of, children_of
from signing.policy import SignaturePolicy
from signing.signature_cache import SignatureCache
from signing.wss.key_references import Token, TokenPlace, find_token, id_referred_to, token_with_id
from signing.wss.signed_info import SignedInfo, read_signed_info

CHARACTERS_KEPT_MAX = 8 * 1024
"""Longest signature that is remembered, as text."""

_PARTS = [names.SIGNED_INFO, names.SIGNATURE_VALUE, names.KEY_INFO]
_BORDER = "Value>"
_MARKUP = frozenset("<>&'\"")


@dataclass(frozen=True, slots=True)
class _Known:
    """What a signature says that was proved, but for its values."""

    said: SignedInfo = field(repr=False)
    policy: SignaturePolicy = field(repr=False)
    """What it was held to when it was read with care."""
    digest_algorithms: frozenset[str]
    canonicalisations: frozenset[str]
    info: tuple[str, ...] = field(repr=False)
    """The canonical form of SignedInfo in pieces; every other one is a digest."""
    digest_end: str
    """What stands between a digest and the border behind it."""
    value_end: str
    token_id: str
    """The Id of the token that its key is named by; empty: look into its KeyInfo."""

    def is_within(self, policy: SignaturePolicy) -> bool:
        """The policy allows all of it."""
        return policy is self.policy or (
            self.said.algorithm in policy.signature_algorithms
            and self.digest_algorithms <= policy.digest_algorithms
            and self.canonicalisations <= policy.canonicalisations
            and len(self.said.references) <= policy.references_max
        )

    def with_digests(self, digests: list[str]) -> SignedInfo:
        """The same with other digests. Raises ValueError: one is not base64."""
        algorithm, references, _, _, by = self.said
        end = self.digest_end
        values = [base64_bytes(text.removesuffix(end).encode()) for text in digests]
        pieces = [*self.info]
        pieces[1::2] = digests
        return SignedInfo(algorithm, references, values, _BORDER.join(pieces).encode(), by)


class SignatureReading:
    """What one ds:Signature says. Owned by one verification."""

    __slots__ = ("_around", "_cache", "_element", "_known", "_parts", "_values")

    def __init__(self, signature: etree._Element, cache: SignatureCache[_Known]) -> None:
        """Raises SignatureMalformedError: it lacks a part, or has one twice."""
        pieces = etree.tostring(signature, encoding="unicode", with_tail=False).split(_BORDER)
        self._around = tuple(pieces[::2])
        self._values = pieces[1::2]
        """Each with the beginning of its end tag."""
        self._element = signature
        self._cache = cache
        self._known = cache.lookup(self._around)
        self._parts = children_of(signature, _PARTS) if self._known is None else []

    def elements_with_ids(self) -> Iterable[etree._Element]:
        """Elements of it that likely carry an Id, beside the signature itself."""
        key_info = self._read()[2]
        return (key_info, *key_info)

    def token(self, place: TokenPlace) -> Token:
        """The token that names the key.

        Raises SignatureMalformedError, CertificateRejectedError.
        """
        if self._known is not None and self._known.token_id:
            return token_with_id(self._known.token_id, place)
        return find_token(self._read()[2], place)

    def signed_info(self, policy: SignaturePolicy) -> SignedInfo:
        """What is signed, as far as the policy allows. Raises SignatureMalformedError,
        AlgorithmForbiddenError."""
        known = self._known
        if known is not None and known.is_within(policy):
            try:
                return known.with_digests(self._values[:-1])
            except ValueError:  # told below, with the name of the element
                pass
        return read_signed_info(self._read()[0], policy)

    def value(self) -> bytes:
        """The signature value. Raises SignatureMalformedError."""
        if self._known is not None:
            try:
                return base64_bytes(self._values[-1].removesuffix(self._known.value_end).encode())
            except ValueError:  # told below, with the name of the element
                pass
        return base64_of(self._read()[1])

    def remember(self, said: SignedInfo, value: bytes, policy: SignaturePolicy) -> None:
        """Keep what was read with care: the signature was proved, and says this."""
        if self._known is not None or not self._cache.has_seen(self._around):
            return
        known = self._knowledge(said, value, policy)
        if known is not None:
            self._cache.keep(self._around, known)

    def _read(self) -> list[etree._Element]:
        return self._parts or children_of(self._element, _PARTS)

    def _knowledge(self, said: SignedInfo, value: bytes, policy: SignaturePolicy) -> _Known | None:
        """What the next signature with this text can be read by; None: nothing."""
        *digests, value_text = self._values or [""]
        info = said.canonical.decode().split(_BORDER)
        methods = {said.canonicalisation.method}
        methods |= {one.canonicalisation.method for one in said.references}
        if (
            len(digests) != len(said.references)
            or info[1::2] != digests
            # Canonical XML 1.0 depends on attributes above the signature, which its text has not.
            or names.INCLUSIVE_C14N in methods
            or not self._has_one_reading()
        ):
            return None
        known = _Known(
            said,
            policy,
            frozenset(one.digest_algorithm for one in said.references),
            frozenset(methods),
            tuple(info),
            digests[0][digests[0].find("<") :],
            value_text[value_text.find("<") :],
            id_referred_to(self._read()[2]),
        )
        try:
            # What is found from now on must be what was found with care.
            is_same = known.with_digests(digests) == said
            is_same &= base64_bytes(value_text.removesuffix(known.value_end).encode()) == value
        except ValueError:
            return None
        return known if is_same else None

    def _has_one_reading(self) -> bool:
        """The text is short, and cannot be mistaken: namespace names are written as they stand."""
        return sum(map(len, self._around)) <= CHARACTERS_KEPT_MAX and not any(
            _MARKUP.intersection(name)
            for element in self._element.iter()
            for name in element.nsmap.values()
        )
