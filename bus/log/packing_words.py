"""What envelopes have in common, for packing: a dictionary that both ends of a log know.

It holds what specifications say, and nothing of any message: no name, no certificate, no digest.
Its bytes never change, for what was packed with them is unpacked with them; other words are another
dictionary, under another purpose of the key (bus.log.sealing).
"""

from __future__ import annotations

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSU = f'xmlns:wsu="{_OASIS}wssecurity-utility-1.0.xsd"'
_WSSE = f'xmlns:wsse="{_OASIS}wssecurity-secext-1.0.xsd"'
_XRD = 'xmlns:xrd="http://x-road.eu/xsd/xroad.xsd"'
_ID = 'xmlns:id="http://x-road.eu/xsd/identifiers"'
_DS = 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
_TOKEN = f"{_OASIS}x509-token-profile-1.0#X509v3"
_MEMBER = (
    "<id:xRoadInstance>VN</id:xRoadInstance><id:memberClass>GOV</id:memberClass>"
    "<id:memberCode></id:memberCode><id:subsystemCode></id:subsystemCode>"
)
_ASKED = "<id:serviceCode></id:serviceCode><id:serviceVersion>v1</id:serviceVersion>"
_TEXTS = ("userId", "id", "issue", "protocolVersion")
_PARTS = ("client", "service", *_TEXTS)


def _references(parts: tuple[str, ...], transform: str, method: str) -> str:
    return "".join(
        f'<ds:Reference URI="#{part}"><ds:Transforms>{transform}</ds:Transforms>{method}'
        "<ds:DigestValue></ds:DigestValue></ds:Reference>"
        for part in parts
    )


def _element(name: str, attributes: str, *, is_short: bool) -> str:
    return f"<{name} {attributes}/>" if is_short else f"<{name} {attributes}></{name}>"


def _security(parts: tuple[str, ...], declarations: str, algorithm: str, *, is_short: bool) -> str:
    exclusive = 'Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"'
    sha256 = 'Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"'
    signed = f'Algorithm="http://www.w3.org/2001/04/xmldsig-more#{algorithm}"'
    references = _references(
        parts,
        _element("ds:Transform", exclusive, is_short=is_short),
        _element("ds:DigestMethod", sha256, is_short=is_short),
    )
    return (
        f'<wsse:Security xmlns:soap="{_SOAP}" {_WSSE}{declarations} soap:mustUnderstand="1">'
        f'<wsse:BinarySecurityToken EncodingType="{_OASIS}soap-message-security-1.0#Base64Binary" '
        f'ValueType="{_TOKEN}" wsu:Id="x509"></wsse:BinarySecurityToken>'
        f'<wsu:Timestamp{declarations} wsu:Id="timestamp"><wsu:Created></wsu:Created>'
        "<wsu:Expires></wsu:Expires></wsu:Timestamp>"
        f'<ds:Signature {_DS} Id="signature"><ds:SignedInfo {_DS}>'
        f"{_element('ds:CanonicalizationMethod', exclusive, is_short=is_short)}"
        f"{_element('ds:SignatureMethod', signed, is_short=is_short)}{references}</ds:SignedInfo>"
        "<ds:SignatureValue></ds:SignatureValue><ds:KeyInfo><wsse:SecurityTokenReference>"
        f'<wsse:Reference URI="#x509" ValueType="{_TOKEN}"></wsse:Reference>'
        "</wsse:SecurityTokenReference></ds:KeyInfo></ds:Signature></wsse:Security></soap:Header>"
    )


def _request() -> str:
    texts = "".join(f'<xrd:{name} wsu:Id="{name}"></xrd:{name}>' for name in _TEXTS)
    parts = (*_PARTS, "body", "timestamp")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soap:Envelope xmlns:soap="{_SOAP}" {_WSU} {_XRD} '
        f'{_ID}><soap:Header><xrd:client wsu:Id="client" id:objectType="SUBSYSTEM">{_MEMBER}'
        '</xrd:client><xrd:service wsu:Id="service" id:objectType="SERVICE">'
        f"{_MEMBER}{_ASKED}</xrd:service>{texts}"
        f"{_security(parts, '', 'rsa-sha256', is_short=True)}"
        f'<soap:Body xmlns:soap="{_SOAP}" wsu:Id="body"></soap:Body></soap:Envelope>'
    )


def _answer() -> str:
    """In exclusive canonical form, each part with its own declarations."""
    texts = "".join(f'<xrd:{name} {_WSU} {_XRD} wsu:Id="{name}"></xrd:{name}>' for name in _TEXTS)
    parts = (*_PARTS, "requestHash", "body", "timestamp")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soap:Envelope xmlns:soap="{_SOAP}"><soap:Header>'
        f'<xrd:client {_ID} {_WSU} {_XRD} wsu:Id="client" id:objectType="SUBSYSTEM">{_MEMBER}'
        f'</xrd:client><xrd:service {_ID} {_WSU} {_XRD} wsu:Id="service" id:objectType="SERVICE">'
        f"{_MEMBER}{_ASKED}</xrd:service>{texts}"
        f'<xrd:requestHash {_WSU} {_XRD} algorithmId="http://www.w3.org/2001/04/xmlenc#sha512" '
        'wsu:Id="requestHash"></xrd:requestHash>'
        f"{_security(parts, ' ' + _WSU, 'ecdsa-sha256', is_short=False)}"
        f'<soap:Body xmlns:soap="{_SOAP}" {_WSU} wsu:Id="body"></soap:Body></soap:Envelope>'
    )


WORDS = (_answer() + _request()).encode("ascii")
"""A raw content dictionary of Zstandard (RFC 8878 §5)."""
