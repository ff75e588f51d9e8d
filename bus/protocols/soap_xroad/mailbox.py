"""Read and write the messages of mailboxes: schemas/lienthong/1.0/mailbox.xsd says their form."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from bus.core.deliveries import DeliveryKey
from bus.core.errors import BusError, MailboxRequestInvalid
from bus.core.limits import Limits
from bus.core.mailbox_services import (
    ACKNOWLEDGE_MESSAGE,
    ACKNOWLEDGE_RECEIPTS,
    FETCH_MESSAGES,
    FETCH_RECEIPT,
    FETCHED_MAX,
    LIST_MESSAGES,
    LIST_RECEIPTS,
    NAMESPACE,
)
from bus.protocols.mailbox import (
    LEASE_SECONDS,
    LEASE_SECONDS_MAX,
    LEASE_SECONDS_MIN,
    LISTED_MAX,
    REASON_CHARACTERS_MAX,
    Acknowledgement,
    ClosedDelivery,
    FetchedMessage,
    HandedOut,
    ListedMessage,
    ListedReceipt,
    MailboxRequest,
    MessageFetchRequest,
    MessageListRequest,
    ReceiptListRequest,
    ReceiptRequest,
    ReceiptsAcknowledged,
    delivery_name,
    read_delivery_name,
)
from bus.protocols.soap_xroad.parse import parse
from signing.attachments import Attachment
from signing.utc_text import text_in_microseconds

_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_LEASE = re.compile(r"[0-9a-f]{43}\Z")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_ACCEPTED, _REFUSED = "accepted", "refused"
_SPACE = " \t\r\n"
_TEXT_OF = {False: "false", True: "true"}

# --- requests --------------------------------------------------------------------------------


def read_mailbox_request(code: str, payload: etree._Element) -> MailboxRequest:
    """What is asked by the one element of a Body. Raises MailboxRequestInvalid."""
    return _READERS[code](_Fields(payload))


def read_signed_acknowledgement(raw: bytes, limits: Limits) -> Acknowledgement | None:
    """What a request says that acknowledges a message, unproved; None: it is no such request."""
    try:
        envelope = parse(raw, limits)
        if envelope.service.service_code != ACKNOWLEDGE_MESSAGE:
            return None
        return _acknowledgement(_Fields(envelope.payload))
    except BusError:
        return None


class _Fields:
    """The children of a request, each of which stands once and holds text only."""

    def __init__(self, payload: etree._Element) -> None:
        """Raises MailboxRequestInvalid."""
        self._texts: dict[str, list[str]] = {}
        for child in payload:
            name = etree.QName(child)
            if name.namespace != NAMESPACE or len(child):
                raise _invalid("it holds an element that does not belong there")
            self._texts.setdefault(name.localname, []).append((child.text or "").strip(_SPACE))

    def text(self, name: str) -> str | None:
        """The text of a child; None: it is not there."""
        found = self._texts.pop(name, [])
        if len(found) > 1:
            raise _invalid(f"{name} stands more than once")
        return found[0] if found else None

    def matched(self, name: str, form: re.Pattern[str], *, default: str | None = None) -> str:
        """A text of this form."""
        text = self.text(name)
        if text is None and default is not None:
            return default
        if text is None or not form.match(text):
            raise _invalid(f"{name} is missing or does not have its form")
        return text

    def number(self, name: str, least: int, most: int, default: int) -> int:
        """A number between two others."""
        value = int(self.matched(name, _NUMBER, default=str(default)))
        if not least <= value <= most:
            raise _invalid(f"{name} is to be from {least} to {most}")
        return value

    def numbers(self, name: str, count_max: int) -> tuple[int, ...]:
        """A child that may stand several times."""
        texts = self._texts.pop(name, [])
        if not 1 <= len(texts) <= count_max or not all(map(_NUMBER.match, texts)):
            raise _invalid(f"expected 1 to {count_max} numbers {name}")
        return tuple(map(int, texts))

    def delivery(self, name: str) -> DeliveryKey | None:
        """A delivery; None: it is not there."""
        text = self.text(name)
        key = read_delivery_name(text) if text is not None else None
        if text is not None and key is None:
            raise _invalid(f"{name} does not have its form")
        return key

    def end(self) -> None:
        """Nothing else stands there."""
        if self._texts:
            raise _invalid("it holds an element that does not belong there")


def _invalid(why: str) -> MailboxRequestInvalid:
    return MailboxRequestInvalid(public_detail=why)


def _list_request(fields: _Fields) -> MessageListRequest:
    request = MessageListRequest(
        after=fields.delivery("after"), count=fields.number("count", 1, LISTED_MAX, LISTED_MAX)
    )
    fields.end()
    return request


def _fetch_request(fields: _Fields) -> MessageFetchRequest:
    seconds = fields.number("leaseSeconds", LEASE_SECONDS_MIN, LEASE_SECONDS_MAX, LEASE_SECONDS)
    request = MessageFetchRequest(fields.number("count", 1, FETCHED_MAX, 1), seconds)
    fields.end()
    return request


def _acknowledgement(fields: _Fields) -> Acknowledgement:
    key = fields.delivery("delivery")
    if key is None:
        raise _invalid("delivery is missing")
    lease = fields.matched("lease", _LEASE)
    result = fields.text("result")
    if result not in (_ACCEPTED, _REFUSED):
        raise _invalid(f"result is to be {_ACCEPTED} or {_REFUSED}")
    code, reason = "", ""
    if result == _REFUSED:
        code = fields.matched("code", _CODE)
        reason = fields.text("reason") or ""
    if len(reason) > REASON_CHARACTERS_MAX:
        raise _invalid(f"reason has more than {REASON_CHARACTERS_MAX} characters")
    fields.end()
    return Acknowledgement(key, lease, result == _REFUSED, code, reason)


def _receipt_list_request(fields: _Fields) -> ReceiptListRequest:
    after = fields.matched("after", _NUMBER, default="")
    count = fields.number("count", 1, LISTED_MAX, LISTED_MAX)
    fields.end()
    return ReceiptListRequest(int(after) if after else None, count)


def _receipt_request(fields: _Fields) -> ReceiptRequest:
    request = ReceiptRequest(int(fields.matched("entry", _NUMBER)))
    fields.end()
    return request


def _receipts_acknowledged(fields: _Fields) -> ReceiptsAcknowledged:
    request = ReceiptsAcknowledged(fields.numbers("entry", LISTED_MAX))
    fields.end()
    return request


_READERS: Mapping[str, Callable[[_Fields], MailboxRequest]] = {
    LIST_MESSAGES: _list_request,
    FETCH_MESSAGES: _fetch_request,
    ACKNOWLEDGE_MESSAGE: _acknowledgement,
    LIST_RECEIPTS: _receipt_list_request,
    FETCH_RECEIPT: _receipt_request,
    ACKNOWLEDGE_RECEIPTS: _receipts_acknowledged,
}


def write_mailbox_request(request: MailboxRequest) -> etree._Element:
    """The element that asks this."""
    code, texts = _request_texts(request)
    element = _root(code)
    for name, text in texts:
        _add(element, name, text)
    return element


def _request_texts(request: MailboxRequest) -> tuple[str, list[tuple[str, str]]]:
    match request:
        case MessageListRequest(after, count):
            start = [("after", delivery_name(after))] if after is not None else []
            return LIST_MESSAGES, [*start, ("count", str(count))]
        case MessageFetchRequest(count, seconds):
            return FETCH_MESSAGES, [("count", str(count)), ("leaseSeconds", str(seconds))]
        case Acknowledgement():
            return ACKNOWLEDGE_MESSAGE, _acknowledgement_texts(request)
        case ReceiptListRequest(after_entry, count):
            begin = [("after", str(after_entry))] if after_entry is not None else []
            return LIST_RECEIPTS, [*begin, ("count", str(count))]
        case ReceiptRequest(entry):
            return FETCH_RECEIPT, [("entry", str(entry))]
        case ReceiptsAcknowledged(entries):
            return ACKNOWLEDGE_RECEIPTS, [("entry", str(entry)) for entry in entries]


def _acknowledgement_texts(said: Acknowledgement) -> list[tuple[str, str]]:
    result = _REFUSED if said.is_refused else _ACCEPTED
    texts = [("delivery", delivery_name(said.key)), ("lease", said.lease), ("result", result)]
    if said.is_refused:
        texts.append(("code", said.code))
    return [*texts, ("reason", said.reason)] if said.reason else texts


# --- answers ---------------------------------------------------------------------------------


def write_listed_messages(messages: Iterable[ListedMessage], *, has_more: bool) -> etree._Element:
    """`listMessagesResponse`."""
    answer = _root(f"{LIST_MESSAGES}Response")
    for one in messages:
        _add_listed(etree.SubElement(answer, _tag("message")), one)
    _add(answer, "more", _TEXT_OF[has_more])
    return answer


def write_handed_out(handed: HandedOut) -> tuple[etree._Element, tuple[Attachment, ...]]:
    """`fetchMessagesResponse`, and what stands beside it."""
    answer = _root(f"{FETCH_MESSAGES}Response")
    _add(answer, "lease", handed.lease)
    _add(answer, "heldUntil", text_in_microseconds(handed.until))
    beside: list[Attachment] = []
    for one in handed.messages:
        element = etree.SubElement(answer, _tag("message"))
        _add_listed(element, one.listed)
        _add_fetched(element, one, beside)
    return answer, tuple(beside)


def write_acknowledged(closed: ListedReceipt) -> etree._Element:
    """`acknowledgeMessageResponse`: how the delivery ended, and its receipt."""
    answer = _root(f"{ACKNOWLEDGE_MESSAGE}Response")
    _add_receipt(answer, closed)
    return answer


def write_listed_receipts(receipts: Iterable[ListedReceipt], *, has_more: bool) -> etree._Element:
    """`listReceiptsResponse`."""
    answer = _root(f"{LIST_RECEIPTS}Response")
    for one in receipts:
        _add_receipt(etree.SubElement(answer, _tag("closed")), one)
    _add(answer, "more", _TEXT_OF[has_more])
    return answer


def write_receipt(closed: ClosedDelivery) -> tuple[etree._Element, tuple[Attachment, ...]]:
    """`fetchReceiptResponse`, and what came beside the recipient's answer."""
    answer = _root(f"{FETCH_RECEIPT}Response")
    _add_receipt(answer, closed.listed)
    _add(answer, "messageId", closed.message_id)
    for name, content in (("said", closed.said), ("answer", closed.answer)):
        if content:
            _add(answer, name, _base64(content))
    return answer, closed.attachments


def write_receipts_acknowledged(count: int) -> etree._Element:
    """`acknowledgeReceiptsResponse`: how many of them lay there."""
    answer = _root(f"{ACKNOWLEDGE_RECEIPTS}Response")
    _add(answer, "removed", str(count))
    return answer


def _add_listed(parent: etree._Element, one: ListedMessage) -> None:
    for name, text in (
        ("delivery", delivery_name(one.key)),
        ("idempotencyKey", one.idempotency_key),
        ("sender", one.client),
        ("service", one.service),
        ("receivedAt", text_in_microseconds(one.received_at)),
        ("expiresAt", text_in_microseconds(one.expires_at)),
        ("envelopeBytes", str(one.envelope_bytes)),
        ("held", _TEXT_OF[one.is_held]),
        ("fetched", str(one.fetched)),
    ):
        _add(parent, name, text)


def _add_fetched(parent: etree._Element, one: FetchedMessage, beside: list[Attachment]) -> None:
    for name, text in (
        ("messageId", one.message_id),
        ("mayBeKnown", _TEXT_OF[one.may_be_known]),
        ("purpose", one.purpose),
        ("legalBasis", one.legal_basis),
        ("receipt", _base64(one.receipt)),
    ):
        _add(parent, name, text)
    if isinstance(one.envelope, bytes):
        _add(parent, "envelope", _base64(one.envelope))
    else:
        _add(parent, "envelopeBeside", f"cid:{one.envelope.content_id}")
        beside.append(one.envelope)
    for came in one.attachments:
        beside.append(came.attachment)
        facts = {"contentId": came.content_id, "mediaType": came.attachment.media_type}
        element = etree.SubElement(parent, _tag("attachment"), facts)
        element.text = f"cid:{came.attachment.content_id}"


def _add_receipt(parent: etree._Element, one: ListedReceipt) -> None:
    for name, text in (
        ("entry", str(one.entry)),
        ("delivery", delivery_name(one.key)),
        ("recipient", one.recipient),
        ("service", one.service),
        ("verdict", one.verdict),
        ("closedAt", text_in_microseconds(one.closed_at)),
        ("receipt", _base64(one.receipt)),
    ):
        _add(parent, name, text)


def _root(name: str) -> etree._Element:
    return etree.Element(_tag(name), nsmap={"mb": NAMESPACE})


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(name)).text = text


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
