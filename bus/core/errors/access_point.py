"""Say what can go wrong at an access point, between a system of an agency and the hub."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery


class ClientNotServed(BusError):
    code = "access-point.client-not-served"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The client header does not name a system of this access point."
    xroad = "Server.ClientProxy.UnknownMember"


class ClientNotAuthenticated(BusError):
    code = "access-point.client-not-authenticated"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The connection did not show a certificate of the system that it names."
    xroad = "Server.ClientProxy.SslAuthenticationFailed"


class SigningFailed(BusError):
    code = "access-point.signing-failed"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The access point cannot sign with the agency's key."
    xroad = "Server.ClientProxy.CannotCreateSignature"


class HubConnectionFailed(BusError):
    code = "access-point.hub-away"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot be reached."
    xroad = "Server.ClientProxy.NetworkError"
    detail_is_ours = True


class HubTimeout(BusError):
    code = "access-point.hub-silent"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub did not answer in time."
    xroad = "Server.ClientProxy.ServiceFailed.IOError"
    detail_is_ours = True


class HubAnswerUnreadable(BusError):
    code = "access-point.hub-answer-unreadable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub sent something else than a SOAP message."
    xroad = "Server.ClientProxy.ServiceFailed.HttpError"
    detail_is_ours = True


class HubAnswerUnproved(BusError):
    code = "access-point.hub-answer-unproved"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "What came back is not proved to be the answer to this request."
    xroad = "Server.ClientProxy.ServiceFailed.InconsistentResponse"


class AnswerSignerUnknown(BusError):
    code = "access-point.signer-unknown"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "Nobody can tell at the moment whether the answer's certificate is revoked."
    xroad = "Server.ClientProxy.IncorrectValidationInfo"
    detail_is_ours = True


class EvidenceUnavailable(BusError):
    code = "access-point.evidence-unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The access point cannot keep its evidence; send the same request again later."
    xroad = "Server.ClientProxy.LoggingFailed"
    detail_is_ours = True
