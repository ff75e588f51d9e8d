"""Let zeep sign what a hub asks for, and believe only answers that are signed where they stand.

Copy this file beside your client; it needs zeep, xmlsec and lxml only.

zeep's own `BinarySignature` signs Body and timestamp with SHA-1, and takes an answer as signed
whatever element the signature is about. `HeaderSigning` signs the X-Road header blocks besides,
with SHA-256, and looks at what stands in the Body's place.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import xmlsec
from lxml import etree
from zeep.exceptions import SignatureVerificationFailed
from zeep.wsdl.utils import etree_to_string
from zeep.wsse.signature import BinarySignature
from zeep.wsse.utils import WSSE, WSU, ensure_id, get_security_header

NAMES = {
    "soap": "http://schemas.xmlsoap.org/soap/envelope/",
    "xrd": "http://x-road.eu/xsd/xroad.xsd",
    "lt": "urn:lienthong:message:1.0",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "wsse": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd",
    "wsu": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd",
}
WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
X509_V3 = f"{WSS}-x509-token-profile-1.0#X509v3"
BASE64 = f"{WSS}-soap-message-security-1.0#Base64Binary"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURE_METHODS = {f"{MORE}rsa-sha256", f"{MORE}ecdsa-sha256", f"{MORE}ecdsa-sha384"}
DIGEST_METHODS = {"http://www.w3.org/2001/04/xmlenc#sha256"}
VALID_FOR = timedelta(minutes=5)


class HeaderSigning(BinarySignature):
    """For `zeep.Client(wsdl, wsse=HeaderSigning(…))`. One instance for each thread."""

    def __init__(
        self,
        key_file: str | Path,
        certificate_file: str | Path,
        *,
        answer_certificate_files: Sequence[str | Path],
        fault_certificate_files: Sequence[str | Path],
    ) -> None:
        """Sign with this key; believe answers and faults under these certificates only."""
        super().__init__(str(key_file), str(certificate_file))
        self._answer_certificates = [_pem(file) for file in answer_certificate_files]
        self._fault_certificates = [_pem(file) for file in fault_certificate_files]
        self._key = xmlsec.Key.from_memory(self.key_data, xmlsec.KeyFormat.PEM)
        self._method = _method_of(self._key)
        self._sent = b""

    def apply(self, envelope: Any, headers: Any) -> Any:
        """Add token, timestamp and one signature over Body, timestamp and X-Road headers."""
        security = get_security_header(envelope)
        security.set(f"{{{NAMES['soap']}}}mustUnderstand", "1")
        token = WSSE.BinarySecurityToken(
            _der_text(self.cert_data), ValueType=X509_V3, EncodingType=BASE64
        )
        now = datetime.now(UTC)
        timestamp = WSU.Timestamp(WSU.Created(_text(now)), WSU.Expires(_text(now + VALID_FOR)))
        signature = xmlsec.template.create(envelope, xmlsec.Transform.EXCL_C14N, self._method)
        key_info = xmlsec.template.ensure_key_info(signature)
        key_info.append(
            WSSE.SecurityTokenReference(
                WSSE.Reference(URI=f"#{ensure_id(token)}", ValueType=X509_V3)
            )
        )
        security.extend([token, timestamp, signature])
        context = xmlsec.SignatureContext()
        context.key = self._key
        for element in _must_be_signed(envelope):
            _sign(context, signature, element)
        context.sign(signature)
        self._sent = etree_to_string(envelope)  # the very bytes that zeep's transport sends
        return envelope, headers

    def verify(self, envelope: Any) -> Any:
        """Raise SignatureVerificationFailed, unless this is the signed answer to what was sent."""
        # (1) One signature, one timestamp; no Id twice.
        security = _only(envelope, "soap:Header/wsse:Security")
        signature = _only(security, "ds:Signature")
        identifiers = envelope.xpath("//@wsu:Id", namespaces=NAMES)
        if len(identifiers) != len(set(identifiers)):
            raise SignatureVerificationFailed("two elements carry the same Id")
        # (2) The signer is whom we expect: the agency for an answer, the hub for a fault.
        is_fault = envelope.find("soap:Body/soap:Fault", NAMES) is not None
        expected = self._fault_certificates if is_fault else self._answer_certificates
        token = _base64(_only(security, "wsse:BinarySecurityToken"))
        pem = next((pem for pem in expected if base64.b64decode(_der_text(pem)) == token), None)
        if pem is None:
            raise SignatureVerificationFailed("signed by somebody else than we expect")
        # (3) Body, timestamp and X-Road headers, as they stand, are what the signature is about.
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.CERT_PEM)
        referred = {_plain_reference(one) for one in signature.findall(".//ds:Reference", NAMES)}
        for element in _must_be_signed(envelope):
            if element.get(f"{{{NAMES['wsu']}}}Id") not in referred:
                raise SignatureVerificationFailed(f"{element.tag} is not signed where it stands")
            context.register_id(element, "Id", NAMES["wsu"])
        # (4) The signature holds, by methods that are strong.
        method = _only(signature, "ds:SignedInfo/ds:SignatureMethod").get("Algorithm")
        form = _only(signature, "ds:SignedInfo/ds:CanonicalizationMethod").get("Algorithm")
        if method not in SIGNATURE_METHODS or form != EXCLUSIVE:
            raise SignatureVerificationFailed("a signature method that is not allowed")
        try:
            context.verify(signature)
        except xmlsec.Error as error:
            raise SignatureVerificationFailed("the signature does not hold") from error
        # (5) It is about the request that we sent.
        self._check_request(envelope, is_fault=is_fault)
        return envelope

    def _check_request(self, envelope: Any, *, is_fault: bool) -> None:
        if is_fault:
            digest = hashlib.sha256(self._sent).digest()
            named = _only(envelope, "soap:Body/soap:Fault/detail/lt:error/lt:requestDigest")
        else:
            digest = hashlib.sha512(self._sent).digest()
            named = _only(envelope, "soap:Header/xrd:requestHash")
        if _base64(named) != digest:
            raise SignatureVerificationFailed("an answer to another request")


def _must_be_signed(envelope: Any) -> list[Any]:
    blocks = envelope.findall("soap:Header/xrd:*", NAMES)
    timestamp = _only(envelope, "soap:Header/wsse:Security/wsu:Timestamp")
    return [_only(envelope, "soap:Body"), timestamp, *blocks]


def _sign(context: Any, signature: Any, element: Any) -> None:
    identifier = ensure_id(element)
    context.register_id(element, "Id", NAMES["wsu"])
    reference = xmlsec.template.add_reference(
        signature, xmlsec.Transform.SHA256, uri=f"#{identifier}"
    )
    xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)


def _plain_reference(reference: Any) -> str:
    """The Id that a reference names; it may say nothing but exclusive canonicalisation."""
    transforms = [one.get("Algorithm") for one in reference.findall(".//ds:Transform", NAMES)]
    method = _only(reference, "ds:DigestMethod").get("Algorithm")
    if transforms != [EXCLUSIVE] or method not in DIGEST_METHODS:
        raise SignatureVerificationFailed("a transform or digest that is not allowed")
    return str(reference.get("URI", "")).removeprefix("#")


def _only(parent: Any, path: str) -> Any:
    found = parent.findall(path, NAMES)
    if len(found) != 1:
        raise SignatureVerificationFailed(f"{path} stands {len(found)} times; expected once")
    return found[0]


def _method_of(key: Any) -> Any:
    context = xmlsec.SignatureContext()
    context.key = key
    try:
        context.sign_binary(b"", xmlsec.Transform.RSA_SHA256)
    except xmlsec.Error:
        return xmlsec.Transform.ECDSA_SHA256
    return xmlsec.Transform.RSA_SHA256


def _pem(file: str | Path) -> bytes:
    return Path(file).read_bytes()


def _der_text(pem: bytes | str) -> str:
    text = pem.decode() if isinstance(pem, bytes) else pem
    inside = text.partition("-----BEGIN CERTIFICATE-----")[2]
    return "".join(inside.partition("-----END CERTIFICATE-----")[0].split())


def _base64(element: etree._Element) -> bytes:
    return base64.b64decode(element.text or "")


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
