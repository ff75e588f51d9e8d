"""Compare distinguished names as parsed, however a stack spells them in text.

The text is that of RFC 4514 and of what came before it: Java writes unknown attributes in
hexadecimal or as OID.2.5.4.97, .NET writes E= and S= and quotes values, OpenSSL may start at the
other end. What is told apart here only finds a certificate: trust is led to an anchor elsewhere.
"""

from __future__ import annotations

import re
import unicodedata

from asn1crypto import core as asn1
from cryptography import x509

from signing.errors import SignatureMalformedError

NAME_CHARACTERS_MAX = 4096
"""Longest name that is read."""
ATTRIBUTES_MAX = 64

Attribute = tuple[str, str]
"""Object identifier and value."""
NameKey = tuple[tuple[Attribute, ...], ...]
"""A name as a key: attributes sorted in each part; the parts from the end that sorts first."""

_OIDS = {
    "CN": "2.5.4.3",
    "SURNAME": "2.5.4.4",
    "SN": "2.5.4.4",
    "SERIALNUMBER": "2.5.4.5",
    "C": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "S": "2.5.4.8",
    "STREET": "2.5.4.9",
    "O": "2.5.4.10",
    "OU": "2.5.4.11",
    "T": "2.5.4.12",
    "TITLE": "2.5.4.12",
    "BUSINESSCATEGORY": "2.5.4.15",
    "POSTALCODE": "2.5.4.17",
    "NAME": "2.5.4.41",
    "G": "2.5.4.42",
    "GN": "2.5.4.42",
    "GIVENNAME": "2.5.4.42",
    "INITIALS": "2.5.4.43",
    "DNQ": "2.5.4.46",
    "DNQUALIFIER": "2.5.4.46",
    "PSEUDONYM": "2.5.4.65",
    "ORGANIZATIONIDENTIFIER": "2.5.4.97",
    "UID": "0.9.2342.19200300.100.1.1",
    "DC": "0.9.2342.19200300.100.1.25",
    "E": "1.2.840.113549.1.9.1",
    "EMAIL": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_ATTRIBUTE = re.compile(
    r"""\s*+(?P<type>[A-Za-z][A-Za-z0-9.\-]*+|[0-9]++(?:\.[0-9]++)++)\s*+=\s*+
    (?:\#(?P<hex>(?:[0-9A-Fa-f]{2})++)
     |"(?P<quoted>(?:[^"\\]|\\.)*+)"
     |(?P<plain>(?:[^"\\,;+]|\\.)*+))
    \s*+(?P<end>[,;+]|\Z)""",
    re.VERBOSE | re.DOTALL,
)
"""Nothing is read twice (possessive): a stranger writes these names before anybody is proved."""
_ESCAPED = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)


def name_key(name: x509.Name) -> NameKey:
    """The key of a name in a certificate."""
    return _key(
        [
            [(one.oid.dotted_string, _comparable(_text(one.value))) for one in part]
            for part in name.rdns
        ]
    )


def parse_name(text: str) -> NameKey:
    """The key of a name in text. Raises SignatureMalformedError."""
    if len(text) > NAME_CHARACTERS_MAX:
        raise SignatureMalformedError(f"a name of {len(text)} characters is not read")
    parts: list[list[Attribute]] = [[]]
    position, more = 0, True
    while more:
        found = _ATTRIBUTE.match(text, position)
        if found is None or sum(map(len, parts)) >= ATTRIBUTES_MAX:
            raise SignatureMalformedError("a distinguished name does not have the form of RFC 4514")
        parts[-1].append((_oid(found["type"]), _comparable(_value(found))))
        more = bool(found["end"])
        if found["end"] in (",", ";"):
            parts.append([])
        position = found.end()
    return _key(parts)


def _key(parts: list[list[Attribute]]) -> NameKey:
    # RFC 4514 §2.1 starts at the last part, others at the first: both ways lead to one key.
    forward = tuple(tuple(sorted(part)) for part in parts)
    return min(forward, forward[::-1])


def _oid(kind: str) -> str:
    known = kind.upper()
    return _OIDS.get(known, known.removeprefix("OID."))


def _value(found: re.Match[str]) -> str:
    if found["hex"] is not None:
        return _decoded(bytes.fromhex(found["hex"]))
    text = found["quoted"] if found["quoted"] is not None else found["plain"]
    return _ESCAPED.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1]
    return bytes.fromhex(found[0].replace("\\", "")).decode("utf-8", errors="replace")


def _decoded(der: bytes) -> str:
    """The text of a value in BER, as RFC 4514 §2.4 writes it behind a number sign."""
    try:
        value = asn1.load(der, strict=True).native
    except (ValueError, TypeError) as error:
        raise SignatureMalformedError(
            "a distinguished name holds a value that is no BER"
        ) from error
    return value if isinstance(value, str) else der.hex()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.hex()


def _comparable(text: str) -> str:
    """Without regard to case, width and repeated blanks. RFC 5280 §7.1."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
