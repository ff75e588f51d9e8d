"""Mailboxes over a real hub: listed, fetched under a lease, acknowledged, all of it on the log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from bus.core import errors
from bus.core.deliveries import DeliveryKey
from bus.core.limits import Limits
from bus.core.log.leaf import Event
from bus.core.log.submission_receipts import AcceptanceReceipt, ClosingReceipt, parse_any_receipt
from bus.protocols.mailbox import Acknowledgement, MessageFetchRequest
from bus.protocols.soap_xroad.parse import parse
from signing.signed_note import verify_note
from tests.hub.fetching_agency import Fetched, FetchingAgency, Refused, text_of
from tests.hub.running_hub import RunningHub
from tests.hub.submission_nation import (
    BOX,
    OFFICES,
    OTHER_BOX,
    SubmissionHub,
    accepted,
    make_submission_nation,
    submission_hub,
    until_told,
)
from tests.nation import SmallNation

LEASE_LOST = errors.LeaseLost.code
NOT_THERE = errors.NotInMailbox.code


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_submission_nation(tmp_path_factory.mktemp("mailbox-nation"))


@pytest.fixture
def one(submissions: SmallNation, tmp_path: Path) -> SubmissionHub:
    return submission_hub(submissions, tmp_path)


async def submit(hub: RunningHub, one: SubmissionHub, *ids: str) -> list[bytes]:
    sent = [one.message(message_id, to=(BOX,)) for message_id in ids]
    for raw in sent:
        accepted(hub, await hub.post(raw), raw)
    return sent


async def until_held_no_more(hub: RunningHub, count: int = 1) -> None:
    """Wait until leases have run out."""
    await until_told(hub, errors.NotAcknowledged.code, count)


def test_what_lies_in_a_mailbox_is_listed_fetched_and_accepted(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        (raw,) = await submit(hub, one, "m-1")
        assert await agency.listed() == ["2-0"]
        (fetched,) = await agency.fetch()
        assert fetched.envelope == raw
        assert not fetched.may_be_known
        answer = await agency.accept(fetched)
        assert text_of(answer, "verdict") == "delivered"
        assert await agency.listed() == []
        closing = next(leaf for leaf in hub.leaves() if leaf.position == 0 and leaf.verdict)
        assert (closing.recipient, closing.attempt) == (str(BOX), 1)

    one.run(story)
    one.require_sound()


def test_the_receipt_of_what_is_fetched_is_the_one_that_its_sender_has(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        raw = one.message("m-1", to=(BOX, OTHER_BOX))
        told = accepted(hub, await hub.post(raw), raw)
        (fetched,) = await FetchingAgency(hub).fetch()
        note = verify_note(fetched.receipt, [hub.known().receipt_key])
        assert parse_any_receipt(note.text.decode()) == told.receipt
        assert isinstance(told.receipt, AcceptanceReceipt)
        assert told.receipt.request_digest == hashlib.sha256(fetched.envelope).digest()
        assert parse(fetched.envelope, Limits()).client == parse(raw, Limits()).client

    one.run(story)


def test_a_refusal_closes_with_what_the_recipient_signed(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1")
        (fetched,) = await agency.fetch()
        answer = await agency.refuse(fetched)
        assert text_of(answer, "verdict") == errors.RecipientRefused.code
        (closing,) = await until_told(hub, errors.RecipientRefused.code)
        assert closing.payload is not None

    one.run(story)
    one.require_sound()


def test_two_pullers_never_hold_the_same_message(one: SubmissionHub) -> None:
    names = [f"m-{number}" for number in range(12)]

    async def story(hub: RunningHub) -> None:
        await submit(hub, one, *names)
        pullers = [FetchingAgency(hub, name=name) for name in ("p", "q", "r", "s")]
        handed = await asyncio.gather(*(puller.fetch(5) for puller in pullers))
        keys = [fetched.key for held in handed for fetched in held]
        assert len(keys) == len(set(keys)) == 12
        assert [await puller.fetch() for puller in pullers] == [[]] * 4

    one.run(story)
    one.require_sound()


def test_the_oldest_is_fetched_first_and_what_is_held_is_listed_as_held(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1", "m-2", "m-3")
        assert [fetched.message_id for fetched in await agency.fetch(2)] == ["m-1", "m-2"]
        first, second, third = await agency.listed()
        page = await agency.listed(after=DeliveryKey(*map(int, first.split("-"))), count=1)
        assert page == [second]
        assert third not in page

    one.run(story)


def test_the_same_fetch_again_gets_the_same_and_holds_nothing_more(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1", "m-2")
        raw = agency.written(MessageFetchRequest(1, 300))
        first, again = await hub.post(raw), await hub.post(raw)
        assert first.body == again.body
        assert [leaf.event for leaf in hub.leaves()].count(Event.HANDED_OUT) == 1

    one.run(story)
    one.require_sound()


def test_a_lease_that_ran_out_gives_the_message_back_and_says_that_it_may_be_known(
    one: SubmissionHub,
) -> None:
    async def story(hub: RunningHub) -> None:
        first, second = FetchingAgency(hub, name="p"), FetchingAgency(hub, name="q")
        await submit(hub, one, "m-1")
        (held,) = await first.fetch(seconds=60)
        assert await second.fetch() == []
        hub.clock.now += timedelta(seconds=61)
        await until_held_no_more(hub)
        (again,) = await second.fetch()
        assert (again.key, again.idempotency_key) == (held.key, held.idempotency_key)
        assert again.may_be_known
        assert again.lease != held.lease
        with pytest.raises(Refused, match=LEASE_LOST):
            await first.accept(held)
        assert [leaf.event for leaf in hub.leaves()].count(Event.LATE) == 1
        assert text_of(await second.accept(again), "verdict") == "delivered"

    one.run(story)
    one.require_sound()


def test_whoever_held_it_last_may_acknowledge_after_its_time_while_nobody_else_has_it(
    one: SubmissionHub,
) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1")
        (held,) = await agency.fetch(seconds=10)
        hub.clock.now += timedelta(seconds=11)
        await until_held_no_more(hub)
        assert text_of(await agency.accept(held), "verdict") == "delivered"

    one.run(story)
    one.require_sound()


def test_a_refusal_after_doubt_is_for_an_operator(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        first, second = FetchingAgency(hub, name="p"), FetchingAgency(hub, name="q")
        await submit(hub, one, "m-1")
        await first.fetch(seconds=10)
        hub.clock.now += timedelta(seconds=11)
        await until_held_no_more(hub)
        (again,) = await second.fetch()
        answer = await second.refuse(again)
        assert text_of(answer, "verdict") == errors.DeliveryInDoubt.code

    one.run(story)
    one.require_sound()


def test_an_acknowledgement_that_says_the_same_again_is_told_the_same(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1")
        (held,) = await agency.fetch()
        first, again = await agency.accept(held), await agency.accept(held)
        assert etree.tostring(first) == etree.tostring(again)
        with pytest.raises(Refused, match=LEASE_LOST):
            await agency.refuse(held)
        assert [leaf.event for leaf in hub.leaves()].count(Event.LATE) == 1

    one.run(story)
    one.require_sound()


def test_a_closing_receipt_names_the_entries_that_are_in_the_log(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> ClosingReceipt:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1")
        (held,) = await agency.fetch()
        answer = await agency.accept(held)
        note = verify_note(_bytes(answer, "receipt"), [hub.known().receipt_key])
        receipt = parse_any_receipt(note.text.decode())
        assert isinstance(receipt, ClosingReceipt)
        closing = hub.leaves()[receipt.outcome_index]
        assert (closing.continues, closing.verdict) == (receipt.received_index, receipt.verdict)
        return receipt

    assert one.run(story).recipient == str(BOX)


def test_what_nobody_fetches_expires(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        await submit(hub, one, "m-1")
        hub.clock.now += timedelta(days=4)
        await until_told(hub, errors.DeliveryExpired.code)
        assert await FetchingAgency(hub).listed() == []

    one.run(story)
    one.require_sound()


def test_a_hub_that_starts_anew_knows_who_holds_what(one: SubmissionHub) -> None:
    async def first(hub: RunningHub) -> Fetched:
        await submit(hub, one, "m-1")
        return (await FetchingAgency(hub).fetch())[0]

    held = one.run(first)

    async def second(hub: RunningHub) -> str:
        agency = FetchingAgency(hub, name="q")
        assert await agency.fetch() == []
        return text_of(await agency.accept(held), "verdict")

    assert one.run(second) == "delivered"
    one.require_sound()


def test_each_sees_its_own_box_only(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        await submit(hub, one, "m-1")
        own, other = FetchingAgency(hub), FetchingAgency(hub, box=OTHER_BOX, name="o")
        assert (await other.listed(), await other.fetch()) == ([], [])
        (held,) = await own.fetch()
        for stranger in (other, FetchingAgency(hub, box=OFFICES[0], name="s")):
            with pytest.raises(Refused, match=NOT_THERE):
                await stranger.accept(held)
        nothing = Acknowledgement(DeliveryKey(10**9, 0), held.lease, is_refused=False)
        with pytest.raises(Refused, match=NOT_THERE):
            await own.ask(nothing)
        assert text_of(await own.accept(held), "verdict") == "delivered"

    one.run(story)
    one.require_sound()


def test_a_lease_that_was_never_given_acknowledges_nothing(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        agency = FetchingAgency(hub)
        await submit(hub, one, "m-1")
        forged = Acknowledgement(DeliveryKey(2, 0), "0" * 43, is_refused=False)
        with pytest.raises(Refused, match=LEASE_LOST):
            await agency.ask(forged)
        (held,) = await agency.fetch()
        with pytest.raises(Refused, match=LEASE_LOST):
            await agency.ask(forged)
        assert text_of(await agency.accept(held), "verdict") == "delivered"

    one.run(story)
    one.require_sound()


def test_wsdl_is_served(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        for code in ("listMessages", "fetchMessages", "acknowledgeMessage"):
            reply = await hub.get(f"/services/VN/GOV/G22/truclienthong/{code}", b"wsdl")
            assert reply.status == 200
            assert f'name="{code}Response"'.encode() in reply.body

    one.run(story)


def _bytes(parent: etree._Element, name: str) -> bytes:
    return base64.b64decode(text_of(parent, name))
