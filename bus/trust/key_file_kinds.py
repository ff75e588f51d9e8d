"""Say what a file holds that was given in a key's or a certificate's place."""

from __future__ import annotations

import re

_BASE64_KEY = "a key of 32 bytes in base64"
_ALSO = {"a key in base64": _BASE64_KEY, "a secret": _BASE64_KEY}
"""A secret may happen to look like a key."""
_KINDS = (
    (re.compile(rb"-----BEGIN ((?!OPENSSH)[A-Z]+ )*PRIVATE KEY-----"), "a private key"),
    (re.compile(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----"), "a certificate"),
    (re.compile(rb"-----BEGIN (NEW )?CERTIFICATE REQUEST-----"), "a certificate request"),
    (re.compile(rb"-----BEGIN ([A-Z]+ )?PUBLIC KEY-----"), "a public key"),
    (re.compile(rb"-----BEGIN X509 CRL-----"), "a list of revoked certificates"),
    (re.compile(rb"-----BEGIN (PKCS7|CMS)-----"), "a PKCS #7 bundle"),
    (re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----"), "a key of OpenSSH"),
    (re.compile(rb"\A(ssh-(rsa|ed25519)|ecdsa-sha2-\S+) "), "a public key of OpenSSH"),
    # PFX ::= SEQUENCE { version INTEGER {v3(3)}, authSafe SEQUENCE … RFC 7292 §4.
    (re.compile(rb"\A\x30[\x80-\x84].{0,4}\x02\x01\x03\x30", re.DOTALL), "a PKCS #12 file"),
    # Certificate ::= SEQUENCE { SEQUENCE { [0] version v3 … RFC 5280 §4.1.
    (
        re.compile(rb"\A\x30[\x81-\x83].{1,3}\x30[\x81-\x83].{1,3}\xa0\x03\x02\x01\x02", re.DOTALL),
        "a certificate",
    ),
    (re.compile(rb"\A[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{40,}=*\s*\Z"), "a verifier key"),
    (re.compile(rb"\A[A-Za-z0-9+/]{43}=\s*\Z"), _BASE64_KEY),
)


def why_not_expected(raw: bytes, expected: str) -> str:
    """`expected …; this is …` of a file that plainly holds another thing; empty: it may be right.

    `expected` begins with the name of its kind.
    """
    kinds = _kinds(raw)
    if not kinds or _ALSO.get(expected) in kinds or any(map(expected.startswith, kinds)):
        return ""
    return f"expected {expected}; this is {kinds[0]}"


def _kinds(raw: bytes) -> list[str]:
    """What a file holds; a key and its certificate may stand in one."""
    return [kind for pattern, kind in _KINDS if pattern.search(raw)]
