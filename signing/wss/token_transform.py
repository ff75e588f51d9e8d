"""Digest the token behind a wsse:SecurityTokenReference: the STR Dereference Transform.

Source: WSS SOAP Message Security 1.1.1 §8.3. The token takes the place of the reference before it
is canonicalised. A reference that carries no certificate implies a BinarySecurityToken.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from lxml import etree

from signing import names
from signing.wss.canonical import Canonicalisation, canonicalise
from signing.wss.key_references import Token

_NO_DEFAULT_NAMESPACE = b'xmlns="" '


def token_forms(reference: etree._Element, token: Token, by: Canonicalisation) -> Iterator[bytes]:
    """Every canonical form in which the token behind `reference` may be signed.

    They differ in nothing that means anything: the clause says that the first element declares
    `xmlns=""` where there is no default namespace, and not all writers follow; nor do they agree
    whether an implied token says its EncodingType.
    """
    for element in _elements(reference, token):
        canonical = canonicalise(element, by)
        yield canonical
        name, blank, rest = canonical.partition(b" ")
        if b"xmlns=" not in canonical[: canonical.index(b">")]:
            yield name + blank + _NO_DEFAULT_NAMESPACE + rest


def _elements(reference: etree._Element, token: Token) -> Iterator[etree._Element]:
    if token.element is not None:
        yield token.element
        return
    content = base64.b64encode(token.certificate_der).decode("ascii")
    for attributes in ({}, {"EncodingType": names.BASE64_BINARY}):
        # The prefix is that of the reference. WSS §8.3.
        implied = etree.Element(
            names.BINARY_SECURITY_TOKEN,
            {**attributes, "ValueType": names.X509_V3},
            nsmap={reference.prefix: names.WSSE},
        )
        implied.text = content
        yield implied
