"""Names of XML Signature and WS-Security: namespaces, elements, algorithm identifiers."""

from __future__ import annotations

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
DS = "http://www.w3.org/2000/09/xmldsig#"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"

ATTACHMENT_CONTENT = (
    "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Signature-Transform"
)
X509_V3 = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3"
BASE64_BINARY = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

SECURITY = f"{{{WSSE}}}Security"
BINARY_SECURITY_TOKEN = f"{{{WSSE}}}BinarySecurityToken"
SECURITY_TOKEN_REFERENCE = f"{{{WSSE}}}SecurityTokenReference"
TOKEN_REFERENCE = f"{{{WSSE}}}Reference"
TIMESTAMP = f"{{{WSU}}}Timestamp"
CREATED = f"{{{WSU}}}Created"
EXPIRES = f"{{{WSU}}}Expires"
WSU_ID = f"{{{WSU}}}Id"
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"

SIGNATURE = f"{{{DS}}}Signature"
SIGNED_INFO = f"{{{DS}}}SignedInfo"
SIGNATURE_VALUE = f"{{{DS}}}SignatureValue"
KEY_INFO = f"{{{DS}}}KeyInfo"
CANONICALIZATION_METHOD = f"{{{DS}}}CanonicalizationMethod"
SIGNATURE_METHOD = f"{{{DS}}}SignatureMethod"
REFERENCE = f"{{{DS}}}Reference"
TRANSFORMS = f"{{{DS}}}Transforms"
TRANSFORM = f"{{{DS}}}Transform"
DIGEST_METHOD = f"{{{DS}}}DigestMethod"
DIGEST_VALUE = f"{{{DS}}}DigestValue"
INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"
