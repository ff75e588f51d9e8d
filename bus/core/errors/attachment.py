"""The errors of what comes beside an envelope: attachments, and how they travel."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery


class AttachmentNotAllowed(BusError):
    code = "attachment.not-allowed"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The service does not take these attachments."
    xroad = "Client.InvalidMessage"
    detail_is_ours = True


class AttachmentReferenceInvalid(BusError):
    code = "attachment.reference"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    public_reason = "The Body names an attachment that does not stand beside it."
    xroad = "Client.InvalidBody"
    detail_is_ours = True


class AttachmentXmlInvalid(BusError):
    code = "attachment.xml"
    blame = Blame.SENDER
    recovery = Recovery.NEVER
    detail_is_ours = True
    public_reason = (
        "An attachment of an XML type cannot be checked in canonical form: sign its bytes as they "
        "are, or send it as application/octet-stream."
    )
    xroad = "Client.InvalidMessage"


class SpoolUnavailable(BusError):
    code = "attachment.spool-unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub has no room for attachments now; send the same bytes again later."
    xroad = "Server.ServerProxy.IOError"
    detail_is_ours = True
