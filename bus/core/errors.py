"""Say what can go wrong with a message: who is wrong, what happens next, at which stage.

Every error that can happen to a message is a BusError. Class attributes are facts that are safe
for strangers; `detail` is for our own log. The table in docs/errors.md is generated from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import ClassVar


class Blame(StrEnum):
    """Who is wrong."""

    SENDER = "sender"
    HUB = "hub"
    RECIPIENT = "recipient"


class Recovery(StrEnum):
    """When the same message may succeed."""

    NEVER = "never"
    LATER = "later"
    OPERATOR = "operator"


class BusError(Exception):
    """Base of every error that can happen to a message.

    `authenticated` says whether the error can only arise after the sender's signature was
    verified; the ones before share one public fault outside the sandbox.
    `xroad` is the code of X-Road's fault table that says the same (PR-MESS, domain fact).
    """

    code: ClassVar[str]
    blame: ClassVar[Blame]
    recovery: ClassVar[Recovery]
    public_reason: ClassVar[str]
    xroad: ClassVar[str]
    reveals: ClassVar[bool] = True
    """False: outside the sandbox the sender is told only that verification failed."""

    def __init__(self, detail: str = "", *, public_detail: str = "") -> None:
        super().__init__(detail or public_detail or self.public_reason)
        self.detail = detail or public_detail
        self.public_detail = public_detail
        """Facts about the sender's own message that are safe to give back (line, path)."""


def all_errors(base: type[BusError] = BusError) -> Iterator[type[BusError]]:
    """Every concrete error class, in the order of definition."""
    for child in base.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from all_errors(child)


# --- envelope: the bytes are not a message -------------------------------------------------


class NotWellFormed(BusError):
    code = "envelope.not-well-formed"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is not well-formed XML in UTF-8."
    xroad = "Client.InvalidSoap"


class ForbiddenXml(BusError):
    code = "envelope.forbidden-xml"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request holds a document type, an entity or a processing instruction."
    xroad = "Client.InvalidXml"


class TooLarge(BusError):
    code = "envelope.too-large"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request is larger than this hub takes."
    xroad = "Client.InvalidMessage"


class ContentTypeInvalid(BusError):
    code = "envelope.content-type"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The Content-Type must be text/xml in UTF-8."
    xroad = "Client.InvalidContentType"


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


class WrongSoapVersion(BusError):
    code = "envelope.soap-version"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The root element must be a SOAP 1.1 Envelope."
    xroad = "Client.InvalidSoap"


class HeaderNotUnderstood(BusError):
    code = "envelope.header-not-understood"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A header block that must be understood is not known here."
    xroad = "Client.InvalidSoap"


class HeaderMissing(BusError):
    code = "envelope.header-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The envelope has no SOAP Header."
    xroad = "Client.MissingHeader"


class HeaderFieldMissing(BusError):
    code = "envelope.header-field-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A required header block is missing."
    xroad = "Client.MissingHeaderField"


class HeaderInvalid(BusError):
    code = "envelope.header-invalid"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A header block does not have its form."
    xroad = "Client.InvalidXml"


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


class BodyMissing(BusError):
    code = "envelope.body-missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The envelope has no SOAP Body."
    xroad = "Client.MissingBody"


class BodyInvalid(BusError):
    code = "envelope.body-invalid"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The SOAP Body must stand once, last, and hold exactly one element."
    xroad = "Client.InvalidBody"


class BodyInconsistent(BusError):
    code = "envelope.body-inconsistent"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The element in the Body is not named as the service."
    xroad = "Client.InconsistentHeaders"


class MessageExpired(BusError):
    code = "envelope.expired"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The message timestamp is missing, too old, or lies in the future."
    xroad = "Server.ServerProxy.InvalidMessage"
    reveals = False


# --- signature and certificate: nobody is proved to have sent it -----------------------------


class SignatureMissing(BusError):
    code = "signature.missing"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The message carries no WS-Security signature for this hub."
    xroad = "Server.ServerProxy.MissingSignature"
    reveals = False


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


# --- who may do what -----------------------------------------------------------------------


class SenderMismatch(BusError):
    code = "sender.mismatch"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The client header does not name a subsystem of the signer."
    xroad = "Server.ServerProxy.InvalidClientIdentifier"
    reveals = False


class SenderUnknown(BusError):
    code = "sender.unknown"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The client is not registered at this hub."
    xroad = "Server.ClientProxy.UnknownMember"
    reveals = False


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


class PayloadInvalid(BusError):
    code = "payload.schema"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The Body does not follow the schema of the service."
    xroad = "Client.InvalidBody"


# --- route ---------------------------------------------------------------------------------


class ServiceUnknown(BusError):
    code = "route.service-unknown"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The service is not known at this hub."
    xroad = "Server.ServerProxy.UnknownService"


class RecipientUnknown(BusError):
    code = "route.recipient-unknown"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The agency that the service header names is not known at this hub."
    xroad = "Server.ClientProxy.UnknownMember"


class ServiceDisabled(BusError):
    code = "route.service-disabled"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The service is switched off."
    xroad = "Server.ServerProxy.ServiceDisabled"


class RouteSuspended(BusError):
    code = "route.suspended"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub takes no more requests at the moment."
    xroad = "Server.ServerProxy.MaintenanceMode"


# --- adapter and delivery --------------------------------------------------------------------


class PayloadRejected(BusError):
    code = "adapter.payload-rejected"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request cannot be said in the form of the agency."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidBody"


class AdapterBroken(BusError):
    code = "adapter.broken"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The adapter of the agency failed."
    xroad = "Server.ServerProxy.ServiceFailed.InternalError"


class RecipientUnavailable(BusError):
    code = "delivery.recipient-unavailable"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency cannot be reached."
    xroad = "Server.ServerProxy.ServiceFailed.NetworkError"


class RecipientTimeout(BusError):
    code = "delivery.recipient-timeout"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency did not answer in time."
    xroad = "Server.ServerProxy.ServiceFailed.HttpError"


class RecipientRefused(BusError):
    code = "delivery.refused"
    blame = Blame.RECIPIENT
    recovery = Recovery.NEVER
    public_reason = "The agency refused the request."
    xroad = "Server.ServerProxy.ServiceFailed"


class AnswerInvalid(BusError):
    code = "delivery.answer-invalid"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer does not follow the schema of the service."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidSoap"


class DeliveryInterrupted(BusError):
    code = "delivery.interrupted"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub stopped before the agency's answer was recorded; ask again."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"


# --- log and hub -------------------------------------------------------------------------------


class LogUnavailable(BusError):
    code = "log.unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot write its message log; send the same bytes again later."
    xroad = "Server.ClientProxy.LoggingFailed"


class LogCorrupt(BusError):
    code = "log.corrupt"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The hub's message log is damaged."
    xroad = "Server.ClientProxy.LoggingFailed"


class HubInternal(BusError):
    code = "hub.internal"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The hub failed; quote the id of this fault to its operator."
    xroad = "Server.ServerProxy.InternalError"


class ConfigurationError(Exception):
    """Start-up and reload only: every problem at once, each with its path and line."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Problem:
    """One thing that is wrong in a configuration file: where, and what was expected."""

    __slots__ = ("file", "line", "message", "path")

    def __init__(self, file: str, path: str, message: str, *, line: int | None = None) -> None:
        self.file = file
        self.path = path
        self.message = message
        self.line = line

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: {self.path}: {self.message}" if self.path else f"{where}: {self.message}"
