"""Say what can go wrong with what is stored and forwarded: before it is accepted, and after."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery
from bus.core.errors.transit import AdapterBroken, RecipientUnavailable

# --- it is not accepted ------------------------------------------------------------------------


class RecipientsInvalid(BusError):
    """They are missing, too many, or named to a service that chooses them itself."""

    code = "route.recipients"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The recipients of the message are not what the service takes."
    xroad = "Server.ServerProxy.InvalidRequest"
    detail_is_ours = True


class RecipientNotSubscribed(BusError):
    code = "route.not-subscribed"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "A recipient that the message names is not subscribed to the service."
    xroad = "Server.ServerProxy.AccessDenied"


class RateLimited(BusError):
    """More messages of one member came than its `rate_per_second` allows."""

    code = "limit.rate"
    blame = Blame.SENDER
    recovery = Recovery.LATER
    public_reason = "The member sends more than was agreed; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"
    detail_is_ours = True

    def __init__(
        self,
        detail: str = "",
        *,
        public_detail: str = "",
        subject: str = "",
        retry_after_seconds: float = 1.0,
    ) -> None:
        super().__init__(detail, public_detail=public_detail, subject=subject)
        self.retry_after_seconds = retry_after_seconds
        """From when on the next one may come."""


class MessageInFlight(BusError):
    """Another hub has the same message in work."""

    code = "message-id.in-flight"
    blame = Blame.SENDER
    recovery = Recovery.LATER
    public_reason = "The same message is in work at another hub; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"
    detail_is_ours = True


class HubFull(BusError):
    """It holds as many open deliveries as it may, or its disk has no room for more."""

    code = "hub.full"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub takes no further messages now; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"
    detail_is_ours = True


# --- what an agency asks of its mailbox --------------------------------------------------------


class MailboxRequestInvalid(BusError):
    """It does not have the form of schemas/lienthong/1.0/mailbox.xsd."""

    code = "mailbox.request"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The request to the mailbox does not say what it must."
    xroad = "Server.ServerProxy.InvalidRequest"
    detail_is_ours = True


class NotInMailbox(BusError):
    """It never was the client's, or nothing is known of it any more."""

    code = "mailbox.not-there"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "There is no such thing in the client's mailbox."
    xroad = "Server.ServerProxy.InvalidRequest"
    detail_is_ours = True


class LeaseLost(BusError):
    """It lies with somebody else, or was acknowledged otherwise: what came is noted as late."""

    code = "mailbox.lease-lost"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The message is not held under this lease any more."
    xroad = "Server.ServerProxy.InvalidRequest"
    detail_is_ours = True


# --- what the log says of an attempt, or of the end ----------------------------------------------


class DeliveryGivenUp(BusError):
    """Attempts or time are used up, and the recipient did not act: a dead letter."""

    code = "delivery.given-up"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "The recipient did not take the message in all attempts; an operator must look."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class DeliveryInDoubt(BusError):
    """Its time is over, and an attempt may have had its effect: a dead letter."""

    code = "delivery.in-doubt"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "Nobody knows whether the recipient acted; an operator must ask it."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class DeliveryExpired(BusError):
    """The recipient did not act, and its time is over."""

    code = "delivery.expired"
    blame = Blame.RECIPIENT
    recovery = Recovery.NEVER
    public_reason = "The recipient did not take the message in time; it did not act."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class OrderTooLarge(BusError):
    """More belongs to the message than travels to the recipient's worker: nothing was sent."""

    code = "delivery.too-large"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The message is too large for the way to the recipient; an operator must look."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class WorkerLost(BusError):
    """Whoever had the attempt was not heard of again: nobody knows whether the recipient acted."""

    code = "delivery.worker-lost"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "Nothing was heard of an attempt at the delivery."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class NotAcknowledged(BusError):
    """Whoever fetched the message did not acknowledge it while it was held."""

    code = "delivery.not-acknowledged"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "The recipient fetched the message and did not say in time what became of it."
    xroad = "Server.ServerProxy.ServiceFailed.IOError"
    detail_is_ours = True


class WorkerAway(RecipientUnavailable):
    """Nobody takes orders for the agency: nothing was sent."""

    code = "delivery.worker-away"
    blame = Blame.RECIPIENT
    recovery = Recovery.LATER
    public_reason = "No worker of the agency takes the message at the moment."
    xroad = "Server.ServerProxy.ServiceFailed.NetworkError"
    detail_is_ours = True


class OutcomeUnproved(AdapterBroken):
    """What a worker reported is not proved to be its agency's."""

    code = "delivery.outcome-unproved"
    blame = Blame.RECIPIENT
    recovery = Recovery.OPERATOR
    public_reason = "What was said to be the agency's outcome is not proved to be its own."
    xroad = "Server.ServerProxy.ServiceFailed.InternalError"
    detail_is_ours = True
