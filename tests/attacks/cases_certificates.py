"""Certificates that must not be believed, and subjects that must not be mistaken for a member."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.attacks.authorities import authorities
from tests.attacks.cases import SAME, Group, Stage, applied
from tests.attacks.forge import Hand
from tests.attacks.keys import corpus_authority, corpus_signer
from tests.attacks.x509 import (
    ORGANIZATION_IDENTIFIER,
    Change,
    altered,
    with_extension,
    with_subject,
    with_uses,
)
from tests.certificates import DAY, ENCIPHERING, Issuer, Usage, make_certificate, make_root
from tests.nation import NOW, der

CERTIFICATES = Group("certificates", "RFC 5280 §4.2.1, §6.1")
SUBJECTS = Group("subjects of certificates", "ETSI EN 319 412-1 §5.1.4; RFC 5280 §7.1")

_REJECTED = "certificate.rejected"
_SECOND = timedelta(seconds=1)
_COMMON_NAME = "2.5.4.3"
_ORGANIZATION = "2.5.4.10"


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(77, ec.SECP256R1())


def by_authority(**wishes: Any) -> Callable[[Stage], bytes]:
    """Signed under a certificate of the corpus's authority with these wishes."""
    return lambda stage: stage.signed(hand=stage.issued(_key(), **wishes))


def by_altered(change: Change) -> Callable[[Stage], bytes]:
    return lambda stage: stage.signed(hand=altered(stage, change, _key()))


_VALIDITIES_AND_USAGES: dict[str, dict[str, Any]] = {
    "expired a second ago": {"valid_until": -_SECOND},
    "expired a year ago": {"valid_from": -730 * DAY, "valid_until": -365 * DAY},
    "not valid before the next second": {"valid_from": _SECOND},
    "not valid before next year": {"valid_from": 365 * DAY, "valid_until": 730 * DAY},
    "for encipherment only": {"usage": ENCIPHERING},
    "for no use at all": {"usage": Usage(may_sign=False)},
    "of an authority": {"usage": Usage(is_authority=True)},
}
for _name, _wishes in _VALIDITIES_AND_USAGES.items():
    CERTIFICATES.add(
        f"a certificate {_name}",
        "Certified by the right authority, but not for this, or not now.",
        _REJECTED,
        by_authority(**_wishes),
    )

_PURPOSES = {
    "TLS servers": ("1.3.6.1.5.5.7.3.1",),
    "OCSP": ("1.3.6.1.5.5.7.3.9",),
    "time-stamping": ("1.3.6.1.5.5.7.3.8",),
    "OCSP besides clients": ("1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.9"),
    "code signing": ("1.3.6.1.5.5.7.3.3",),
    "IPsec": ("1.3.6.1.5.5.7.3.17",),
    "a purpose of nobody": ("1.3.6.1.4.1.99999.1",),
}
for _name, _oids in _PURPOSES.items():
    CERTIFICATES.add(
        f"a certificate for {_name}",
        "A certificate that the authority gave out for something else.",
        _REJECTED,
        by_altered(with_uses(*_oids)),
        source="RFC 5280 §4.2.1.12",
    )
CERTIFICATES.add(
    "a certificate with an unknown critical extension",
    "A condition that nobody here understands, and must.",
    _REJECTED,
    by_altered(with_extension("1.3.6.1.4.1.99999.2", b"\x05\x00", critical=True)),
    source="RFC 5280 §4.2",
)
CERTIFICATES.add(
    "a certificate with an unknown extension that is not critical",
    "Something more that need not be understood.",
    SAME,
    by_altered(with_extension("1.3.6.1.4.1.99999.2", b"\x05\x00", critical=False)),
    source="RFC 5280 §4.2",
)


def by_intermediate(name: str) -> Callable[[Stage], bytes]:
    def make(stage: Stage) -> bytes:
        issuer = authorities()[name]
        subject = [
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_NAME, "EXAMPLE ONLY"),
            x509.NameAttribute(x509.oid.NameOID.ORGANIZATION_IDENTIFIER, "VN/GOV/H41"),
        ]
        certificate = _certificate_below(issuer, subject)
        return stage.signed(hand=Hand(_key(), certificate))

    return make


def _certificate_below(issuer: Issuer, subject: list[x509.NameAttribute[str]]) -> bytes:
    key = _key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(subject))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(Usage().extension(), critical=True)
    )
    return der(builder.sign(issuer.key, hashes.SHA256()))


for _name, _authority in {
    "below an authority that its root does not allow": "below a root that allows none",
    "one authority too deep": "one too deep",
    "of an expired authority": "expired",
    "of an authority for another organization": "for another organization",
    "of an authority that excludes this organization": "not for this organization",
    "issued by a certificate that is no authority": "not an authority",
}.items():
    CERTIFICATES.add(
        f"a certificate {_name}",
        "The hub knows the authority, and the path through it does not hold.",
        _REJECTED,
        by_intermediate(_authority),
        source="RFC 5280 §4.2.1.9, §4.2.1.10, §6.1",
    )
CERTIFICATES.add(
    "a certificate of a sound authority between",
    "A longer path that holds: what is refused above is not refused for its length.",
    SAME,
    by_intermediate("sound"),
)


def by_stranger(stage: Stage, *, same_name: bool) -> bytes:
    """An authority of one's own, which may be called as the hub's."""
    root = make_root("stranger", NOW, ec.derive_private_key(78, ec.SECP256R1()))
    if same_name:
        root = _renamed(root, corpus_authority().certificate.subject)
    return stage.signed(hand=stage.issued_by(root, _key()))


def _renamed(root: Issuer, name: x509.Name) -> Issuer:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(root.key.public_key())
        .serial_number(root.certificate.serial_number)
        .not_valid_before(root.certificate.not_valid_before_utc)
        .not_valid_after(root.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    return Issuer(root.key, builder.sign(root.key, hashes.SHA256()))


CERTIFICATES.add(
    "a certificate of an authority that nobody trusts",
    "A whole infrastructure of one's own.",
    _REJECTED,
    partial(by_stranger, same_name=False),
)
CERTIFICATES.add(
    "a certificate of an authority that is called as ours",
    "The name of the trust anchor, another key.",
    _REJECTED,
    partial(by_stranger, same_name=True),
)
CERTIFICATES.add(
    "a certificate issued by a member",
    "A member's key certifies another one.",
    _REJECTED,
    lambda stage: stage.signed(
        hand=stage.issued_by(
            Issuer(stage.hand("h41-p256").key, corpus_signer("h41-p256").certificate), _key()
        )
    ),
)
CERTIFICATES.add(
    "signed by the trust anchor itself",
    "The authority's own key signs a message.",
    _REJECTED,
    lambda stage: stage.signed(
        hand=Hand(corpus_authority().key, der(corpus_authority().certificate))
    ),
)
CERTIFICATES.add(
    "a certificate whose signature was changed",
    "One bit of the authority's signature.",
    _REJECTED,
    lambda stage: stage.signed(
        hand=Hand(
            stage.hand().key,
            stage.hand().certificate[:-1] + bytes([stage.hand().certificate[-1] ^ 1]),
        )
    ),
)
CERTIFICATES.add(
    "a certificate whose subject was changed",
    "Another member's name in a certificate that was signed for this one.",
    _REJECTED,
    lambda stage: stage.signed(
        hand=Hand(
            stage.hand("h26-rsa").key,
            stage.hand("h26-rsa").certificate.replace(b"VN/GOV/H26", b"VN/GOV/H41"),
        )
    ),
)


def _version_1(tbs: Any) -> None:
    tbs["version"] = "v1"
    del tbs["extensions"]


CERTIFICATES.add(
    "a certificate of version 1",
    "No extensions: nothing says what the key is for. Nothing forbids it either.",
    SAME,
    by_altered(_version_1),
    source="RFC 5280 §4.1.2.1",
)
CERTIFICATES.add(
    "a certificate with an alternative name of 12 KB",
    "A certificate that is nearly too large to be looked at.",
    SAME,
    by_altered(with_extension("1.3.6.1.4.1.99999.3", bytes(12_000), critical=False)),
)
CERTIFICATES.add(
    "a certificate of 20 KB",
    "A certificate that takes long to read.",
    _REJECTED,
    by_altered(with_extension("1.3.6.1.4.1.99999.3", bytes(20_000), critical=False)),
)


# --- the subject ---------------------------------------------------------------------------


def _identified(*values: str | bytes) -> Change:
    return with_subject(
        *([(ORGANIZATION_IDENTIFIER, value)] for value in values), [(_COMMON_NAME, "x")]
    )


def _text_of(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


for _name, _change in {
    "two members' identifiers": _identified("VN/GOV/H26", "VN/GOV/H41"),
    "two members' identifiers, ours first": _identified("VN/GOV/H41", "VN/GOV/H26"),
    "two identifiers in one part": with_subject(
        [(ORGANIZATION_IDENTIFIER, "VN/GOV/H26"), (ORGANIZATION_IDENTIFIER, "VN/GOV/H41")]
    ),
    "its identifier twice": _identified("VN/GOV/H41", "VN/GOV/H41"),
    "no identifier": with_subject([(_COMMON_NAME, "VN/GOV/H41")]),
    "the identifier as organization": with_subject([(_ORGANIZATION, "VN/GOV/H41")]),
    "an empty identifier": _identified(""),
    "the identifier in small letters": _identified("vn/gov/h41"),
    "the identifier and a space": _identified("VN/GOV/H41 "),
    "a space and the identifier": _identified(" VN/GOV/H41"),
    "the identifier and a zero byte": _identified("VN/GOV/H41\0"),
    "a zero byte within": _identified("VN/GOV/H41\0.example"),
    "the identifier and a new line": _identified("VN/GOV/H41\n"),
    "the identifier and a subsystem": _identified("VN/GOV/H41/motcua"),
    "the identifier with a Cyrillic letter": _identified("VN/GOV/\u041d41"),
    "the identifier in full width": _identified("\uff36\uff2e/GOV/H41"),
    "the identifier with a zero-width space": _identified("VN/GOV/H\u200b41"),
    "the identifier turned round": _identified("\u202e14H/VOG/NV"),
    "an organ code for the identifier": _identified("H41"),
    "nobody's identifier": _identified("VN/GOV/Z99"),
}.items():
    SUBJECTS.add(
        f"a subject with {_name}",
        "A certificate leads to one member, by one attribute, letter by letter.",
        "sender.unknown",
        by_altered(_change),
    )
for _name, _change, _code in (
    ("as PrintableString", _identified(_text_of(0x13, b"VN/GOV/H41")), SAME),
    ("as BMPString", _identified(_text_of(0x1E, "VN/GOV/H41".encode("utf-16-be"))), SAME),
):
    SUBJECTS.add(
        f"the identifier {_name}",
        "The same letters in another string type, or in none.",
        _code,
        by_altered(_change),
        source="RFC 5280 §4.1.2.4",
    )
for _name, _old, _new in (
    ("as an octet string", b"\x0c\x0aVN/GOV/H41", b"\x04\x0aVN/GOV/H41"),
    ("as UTF-8 that is none", b"VN/GOV/H41", b"VN/GOV/H\xc0\xb1"),
):
    SUBJECTS.add(
        f"the identifier {_name}",
        "The same letters in another string type, or in none.",
        _REJECTED,
        applied(
            lambda stage, old, new: stage.signed(
                hand=altered(
                    stage,
                    _identified("VN/GOV/H41"),
                    _key(),
                    patch=lambda signed: signed.replace(old, new),
                )
            ),
            _old,
            _new,
        ),
        source="RFC 5280 §4.1.2.4",
    )
SUBJECTS.add(
    "another member's certificate",
    "A registered member, another client.",
    "sender.mismatch",
    lambda stage: stage.signed(
        hand=Hand(
            _key(),
            der(
                make_certificate(
                    stage.nation.issuer, _key().public_key(), NOW, identifier="VN/GOV/G01"
                )
            ),
        )
    ),
    source="X-Road Message Protocol 4.0 §2.2",
)
