"""Put together what serves the mailboxes of one log."""

from __future__ import annotations

from functools import partial

from bus.delivery.answers import AgencyAnswers
from bus.delivery.carried_messages import CarriedMessages
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.embedded import DeliveryPlace
from bus.mailbox.closings import Closings
from bus.mailbox.messages import Mailboxes
from bus.mailbox.notes import ReceiptNotes
from bus.mailbox.receipts import SenderReceipts
from bus.mailbox.service import MailboxService
from bus.protocols.soap_xroad.mailbox import read_signed_acknowledgement
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.signed_note import SigningKey


def open_mailboxes(
    place: DeliveryPlace, writer: DeliveryWriter, answers: AgencyAnswers, receipt_key: SigningKey
) -> MailboxService:
    """The service of a hub's mailboxes; `answers` hold the hub's own key."""
    notes = ReceiptNotes(receipt_key)
    closings = Closings(place.rows, place.entries, notes)
    mailboxes = Mailboxes(
        place.rows,
        writer,
        CarriedMessages(place.rows, place.entries),
        place.entries,
        closings,
        notes,
        partial(read_signed_acknowledgement, limits=place.limits),
        place.clock,
    )
    receipts = SenderReceipts(place.rows, place.entries, closings, SOAP_XROAD, place.limits)
    return MailboxService(mailboxes, receipts, answers)
