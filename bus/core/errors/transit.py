"""Say what can go wrong on the way to an agency and back."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery

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
    detail_is_ours = True


class RouteSuspended(BusError):
    code = "route.suspended"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency takes no requests at the moment."
    xroad = "Server.ClientProxy.MaintenanceMode"
    detail_is_ours = True


class AgencyBusy(BusError):
    """So much waits for one agency that more would take from the others."""

    code = "route.agency-busy"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "Too many requests wait for the agency; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"


class SenderBusy(BusError):
    code = "sender.too-many-at-once"
    blame = Blame.SENDER
    recovery = Recovery.LATER
    public_reason = "Too many requests of this member are in work; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"


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
    detail_is_ours = True


class RecipientUnavailable(BusError):
    code = "delivery.recipient-unavailable"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency cannot be reached."
    xroad = "Server.ServerProxy.ServiceFailed.NetworkError"
    detail_is_ours = True


class RecipientTimeout(BusError):
    code = "delivery.recipient-timeout"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency did not answer in time."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class RecipientHostUnknown(RecipientUnavailable):
    code = "delivery.host-unknown"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency's host has no address."
    xroad = "Server.ServerProxy.ServiceFailed.UnknownHost"


class RecipientBrokeOff(RecipientUnavailable):
    code = "delivery.broken-off"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency broke off within its answer."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"


class RecipientUntrusted(RecipientUnavailable):
    code = "delivery.tls"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's TLS certificate is not trusted."
    xroad = "Server.ServerProxy.ServiceFailed.SslAuthenticationFailed"


class RecipientHttpError(RecipientUnavailable):
    code = "delivery.http-status"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The agency answered with an HTTP error and no fault."
    xroad = "Server.ServerProxy.ServiceFailed.HttpError"

    status: int = 0
    """Of HTTP; 0: not known."""


class AccountRefused(RecipientUnavailable):
    """Nothing is wrong with the request: the hub is not let in, until somebody repairs that."""

    code = "delivery.account-refused"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The agency does not take the hub's own account; its operator must look."
    xroad = "Server.ServerProxy.ServiceFailed.HttpError"


class RecipientRefused(BusError):
    code = "delivery.refused"
    blame = Blame.RECIPIENT
    recovery = Recovery.NEVER
    public_reason = "The agency refused the request."
    xroad = "Server.ServerProxy.ServiceFailed"


class RecipientHttpRefused(RecipientRefused):
    code = "delivery.http-refused"
    blame = Blame.RECIPIENT
    recovery = Recovery.NEVER
    public_reason = "The agency refused the request by its HTTP status, without a fault."
    xroad = "Server.ServerProxy.ServiceFailed.HttpError"
    detail_is_ours = True


class ServiceFault(RecipientRefused):
    """The agency's service answered with a SOAP fault, which goes on as it came."""

    code = "delivery.service-fault"
    blame = Blame.RECIPIENT
    recovery = Recovery.NEVER
    public_reason = "The agency's service answered with a fault of its own."
    xroad = "Server.ServerProxy.ServiceFailed"
    keeps_spelling = True

    def __init__(
        self,
        fault_code: str = "soap:Server",
        fault_string: str = "",
        *,
        actor: str = "",
        detail_content: bytes = b"",
    ) -> None:
        """`fault_code`: `soap:Client` for a code of SOAP 1.1 itself, else without prefix.
        `detail_content`: what the fault's detail holds, exclusive canonical XML without Ids."""
        # Our log keeps the code alone: the agency's sentence may repeat what was asked.
        super().__init__(f"SOAP fault {fault_code}", public_detail=fault_string, subject=fault_code)
        self.fault_string = fault_string
        self.actor = actor
        self.detail_content = detail_content

    @property
    def xroad_code(self) -> str:
        """The service's own code."""
        return self.subject


class AnswerInvalid(BusError):
    code = "delivery.answer-invalid"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer does not follow the schema of the service."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidBody"
    detail_has_line = True


class AnswerNotSoap(AnswerInvalid):
    code = "delivery.answer-not-soap"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer is no SOAP message."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidSoap"
    detail_is_ours = True


class AnswerTooComplex(AnswerInvalid):
    code = "delivery.answer-too-complex"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer has more elements or attributes than this hub reads."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidSoap"


class AnswerContentTypeInvalid(AnswerInvalid):
    code = "delivery.answer-content-type"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer has a Content-Type that no SOAP message has."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidContentType"


class AnswerMimeInvalid(AnswerInvalid):
    code = "delivery.answer-mime"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer cannot be taken apart as a MIME multipart message."
    xroad = "Server.ServerProxy.ServiceFailed.MimeParsingFailed"
    detail_is_ours = True


class AnswerHeaderMissing(AnswerInvalid):
    code = "delivery.answer-header-missing"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer has no SOAP Header."
    xroad = "Server.ServerProxy.ServiceFailed.MissingHeader"
    detail_is_ours = True


class AnswerFieldMissing(AnswerInvalid):
    code = "delivery.answer-field-missing"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer lacks a required header block."
    xroad = "Server.ServerProxy.ServiceFailed.MissingHeaderField"


class AnswerBodyMissing(AnswerInvalid):
    code = "delivery.answer-body-missing"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The agency's answer has no SOAP Body."
    xroad = "Server.ServerProxy.ServiceFailed.MissingBody"
    detail_is_ours = True


class AnswerBodyInvalid(AnswerInvalid):
    code = "delivery.answer-body-invalid"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The Body of the agency's answer does not hold exactly one element."
    xroad = "Server.ServerProxy.ServiceFailed.InvalidBody"
    detail_is_ours = True


class AnswerInconsistent(AnswerInvalid):
    code = "delivery.answer-inconsistent"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The headers of the agency's answer are not those of the request."
    xroad = "Server.ClientProxy.ServiceFailed.InconsistentResponse"


class DeliveryInterrupted(BusError):
    code = "delivery.interrupted"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub stopped before the agency's answer was recorded; ask again."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True
