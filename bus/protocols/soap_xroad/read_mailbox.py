"""Read what a hub answers about a mailbox: schemas/lienthong/1.0/mailbox.xsd. Proves nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from lxml import etree

from bus.core.deliveries import DeliveryKey
from bus.core.mailbox_services import NAMESPACE
from bus.protocols.mailbox import (
    BesideMessage,
    ClosedDelivery,
    FetchedMessage,
    HandedOut,
    ListedMessage,
    ListedReceipt,
    read_delivery_name,
)
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from signing.attachments import Attachment

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def read_listed_messages(answer: etree._Element) -> tuple[list[ListedMessage], bool]:
    """`listMessagesResponse`: what lies there, and whether there may be more.

    This and the others raise AnswerRejected: the answer does not have its form.
    """
    return [_listed(one) for one in answer.iterchildren(_tag("message"))], _flag(answer, "more")


def read_handed_out(answer: etree._Element, beside: Sequence[Attachment]) -> HandedOut:
    """`fetchMessagesResponse`, with what stood beside it."""
    by_id = {one.content_id: one for one in beside}
    messages = tuple(_fetched(one, by_id) for one in answer.iterchildren(_tag("message")))
    return HandedOut(_text(answer, "lease"), _moment(answer, "heldUntil"), messages)


def read_listed_receipts(answer: etree._Element) -> tuple[list[ListedReceipt], bool]:
    """`listReceiptsResponse`: how deliveries ended, and whether there may be more."""
    return [read_ended(one) for one in answer.iterchildren(_tag("closed"))], _flag(answer, "more")


def read_ended(element: etree._Element) -> ListedReceipt:
    """How one delivery ended: an item of a list, or `acknowledgeMessageResponse`."""
    return ListedReceipt(
        entry=_number(element, "entry"),
        key=_delivery(element),
        recipient=_text(element, "recipient"),
        service=_text(element, "service"),
        verdict=_text(element, "verdict"),
        closed_at=_moment(element, "closedAt"),
        receipt=_bytes(element, "receipt"),
    )


def read_receipt(answer: etree._Element, beside: Sequence[Attachment]) -> ClosedDelivery:
    """`fetchReceiptResponse`, with what stood beside it."""
    return ClosedDelivery(
        listed=read_ended(answer),
        message_id=_text(answer, "messageId"),
        said=_bytes(answer, "said", is_needed=False),
        answer=_bytes(answer, "answer", is_needed=False),
        attachments=tuple(beside),
    )


def read_removed(answer: etree._Element) -> int:
    """`acknowledgeReceiptsResponse`: how many went."""
    return _number(answer, "removed")


def _listed(element: etree._Element) -> ListedMessage:
    return ListedMessage(
        key=_delivery(element),
        idempotency_key=_text(element, "idempotencyKey"),
        client=_text(element, "sender"),
        service=_text(element, "service"),
        received_at=_moment(element, "receivedAt"),
        expires_at=_moment(element, "expiresAt"),
        envelope_bytes=_number(element, "envelopeBytes"),
        is_held=_flag(element, "held"),
        fetched=_number(element, "fetched"),
    )


def _fetched(element: etree._Element, beside: dict[str, Attachment]) -> FetchedMessage:
    cid = element.findtext(_tag("envelopeBeside"))
    envelope: bytes | Attachment
    envelope = _bytes(element, "envelope") if cid is None else _named(cid, beside)
    return FetchedMessage(
        listed=_listed(element),
        message_id=_text(element, "messageId"),
        may_be_known=_flag(element, "mayBeKnown"),
        purpose=_text(element, "purpose"),
        legal_basis=_text(element, "legalBasis"),
        envelope=envelope,
        receipt=_bytes(element, "receipt"),
        attachments=tuple(
            BesideMessage(one.get("contentId", ""), _named(one.text or "", beside))
            for one in element.iterchildren(_tag("attachment"))
        ),
    )


def _delivery(element: etree._Element) -> DeliveryKey:
    key = read_delivery_name(_text(element, "delivery"))
    if key is None:
        raise _rejected("delivery")
    return key


def _named(cid: str, beside: dict[str, Attachment]) -> Attachment:
    found = beside.get(cid.removeprefix("cid:"))
    if found is None:
        raise _rejected("attachment")
    return found


def _text(element: etree._Element, name: str) -> str:
    text = element.findtext(_tag(name))
    if text is None:
        raise _rejected(name)
    return text


def _number(element: etree._Element, name: str) -> int:
    text = _text(element, name)
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _rejected(name)
    return int(text)


def _flag(element: etree._Element, name: str) -> bool:
    flag = _FLAGS.get(_text(element, name))
    if flag is None:
        raise _rejected(name)
    return flag


def _moment(element: etree._Element, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(element, name))
    except ValueError as error:
        raise _rejected(name) from error
    if moment.tzinfo is None:
        raise _rejected(name)
    return moment


def _bytes(element: etree._Element, name: str, *, is_needed: bool = True) -> bytes:
    text = element.findtext(_tag(name))
    if text is None and not is_needed:
        return b""
    try:
        return base64.b64decode("".join(_text(element, name).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _rejected(name) from error


def _rejected(name: str) -> AnswerRejected:
    return AnswerRejected(f"{name} is missing in the answer, or does not have its form")


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"
