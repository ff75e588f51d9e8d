"""Say what can be wrong with a request: its envelope, its signature, its sender's rights."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery

# --- envelope: the bytes are not a message -------------------------------------------------


class NotWellFormed(BusError):
    code = "envelope.not-well-formed"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is not well-formed XML in UTF-8."
    xroad = "Client.InvalidSoap"
    detail_is_ours = True


class ForbiddenXml(BusError):
    code = "envelope.forbidden-xml"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request holds a document type, an entity or a processing instruction."
    xroad = "Client.InvalidSoap"
    detail_is_ours = True


class NoCanonicalForm(BusError):
    code = "envelope.no-canonical-form"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    detail_has_line = True
    public_reason = (
        "The request cannot be signed: a namespace around its content is relative or no URI, or "
        "its values use too many prefixes."
    )
    xroad = "Client.InvalidSoap"


class TooLarge(BusError):
    code = "envelope.too-large"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is larger than this hub takes."
    xroad = "Client.InvalidMessage"
    detail_is_ours = True


class TooCostly(BusError):
    code = "envelope.too-costly"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request costs more to judge than this hub spends on one."
    xroad = "Client.InvalidMessage"


class TooComplex(TooLarge):
    code = "envelope.too-complex"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request has more elements, attributes or namespaces than this hub reads."
    xroad = "Client.InvalidMessage"


class ContentTypeInvalid(BusError):
    code = "envelope.content-type"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The Content-Type must be that of a SOAP message in UTF-8."
    xroad = "Client.InvalidContentType"
    detail_is_ours = True


class MimeInvalid(BusError):
    code = "envelope.mime"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request cannot be taken apart as a MIME multipart message."
    xroad = "Client.MimeParsingFailed"
    detail_is_ours = True


class SoapMissing(BusError):
    code = "envelope.soap-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is a multipart message without a SOAP part."
    xroad = "Client.MissingSoap"
    detail_is_ours = True


class HttpMethodInvalid(BusError):
    code = "envelope.http-method"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A request is sent by POST."
    xroad = "Client.InvalidHttpMethod"


class SoapActionInvalid(BusError):
    code = "envelope.soap-action"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "SOAPAction must be absent, empty in quotes, or a quoted URI."
    xroad = "Client.InvalidSoapAction"
    detail_is_ours = True


class WrongSoapVersion(BusError):
    code = "envelope.soap-version"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The root element must be a SOAP 1.1 or SOAP 1.2 Envelope."
    xroad = "Client.InvalidSoap"
    detail_is_ours = True


class HeaderNotUnderstood(BusError):
    """`subject`: the block's name, `{namespace}name`."""

    code = "envelope.header-not-understood"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A header block that must be understood is not known here."
    xroad = "Client.InvalidSoap"
    detail_has_line = True


class HeaderMissing(BusError):
    code = "envelope.header-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The envelope has no SOAP Header."
    xroad = "Client.MissingHeader"
    detail_is_ours = True


class HeaderFieldMissing(BusError):
    code = "envelope.header-field-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A required header block is missing."
    xroad = "Client.MissingHeaderField"
    detail_is_ours = True


class HeaderInvalid(BusError):
    code = "envelope.header-invalid"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A header block does not have its form."
    xroad = "Client.InvalidXml"
    detail_has_line = True


class ProtocolVersionInvalid(BusError):
    code = "envelope.protocol-version"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The protocol version must be 4.0."
    xroad = "Client.InvalidProtocolVersion"


class HeaderDuplicate(BusError):
    code = "envelope.header-duplicate"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A header block or field stands twice."
    xroad = "Client.DuplicateHeaderField"
    detail_has_line = True


class BodyMissing(BusError):
    code = "envelope.body-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The envelope has no SOAP Body."
    xroad = "Client.MissingBody"
    detail_is_ours = True


class BodyInvalid(BusError):
    code = "envelope.body-invalid"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The SOAP Body must stand once, last, and hold exactly one element."
    xroad = "Client.InvalidBody"
    detail_is_ours = True


class BodyInconsistent(BusError):
    code = "envelope.body-inconsistent"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The element in the Body is not named as the service."
    xroad = "Client.InconsistentHeaders"
    detail_has_line = True


class FaultSent(BusError):
    """`subject`: the code in the fault, without prefix."""

    code = "envelope.fault-sent"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is a SOAP Fault."
    xroad = "Client.InvalidMessage"
    keeps_spelling = True

    @property
    def xroad_code(self) -> str:
        """X-Road gives a client its own code back."""
        return f"Client.{self.subject}" if self.subject else self.xroad


class SecurityServerInvalid(BusError):
    code = "route.security-server"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The header securityServer names another server than this hub."
    xroad = "Server.ClientProxy.InvalidSecurityServer"


class MessageExpired(BusError):
    code = "envelope.expired"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The message timestamp is missing, too old, or lies in the future."
    xroad = "Server.ServerProxy.InvalidMessage"
    detail_is_ours = True
    reveals = False


# --- signature and certificate: nobody is proved to have sent it -----------------------------


class SignatureMissing(BusError):
    code = "signature.missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The message carries no WS-Security signature for this hub."
    xroad = "Server.ServerProxy.MissingSignature"
    detail_is_ours = True


class SignatureMalformed(BusError):
    code = "signature.malformed"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The WS-Security header does not have its form."
    xroad = "Server.ServerProxy.MalformedSignature"
    reveals = False


class CoverageInsufficient(BusError):
    code = "signature.coverage"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A part that must be signed is not signed where it stands."
    xroad = "Server.ServerProxy.InvalidReference"
    reveals = False


class DigestMismatch(BusError):
    code = "signature.digest-mismatch"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A signed part was changed after it was signed."
    xroad = "Server.ServerProxy.SignatureVerification"
    reveals = False


class SignatureInvalid(BusError):
    code = "signature.value-invalid"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The signature value does not fit the key."
    xroad = "Server.ServerProxy.InvalidSignatureValue"
    reveals = False


class AlgorithmForbidden(BusError):
    code = "signature.algorithm-forbidden"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The signature uses an algorithm or key size that the policy forbids."
    xroad = "Server.ServerProxy.MalformedSignature"
    reveals = False


class CertificateRejected(BusError):
    code = "certificate.rejected"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The certificate does not lead to a trust anchor of this hub."
    xroad = "Server.ServerProxy.CertValidation"
    reveals = False


class CertificateRevoked(BusError):
    code = "certificate.revoked"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The certificate, or one that it hangs on, is revoked."
    xroad = "Server.ServerProxy.CertValidation"
    detail_is_ours = True


class RevocationUnknown(BusError):
    code = "certificate.revocation-unknown"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot learn at the moment whether the certificate is revoked."
    xroad = "Server.ServerProxy.IncorrectValidationInfo"
    detail_is_ours = True


# --- who may do what -----------------------------------------------------------------------


class SenderMismatch(BusError):
    code = "sender.mismatch"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The client header does not name the signer or a subsystem of the signer."
    xroad = "Server.ServerProxy.InvalidClientIdentifier"
    reveals = False


class SenderUnknown(BusError):
    code = "sender.unknown"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The signer is not registered at this hub."
    xroad = "Server.ClientProxy.UnknownMember"
    reveals = False


class ClientUnknown(BusError):
    code = "sender.client-unknown"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The client is not registered at this hub."
    xroad = "Server.ClientProxy.UnknownMember"


class AccessDenied(BusError):
    code = "access.denied"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "No grant lets this client use this service."
    xroad = "Server.ServerProxy.AccessDenied"


class MessageIdConflict(BusError):
    code = "message-id.conflict"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "This message id was used before with other bytes."
    xroad = "Server.ServerProxy.InvalidMessage"


class MetaserviceRequestInvalid(BusError):
    code = "payload.metaservice"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request of the metaservice does not say what it must."
    xroad = "Server.ServerProxy.InvalidRequest"
    detail_is_ours = True


class PayloadInvalid(BusError):
    code = "payload.schema"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The Body does not follow the schema of the service."
    xroad = "Client.InvalidBody"
    detail_has_line = True
