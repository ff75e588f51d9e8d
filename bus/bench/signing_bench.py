"""Measure what one verification costs, beside the steps that it cannot do without.

The steps are those that the libraries do: parse, canonicalise, digest, check the RSA value. What
verification adds to them is its own part: positions, references, policy, the certificate's path
(which is kept after the first time). Two other verifiers take the same bytes in the same run.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from bus.bench.other_verifiers import other_verifiers
from bus.bench.signed_requests import as_clients_write
from bus.core.xml import parse_xml
from bus.runtime.clock import now
from bus.sandbox.authority import Authority, Holder, KeyKind
from signing import names
from signing.pki.certificates import TrustStore
from signing.pki.keys import Signer, load_certificate, load_private_key, make_signer
from signing.policy import SignaturePolicy
from signing.wss.canonical import canonicalise
from signing.wss.sign import CanonicalPart, security_header
from signing.wss.verify import SignedPart, verify_signature

ROUND_SECONDS = 0.02
"""How long each step is repeated in each round."""
_MESSAGE_BYTES_MAX = 64 * 1024
_XROAD = "http://x-road.eu/xsd/xroad.xsd"

Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """An envelope with three signed parts: one header block, Body and timestamp."""

    raw: bytes = field(repr=False)
    signer: Signer
    anchor: bytes = field(repr=False)
    moment: datetime


@dataclass(frozen=True, slots=True)
class SigningResults:
    """The least time of each step over all rounds, in microseconds."""

    message_bytes: int
    verify: float
    steps: Mapping[str, float]
    others: Mapping[str, float]
    """Other verifiers, by name; empty where they are not installed."""

    @property
    def bare_sum(self) -> float:
        """What the libraries take for the steps, in microseconds."""
        return sum(self.steps.values())

    @property
    def ratio(self) -> float:
        """Verification over the sum of its steps."""
        return self.verify / self.bare_sum

    def as_json(self) -> dict[str, object]:
        """The figures as plain values."""
        return {
            "message_bytes": self.message_bytes,
            "verify_us": self.verify,
            "steps_us": dict(self.steps),
            "steps_sum_us": self.bare_sum,
            "verify_over_steps": self.ratio,
            "others_us": dict(self.others),
        }

    def lines(self) -> Iterator[str]:
        """The figures for a terminal."""
        yield f"one message of {self.message_bytes:,} bytes, RSA-2048, three signed parts"
        for name, step_us in self.steps.items():
            yield f"  {name:<28}{step_us:>8.1f} µs"
        yield f"  {'sum of the steps':<28}{self.bare_sum:>8.1f} µs"
        yield f"{'parse and verify':<30}{self.verify:>8.1f} µs   {self.ratio:.2f} of the sum"
        for name, other_us in self.others.items():
            times = other_us / self.verify
            yield f"{name:<30}{other_us:>8.1f} µs   {times:.1f} times ours"


def measure_signing(rounds: int) -> SigningResults:
    """Every step in turn, round by round, so that noise hits all of them."""
    message = signed_message(now())
    steps = {"verify": _verification(message), **_bare_steps(message)}
    others = other_verifiers(message.raw, message.signer.certificate)
    least = _least_microseconds({**steps, **others}, rounds)
    return SigningResults(
        message_bytes=len(message.raw),
        verify=least["verify"],
        steps={name: least[name] for name in steps if name != "verify"},
        others={name: least[name] for name in others},
    )


def signed_message(moment: datetime) -> SignedMessage:
    """A small query as a client with an RSA-2048 key signs it, and the anchor of its key."""
    authority = Authority.create("Bench", moment)
    holder = Holder("Bench", "VN/GOV/H41", "VN/GOV/H41/motcua")
    issued = authority.issue(holder, moment, key_kind=KeyKind.RSA_2048)
    signer = make_signer(load_private_key(issued.key_pem), load_certificate(issued.certificate_pem))
    header = CanonicalPart(
        "id",
        f'<xrd:id xmlns:wsu="{names.WSU}" xmlns:xrd="{_XROAD}" wsu:Id="id">'
        "411d6755661409fed365ad8135f8210be07613da</xrd:id>".encode(),
    )
    body = CanonicalPart(
        "body",
        f'<soap:Body xmlns:soap="{names.SOAP11}" xmlns:wsu="{names.WSU}" wsu:Id="body">'
        '<TraCuu xmlns="http://dancuquocgia.bca"><SoDinhDanh>040090000123</SoDinhDanh></TraCuu>'
        "</soap:Body>".encode(),
    )
    security = security_header([header, body], signer, moment, timedelta(minutes=5))
    raw = b"".join(
        (
            f'<soap:Envelope xmlns:soap="{names.SOAP11}"><soap:Header>'.encode(),
            header.canonical,
            security,
            b"</soap:Header>",
            body.canonical,
            b"</soap:Envelope>",
        )
    )
    anchor = authority.certificate.public_bytes(Encoding.DER)
    return SignedMessage(as_clients_write(raw), signer, anchor, moment)


def _verification(message: SignedMessage) -> Step:
    trust, policy = TrustStore([message.anchor]), SignaturePolicy()

    def verify() -> object:
        (block, security), body = parse_xml(message.raw, bytes_max=_MESSAGE_BYTES_MAX)
        required = [
            SignedPart("id", block),
            SignedPart("Body", body),
            SignedPart("Timestamp", security[1]),
        ]
        return verify_signature(security, required, policy, trust, message.moment)

    return verify


def _bare_steps(message: SignedMessage) -> dict[str, Step]:
    (block, security), body = parse_xml(message.raw, bytes_max=_MESSAGE_BYTES_MAX)
    signed_info, value = security[2][0], base64.b64decode(security[2][1].text or "")
    parts = [block, body, security[1]]
    canonical = [canonicalise(part) for part in parts]
    canonical_info = canonicalise(signed_info)
    key = message.signer.certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    return {
        "parse": lambda: etree.fromstring(message.raw),
        "canonicalise": lambda: [
            etree.tostring(one, method="c14n", exclusive=True, with_comments=False)
            for one in (*parts, signed_info)
        ],
        "digest": lambda: [hashlib.sha256(one).digest() for one in canonical],
        "RSA": lambda: key.verify(value, canonical_info, scheme, digest),
    }


def _least_microseconds(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    repeats = {name: _repeats(step) for name, step in steps.items()}
    least = dict.fromkeys(steps, float("inf"))
    for _ in range(rounds):
        for name, step in steps.items():
            least[name] = min(least[name], _seconds(step, repeats[name]) / repeats[name])
    return {name: seconds * 1e6 for name, seconds in least.items()}


def _repeats(step: Step) -> int:
    step()  # warms what is kept
    return max(1, int(ROUND_SECONDS / max(_seconds(step, 3) / 3, 1e-7)))


def _seconds(step: Step, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return time.perf_counter() - start
