"""Requests to mailboxes: what is written is read again and follows the schema; nothing else is."""

from __future__ import annotations

import pytest
from lxml import etree

from bus.core.deliveries import DeliveryKey
from bus.core.errors import MailboxRequestInvalid
from bus.core.limits import Limits
from bus.core.mailbox_services import MAILBOX_CODES, NAMESPACE
from bus.protocols.mailbox import (
    LISTED_MAX,
    Acknowledgement,
    MailboxRequest,
    MessageFetchRequest,
    MessageListRequest,
    ReceiptListRequest,
    ReceiptRequest,
    ReceiptsAcknowledged,
    read_delivery_name,
)
from bus.protocols.soap_xroad.mailbox import (
    read_mailbox_request,
    read_signed_acknowledgement,
    write_mailbox_request,
)
from bus.settings.hub import packaged_folder

KEY = DeliveryKey(17, 3)
LEASE = "0123456789abcdef" * 2 + "0123456789a"
SCHEMA = etree.XMLSchema(etree.parse(str(packaged_folder("schemas") / "lienthong/1.0/mailbox.xsd")))
REQUESTS: list[MailboxRequest] = [
    MessageListRequest(None, LISTED_MAX),
    MessageListRequest(KEY, 1),
    MessageFetchRequest(16, 3600),
    Acknowledgement(KEY, LEASE, is_refused=False),
    Acknowledgement(KEY, LEASE, is_refused=True, code="not-ours", reason="Không thuộc thẩm quyền"),
    ReceiptListRequest(None, 5),
    ReceiptListRequest(9, 5),
    ReceiptRequest(9),
    ReceiptsAcknowledged((9, 12)),
]


def acknowledging(result: str) -> str:
    return f"<m:delivery>1-0</m:delivery><m:lease>{LEASE}</m:lease><m:result>{result}</m:result>"


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_is_written_is_read_again_and_follows_the_schema(request_: MailboxRequest) -> None:
    element = write_mailbox_request(request_)
    SCHEMA.assertValid(element)
    assert read_mailbox_request(etree.QName(element).localname, element) == request_


def test_what_is_left_out_has_its_default() -> None:
    assert read("listMessages", "") == MessageListRequest(None, 100)
    assert read("fetchMessages", "") == MessageFetchRequest(1, 300)
    assert {etree.QName(write_mailbox_request(one)).localname for one in REQUESTS} == MAILBOX_CODES


@pytest.mark.parametrize(
    ("code", "content", "words"),
    [
        ("listMessages", "<m:after>17</m:after>", "after does not have its form"),
        ("listMessages", "<m:after>017-0</m:after>", "after does not have its form"),
        ("listMessages", "<m:count>0</m:count>", "count is to be from 1 to 100"),
        ("listMessages", "<m:count>101</m:count>", "count is to be from 1 to 100"),
        ("listMessages", f"<m:count>{'9' * 5000}</m:count>", "count is missing or does not have"),
        ("listMessages", "<m:count>-1</m:count>", "count is missing or does not have its form"),
        ("listMessages", "<m:count>1</m:count><m:count>1</m:count>", "count stands more than once"),
        ("listMessages", "<m:box>VN/GOV/H35/vanban</m:box>", "an element that does not belong"),
        ("listMessages", "<count>1</count>", "an element that does not belong there"),
        ("listMessages", "<m:count><m:a/></m:count>", "an element that does not belong there"),
        ("fetchMessages", "<m:count>17</m:count>", "count is to be from 1 to 16"),
        ("fetchMessages", "<m:leaseSeconds>9</m:leaseSeconds>", "leaseSeconds is to be from 10"),
        ("fetchMessages", "<m:leaseSeconds>3601</m:leaseSeconds>", "leaseSeconds is to be from"),
        ("acknowledgeMessage", "", "delivery is missing"),
        ("acknowledgeMessage", "<m:delivery>1-0</m:delivery>", "lease is missing or does not"),
        ("acknowledgeMessage", acknowledging("maybe"), "result is to be accepted or refused"),
        ("acknowledgeMessage", acknowledging("refused"), "code is missing or does not have its"),
        (
            "acknowledgeMessage",
            acknowledging("refused") + "<m:code>a b</m:code>",
            "code is missing or does not have its form",
        ),
        (
            "acknowledgeMessage",
            acknowledging("refused") + f"<m:code>a</m:code><m:reason>{'x' * 501}</m:reason>",
            "reason has more than 500 characters",
        ),
        (
            "acknowledgeMessage",
            acknowledging("accepted") + "<m:code>a</m:code>",
            "an element that does not belong there",
        ),
        ("listReceipts", "<m:after>x</m:after>", "after is missing or does not have its form"),
        ("fetchReceipt", "", "entry is missing or does not have its form"),
        ("acknowledgeReceipts", "", "expected 1 to 100 numbers entry"),
        ("acknowledgeReceipts", "<m:entry>1</m:entry>" * 101, "expected 1 to 100 numbers entry"),
        ("acknowledgeReceipts", "<m:entry>x</m:entry>", "expected 1 to 100 numbers entry"),
    ],
)
def test_what_does_not_have_its_form_is_refused_with_what_was_expected(
    code: str, content: str, words: str
) -> None:
    with pytest.raises(MailboxRequestInvalid, match=words):
        read(code, content)


@pytest.mark.parametrize(
    ("text", "key"),
    [("0-0", DeliveryKey(0, 0)), ("1-", None), ("-1-0", None), ("1-00", None), ("1-0\n", None)],
)
def test_a_delivery_has_one_name(text: str, key: DeliveryKey | None) -> None:
    assert read_delivery_name(text) == key


@pytest.mark.parametrize("raw", [b"", b"<", b"<a/>", b"\x01report"])
def test_what_is_no_request_acknowledges_nothing(raw: bytes) -> None:
    assert read_signed_acknowledgement(raw, Limits()) is None


def read(code: str, content: str) -> MailboxRequest:
    text = f'<m:{code} xmlns:m="{NAMESPACE}">{content}</m:{code}>'
    return read_mailbox_request(code, etree.fromstring(text))
