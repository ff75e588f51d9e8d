"""Answer what agencies ask of their mailboxes, under the hub's signature."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from lxml import etree

from bus.core.decision import Accepted
from bus.core.xml import parse_again
from bus.delivery.answers import AgencyAnswers, FinishedAnswer
from bus.mailbox.messages import Mailboxes
from bus.mailbox.receipts import SenderReceipts
from bus.protocols.mailbox import (
    Acknowledgement,
    MailboxRequest,
    MessageFetchRequest,
    MessageListRequest,
    ReceiptListRequest,
    ReceiptRequest,
    ReceiptsAcknowledged,
)
from bus.protocols.soap_xroad.mailbox import (
    read_mailbox_request,
    write_acknowledged,
    write_handed_out,
    write_listed_messages,
    write_listed_receipts,
    write_receipt,
    write_receipts_acknowledged,
)
from signing.attachments import Attachment

_Made = tuple[etree._Element, tuple[Attachment, ...]]


@dataclass(frozen=True, slots=True)
class MailboxService:
    """The hub's own service; used from one event loop."""

    mailboxes: Mailboxes
    receipts: SenderReceipts
    answers: AgencyAnswers

    async def answer(self, accepted: Accepted, raw: bytes) -> FinishedAnswer:
        """The answer to a request whose bytes were `raw`.

        Raises MailboxRequestInvalid, NotInMailbox, LeaseLost, LogUnavailable, LogCorrupt,
        SigningUnavailable.
        """
        code = accepted.service.service_code
        asked = read_mailbox_request(code, parse_again(accepted.payload))
        box = str(accepted.facts.client)
        element, beside = await self._ask(box, accepted.idempotency_key, asked, raw)
        hub = accepted.service.provider.member
        finish = partial(self.answers.finish, accepted, hub, element, beside)
        return await asyncio.to_thread(finish)

    async def _ask(self, box: str, lease: str, asked: MailboxRequest, raw: bytes) -> _Made:
        match asked:
            case MessageListRequest():
                listed, has_more = await self.mailboxes.page(box, asked)
                return write_listed_messages(listed, has_more=has_more), ()
            case MessageFetchRequest():
                return write_handed_out(await self.mailboxes.fetch(box, lease, asked))
            case Acknowledgement():
                closing = await self.mailboxes.acknowledge(box, asked, raw)
                return write_acknowledged(await self.mailboxes.closings.listed(closing)), ()
            case ReceiptListRequest():
                told, is_more = await self.receipts.page(box, asked)
                return write_listed_receipts(told, has_more=is_more), ()
            case ReceiptRequest(entry):
                return write_receipt(await self.receipts.one(box, entry))
            case ReceiptsAcknowledged(entries):
                removed = await self.receipts.acknowledge(box, entries)
                return write_receipts_acknowledged(removed), ()
