"""Do the least that a hub of signed envelopes must do with a request, in a straight line.

Parse, canonicalise and digest every reference, verify the RSA value, answer under a P-256 key with
the same parts signed. What a hub needs besides is left out on purpose: certificate path, policy,
freshness, grants, schema, duplicates, encryption, receipts. Never run this for anything but a
comparison.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from lxml import etree

from signing import names
from signing.pki.keys import Signer
from signing.policy import DIGEST_SHA256, ECDSA_SHA256

_PKCS1 = padding.PKCS1v15()
_SHA256 = SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_VALID_FOR = timedelta(minutes=5)
_XROAD = "http://x-road.eu/xsd/xroad.xsd"

_START = (
    f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{names.SOAP11}">'
    "<soap:Header>"
).encode()
_HASH = (
    f'<xrd:requestHash xmlns:wsu="{names.WSU}" xmlns:xrd="{_XROAD}" '
    'algorithmId="http://www.w3.org/2001/04/xmlenc#sha512" wsu:Id="requestHash">%b'
    "</xrd:requestHash>"
).encode()
_BODY = f'<soap:Body xmlns:soap="{names.SOAP11}" xmlns:wsu="{names.WSU}" wsu:Id="body">'.encode()
_BODY_END = b"</soap:Body>"
_SECURITY = (
    f'<wsse:Security xmlns:soap="{names.SOAP11}" xmlns:wsse="{names.WSSE}" '
    f'xmlns:wsu="{names.WSU}" soap:mustUnderstand="1"><wsse:BinarySecurityToken '
    f'EncodingType="{names.BASE64_BINARY}" ValueType="{names.X509_V3}" wsu:Id="x509">'
).encode()
_TIMESTAMP = (
    f'<wsu:Timestamp xmlns:wsu="{names.WSU}" wsu:Id="timestamp"><wsu:Created>%bZ</wsu:Created>'
    "<wsu:Expires>%bZ</wsu:Expires></wsu:Timestamp>"
).encode()
_SIGNED_INFO = (
    f'<ds:SignedInfo xmlns:ds="{names.DS}"><ds:CanonicalizationMethod '
    f'Algorithm="{names.EXCLUSIVE_C14N}"></ds:CanonicalizationMethod>'
    f'<ds:SignatureMethod Algorithm="{ECDSA_SHA256}"></ds:SignatureMethod>'
).encode()
_REFERENCE = (
    f'<ds:Reference URI="%b"><ds:Transforms><ds:Transform Algorithm="{names.EXCLUSIVE_C14N}">'
    f'</ds:Transform></ds:Transforms><ds:DigestMethod Algorithm="{DIGEST_SHA256}">'
    "</ds:DigestMethod><ds:DigestValue>%b</ds:DigestValue></ds:Reference>"
).encode()
_KEY_INFO = (
    '</ds:SignatureValue><ds:KeyInfo><wsse:SecurityTokenReference><wsse:Reference URI="#x509" '
    f'ValueType="{names.X509_V3}"></wsse:Reference></wsse:SecurityTokenReference></ds:KeyInfo>'
    "</ds:Signature></wsse:Security></soap:Header>"
).encode()


class FloorExchange:
    """Turns requests into answers. Owns the keys of the senders it has met."""

    def __init__(self, signer: Signer, answer: bytes) -> None:
        """`answer` is the one element of every Body, in exclusive canonical form."""
        assert isinstance(signer.private_key, ec.EllipticCurvePrivateKey)
        self._key = signer.private_key
        token = b64encode(signer.certificate_der)
        self._security = _SECURITY + token + b"</wsse:BinarySecurityToken>"
        self._body = _BODY + answer + _BODY_END
        self._sender_keys: dict[str, rsa.RSAPublicKey] = {}
        self._parser = etree.XMLParser(resolve_entities=False, no_network=True, collect_ids=False)

    def answer(self, raw: bytes, now: datetime) -> bytes:
        """The signed answer to a request; `now` is in UTC. Raises what `verified` raises."""
        blocks, references = self.verified(raw)
        blocks = [_START, *blocks, _HASH % b64encode(hashlib.sha512(raw).digest())]
        references = [_SIGNED_INFO, *references, _reference(b"#requestHash", blocks[-1])]
        return self._signed(blocks, references, now.replace(tzinfo=None))

    def verified(self, raw: bytes) -> tuple[list[bytes], list[bytes]]:
        """The header blocks of a request that is proved, and references to them.

        Raises XMLSyntaxError, ValueError, KeyError or InvalidSignature.
        """
        header, body = etree.fromstring(raw, self._parser)
        security = header.find(names.SECURITY)
        assert security is not None
        token, timestamp, signature = security
        parts = {block.get(names.WSU_ID): block for block in header if block is not security}
        parts["timestamp"] = timestamp
        parts[body.get(names.WSU_ID)] = body
        signed_info, value = signature[0], signature[1]
        blocks, references = [], []
        for reference in signed_info.iterchildren(names.REFERENCE):
            uri, digest_text = reference.get("URI", ""), reference[2].text or ""
            part = parts[uri[1:]]
            canonical = _canonical(part)
            if b64encode(hashlib.sha256(canonical).digest()) != digest_text.encode():
                raise ValueError("a part was changed")
            if part is not body and part is not timestamp:
                # The answer repeats the sender's header: same bytes, same digest.
                blocks.append(canonical)
                references.append(_REFERENCE % (uri.encode(), digest_text.encode()))
        sender_key = self._sender_key(token.text or "")
        sender_key.verify(b64decode(value.text or ""), _canonical(signed_info), _PKCS1, _SHA256)
        return blocks, references

    def _signed(self, blocks: list[bytes], references: list[bytes], now: datetime) -> bytes:
        stamp = _TIMESTAMP % (_time_text(now), _time_text(now + _VALID_FOR))
        references.append(_reference(b"#body", self._body))
        references.append(_reference(b"#timestamp", stamp))
        signed_info = b"".join((*references, b"</ds:SignedInfo>"))
        r, s = decode_dss_signature(self._key.sign(signed_info, _ECDSA))
        return b"".join(
            (
                *blocks,
                self._security,
                stamp,
                b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">',
                signed_info,
                b"<ds:SignatureValue>",
                b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")),
                _KEY_INFO,
                self._body,
                b"</soap:Envelope>",
            )
        )

    def _sender_key(self, token: str) -> rsa.RSAPublicKey:
        key = self._sender_keys.get(token)
        if key is None:
            public_key = x509.load_der_x509_certificate(b64decode(token)).public_key()
            assert isinstance(public_key, rsa.RSAPublicKey)
            key = self._sender_keys[token] = public_key
        return key


def _canonical(element: etree._Element) -> bytes:
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, with_tail=False
    )


def _reference(uri: bytes, canonical: bytes) -> bytes:
    return _REFERENCE % (uri, b64encode(hashlib.sha256(canonical).digest()))


def _time_text(moment: datetime) -> bytes:
    return moment.isoformat(timespec="milliseconds").encode()
