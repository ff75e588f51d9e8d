"""Names of XML Signature and WS-Security: namespaces, elements, algorithm identifiers."""

from __future__ import annotations

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
XADES = "http://uri.etsi.org/01903/"
"""What every namespace of XAdES begins with."""
SAML = "urn:oasis:names:tc:SAML:"
"""What every namespace of SAML begins with."""
DS = "http://www.w3.org/2000/09/xmldsig#"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSSE11 = "http://docs.oasis-open.org/wss/oasis-wss-wssecurity-secext-1.1.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
XOP = "http://www.w3.org/2004/08/xop/include"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE_C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"

ATTACHMENT_CONTENT = (
    "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Content-Signature-Transform"
)
ATTACHMENT_COMPLETE = "http://docs.oasis-open.org/wss/oasis-wss-SwAProfile-1.1#Attachment-Complete-Signature-Transform"
STR_TRANSFORM = (
    "http://docs.oasis-open.org/wss/2004/01/"
    "oasis-200401-wss-soap-message-security-1.0#STR-Transform"
)
_X509_PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
X509_V3 = f"{_X509_PROFILE}#X509v3"
X509_PKI_PATH = f"{_X509_PROFILE}#X509PKIPathv1"
X509_PKCS7 = f"{_X509_PROFILE}#PKCS7"
X509_KEY_IDENTIFIER = f"{_X509_PROFILE}#X509SubjectKeyIdentifier"
THUMBPRINT_SHA1 = (
    "http://docs.oasis-open.org/wss/oasis-wss-soap-message-security-1.1#ThumbprintSHA1"
)
BASE64_BINARY = (
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"
)

SECURITY = f"{{{WSSE}}}Security"
BINARY_SECURITY_TOKEN = f"{{{WSSE}}}BinarySecurityToken"
SECURITY_TOKEN_REFERENCE = f"{{{WSSE}}}SecurityTokenReference"
TOKEN_REFERENCE = f"{{{WSSE}}}Reference"
KEY_IDENTIFIER = f"{{{WSSE}}}KeyIdentifier"
EMBEDDED = f"{{{WSSE}}}Embedded"
TRANSFORMATION_PARAMETERS = f"{{{WSSE}}}TransformationParameters"
TIMESTAMP = f"{{{WSU}}}Timestamp"
CREATED = f"{{{WSU}}}Created"
EXPIRES = f"{{{WSU}}}Expires"
WSU_ID = f"{{{WSU}}}Id"
XML = "http://www.w3.org/XML/1998/namespace"
XML_ID = f"{{{XML}}}id"
XOP_INCLUDE = f"{{{XOP}}}Include"

SIGNATURE = f"{{{DS}}}Signature"
SIGNED_INFO = f"{{{DS}}}SignedInfo"
SIGNATURE_VALUE = f"{{{DS}}}SignatureValue"
KEY_INFO = f"{{{DS}}}KeyInfo"
X509_DATA = f"{{{DS}}}X509Data"
X509_CERTIFICATE = f"{{{DS}}}X509Certificate"
X509_ISSUER_SERIAL = f"{{{DS}}}X509IssuerSerial"
X509_ISSUER_NAME = f"{{{DS}}}X509IssuerName"
X509_SERIAL_NUMBER = f"{{{DS}}}X509SerialNumber"
X509_SKI = f"{{{DS}}}X509SKI"
X509_SUBJECT_NAME = f"{{{DS}}}X509SubjectName"
X509_CRL = f"{{{DS}}}X509CRL"
CANONICALIZATION_METHOD = f"{{{DS}}}CanonicalizationMethod"
SIGNATURE_METHOD = f"{{{DS}}}SignatureMethod"
REFERENCE = f"{{{DS}}}Reference"
TRANSFORMS = f"{{{DS}}}Transforms"
TRANSFORM = f"{{{DS}}}Transform"
DIGEST_METHOD = f"{{{DS}}}DigestMethod"
DIGEST_VALUE = f"{{{DS}}}DigestValue"
INCLUSIVE_NAMESPACES = f"{{{EXCLUSIVE_C14N}}}InclusiveNamespaces"
