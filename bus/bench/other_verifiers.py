"""Other verifiers of XML signatures, if they are installed: xmlsec (libxmlsec1) and signxml.

They check one signature under a certificate that they are given. They do not ask which element
stands where, and they build no path to an anchor.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from signing import names


def other_verifiers(raw: bytes, certificate: x509.Certificate) -> dict[str, Callable[[], object]]:
    """By name, what parses and verifies these bytes once."""
    made = {"xmlsec": _with_xmlsec, "signxml": _with_signxml}
    found = {name: _installed(name) for name in made}
    return {
        name: make(found[name], raw, certificate)
        for name, make in made.items()
        if found[name] is not None
    }


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _with_xmlsec(xmlsec: Any, raw: bytes, certificate: x509.Certificate) -> Callable[[], object]:
    pem = certificate.public_bytes(Encoding.PEM)
    key = xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem, None)

    def verify() -> object:
        (block, security), body = etree.fromstring(raw)
        work = xmlsec.SignatureContext()
        work.key = key
        for part in (block, body, security[1]):
            work.register_id(part, "Id", names.WSU)
        return work.verify(security[2])

    return verify


def _with_signxml(signxml: Any, raw: bytes, certificate: x509.Certificate) -> Callable[[], object]:
    verifier = signxml.XMLVerifier()
    expected = signxml.SignatureConfiguration(expect_references=3)

    def verify() -> object:
        return verifier.verify(raw, x509_cert=certificate, expect_config=expected)

    return verify
