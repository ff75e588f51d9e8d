"""Senders hear over a real hub how deliveries of what they submitted ended, until they have it."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from bus.core import errors
from bus.core.log.merkle import hash_leaf
from bus.core.log.submission_receipts import ClosingReceipt, parse_any_receipt
from bus.kit.contract import Delivered, Disposition, Rejected, Submission
from bus.mailbox.receipts import SenderReceipts
from bus.protocols.soap_xroad.read_answer import read_answer
from signing.signed_note import verify_note
from tests.hub.fetching_agency import FetchingAgency, Refused, text_of
from tests.hub.running_hub import RunningHub
from tests.hub.submission_nation import (
    BOX,
    OFFICES,
    SubmissionHub,
    accepted,
    make_submission_nation,
    submission_hub,
    until_told,
)
from tests.nation import ANSWER, CLIENT, OTHER_CLIENT, SmallNation, payload

NOT_THERE = errors.NotInMailbox.code


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    folder = tmp_path_factory.mktemp("receipt-nation")
    return make_submission_nation(folder, limit="receipts_per_sender_max: 3")


@pytest.fixture
def one(submissions: SmallNation, tmp_path: Path) -> SubmissionHub:
    return submission_hub(submissions, tmp_path)


def refusing(_: Submission) -> Disposition:
    return Rejected("no-such-case", "Không có hồ sơ")


def test_each_end_comes_back_to_the_sender_with_its_receipt(one: SubmissionHub) -> None:
    well, refuses = OFFICES[:2]
    one.offices[refuses].script = refusing

    async def story(hub: RunningHub) -> None:
        raw = one.message("m-1", to=(well, refuses, BOX))
        told = accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered")
        await until_told(hub, errors.RecipientRefused.code)
        sender = FetchingAgency(hub, box=CLIENT, name="s")
        assert len(await sender.receipts()) == 2
        agency = FetchingAgency(hub)
        await agency.accept((await agency.fetch())[0])
        closed = await sender.receipts()
        assert {text_of(end, "recipient"): text_of(end, "verdict") for end in closed} == {
            str(well): "delivered",
            str(refuses): errors.RecipientRefused.code,
            str(BOX): "delivered",
        }
        entries = [int(text_of(end, "entry")) for end in closed]
        assert entries == sorted(entries)
        for end in closed:
            note = verify_note(base64.b64decode(text_of(end, "receipt")), [hub.known().receipt_key])
            receipt = parse_any_receipt(note.text.decode())
            assert isinstance(receipt, ClosingReceipt)
            assert receipt.received_hash == told.receipt.received_hash
            assert receipt.outcome_index == int(text_of(end, "entry"))

    one.run(story)
    one.require_sound()


def test_the_answer_of_a_recipient_comes_with_the_receipt_that_names_it(one: SubmissionHub) -> None:
    one.provider.script = lambda _: Delivered(payload(ANSWER))

    async def story(hub: RunningHub) -> None:
        raw = one.message("m-7")
        accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered")
        sender = FetchingAgency(hub, box=CLIENT)
        (end,) = await sender.receipts()
        whole = await sender.receipt(int(text_of(end, "entry")))
        assert text_of(whole, "messageId") == "m-7"
        answer = base64.b64decode(text_of(whole, "answer"))
        assert read_answer(answer).payload.tag == payload(ANSWER).tag
        note = verify_note(base64.b64decode(text_of(whole, "receipt")), [hub.known().receipt_key])
        receipt = parse_any_receipt(note.text.decode())
        assert isinstance(receipt, ClosingReceipt)
        assert receipt.answer_digest == hashlib.sha256(answer).digest()

    one.run(story)


def test_what_the_recipient_signed_comes_with_it(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        raw = one.message("m-1", to=(BOX,))
        accepted(hub, await hub.post(raw), raw)
        agency, sender = FetchingAgency(hub), FetchingAgency(hub, box=CLIENT, name="s")
        (held,) = await agency.fetch()
        await agency.refuse(held, "not-ours")
        (end,) = await sender.receipts()
        said = base64.b64decode(text_of(await sender.receipt(int(text_of(end, "entry"))), "said"))
        assert b">not-ours<" in said
        assert "Không phải".encode() in said

    one.run(story)


def test_what_is_acknowledged_goes_and_each_sees_its_own_only(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        for name in ("m-1", "m-2", "m-3"):
            raw = one.message(name)
            accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered", 3)
        sender = FetchingAgency(hub, box=CLIENT, name="s")
        other = FetchingAgency(hub, box=OTHER_CLIENT, name="o")
        first, second, third = [int(text_of(end, "entry")) for end in await sender.receipts()]
        page = await sender.receipts(after=first, count=1)
        assert [int(text_of(end, "entry")) for end in page] == [second]
        assert await other.receipts() == []
        with pytest.raises(Refused, match=NOT_THERE):
            await other.receipt(first)
        assert await other.have_receipts(first, second, third) == 0
        assert await sender.have_receipts(first, third, 10**9) == 2
        assert [int(text_of(end, "entry")) for end in await sender.receipts()] == [second]
        with pytest.raises(Refused, match=NOT_THERE):
            await sender.receipt(first)

    one.run(story)
    one.require_sound()


def test_receipts_outlive_the_hub(one: SubmissionHub) -> None:
    async def first(hub: RunningHub) -> None:
        raw = one.message()
        accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered")

    async def second(hub: RunningHub) -> int:
        return len(await FetchingAgency(hub, box=CLIENT).receipts())

    one.run(first)
    assert one.run(second) == 1


def test_an_expiry_that_a_hub_finds_after_a_start_is_told_to_the_sender(one: SubmissionHub) -> None:
    async def first(hub: RunningHub) -> None:
        raw = one.message("m-1", to=(BOX,))
        accepted(hub, await hub.post(raw), raw)

    async def second(hub: RunningHub) -> list[str]:
        await until_told(hub, errors.DeliveryExpired.code)
        return [text_of(end, "verdict") for end in await FetchingAgency(hub, box=CLIENT).receipts()]

    one.run(first)
    one.clock.now += timedelta(days=4)
    assert one.run(second) == [errors.DeliveryExpired.code]
    one.require_sound()


def test_what_lies_there_for_too_long_or_is_too_much_goes(one: SubmissionHub) -> None:
    def receipts_of(hub: RunningHub) -> SenderReceipts:
        return hub.hub.receipts

    async def story(hub: RunningHub) -> None:
        for name in ("m-1", "m-2", "m-3", "m-4"):
            raw = one.message(name)
            accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered", 4)
        sender, size = FetchingAgency(hub, box=CLIENT), len(hub.leaves())
        kept = [text_of(end, "entry") for end in await sender.receipts()][1:]
        assert await receipts_of(hub).tidy(size, one.clock.now) == 1
        assert [text_of(end, "entry") for end in await sender.receipts()] == kept
        assert await receipts_of(hub).tidy(size, one.clock.now + timedelta(days=89)) == 0
        assert await receipts_of(hub).tidy(size, one.clock.now + timedelta(days=91)) == 3
        assert await sender.receipts() == []

    one.run(story)
    one.require_sound()


def test_a_receipt_names_the_leaf_that_stands_in_the_log(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        raw = one.message()
        accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered")
        (end,) = await FetchingAgency(hub, box=CLIENT).receipts()
        note = verify_note(base64.b64decode(text_of(end, "receipt")), [hub.known().receipt_key])
        receipt = parse_any_receipt(note.text.decode())
        assert isinstance(receipt, ClosingReceipt)
        assert receipt.outcome_hash == hash_leaf(hub.raw_leaves()[receipt.outcome_index])

    one.run(story)
