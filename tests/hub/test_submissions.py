"""Submissions over a real hub: accepted at once under a receipt, delivered once, all on the log."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from bus.audit.folder import open_log_reader
from bus.core import errors
from bus.core.log.leaf import Event
from bus.core.log.merkle import hash_leaf
from bus.kit.contract import Delivered, Disposition, Rejected, Submission
from bus.protocols.soap_xroad.verify_answer import VerifiedFault
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import RunningHub
from tests.hub.submission_nation import (
    OFFICES,
    SubmissionHub,
    accepted,
    make_submission_nation,
    submission_hub,
    until_told,
)
from tests.nation import ANSWER, SmallNation, payload

UNAVAILABLE = "delivery.recipient-unavailable"


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_submission_nation(tmp_path_factory.mktemp("submission-nation"))


@pytest.fixture
def one(submissions: SmallNation, tmp_path: Path) -> SubmissionHub:
    return submission_hub(submissions, tmp_path)


def away(_: Submission) -> Disposition:
    raise errors.RecipientUnavailable("away")


def slow(_: Submission) -> Disposition:
    raise errors.RecipientTimeout("slow")


def test_a_submission_is_accepted_under_a_receipt_and_delivered(one: SubmissionHub) -> None:
    one.provider.script = lambda _: Delivered(payload(ANSWER))
    raw = one.message()

    async def story(hub: RunningHub) -> None:
        reply = await hub.post(raw)
        assert reply.status == 200
        proved = accepted(hub, reply, raw)
        (closing,) = await until_told(hub, "delivered")
        received = next(leaf for leaf in hub.leaves() if leaf.event is Event.RECEIVED)
        assert proved.acceptance.recipients_count == received.recipients == 1
        assert proved.receipt.received_index == closing.continues
        assert proved.receipt.request_digest == hashlib.sha256(raw).digest()

    one.run(story)
    assert len(one.provider.came) == 1
    one.require_sound()


def test_the_receipt_names_the_entry_that_is_in_the_log(one: SubmissionHub) -> None:
    raw = one.message()

    async def story(hub: RunningHub) -> bool:
        receipt = accepted(hub, await hub.post(raw), raw).receipt
        with open_log_reader(hub.log_folder) as reader:
            leaves = {entry.index: entry.leaf for entry in reader.entries()}
        return hash_leaf(leaves[receipt.received_index]) == receipt.received_hash

    assert one.run(story)


def test_copies_get_the_first_acceptance_and_nothing_is_delivered_twice(
    one: SubmissionHub,
) -> None:
    raw = one.message()

    async def story(hub: RunningHub) -> None:
        first = accepted(hub, await hub.post(raw), raw)
        await until_told(hub, "delivered")
        hub.clock.now += timedelta(seconds=60)
        again = accepted(hub, await hub.post(raw), raw)
        assert (first.receipt, first.acceptance) == (again.receipt, again.acceptance)

    one.run(story)
    assert len(one.provider.came) == 1
    one.require_sound()


def test_copies_that_come_together_are_one(one: SubmissionHub) -> None:
    raw = one.message()

    async def story(hub: RunningHub) -> None:
        replies = await asyncio.gather(*(hub.post(raw) for _ in range(8)))
        assert len({accepted(hub, reply, raw).receipt for reply in replies}) == 1
        await until_told(hub, "delivered")

    one.run(story)
    assert len(one.provider.came) == 1


def test_a_copy_after_a_start_anew_gets_the_first_acceptance(one: SubmissionHub) -> None:
    raw = one.message()

    async def first(hub: RunningHub) -> object:
        return accepted(hub, await hub.post(raw), raw).receipt

    assert one.run(first) == one.run(first)


def test_other_bytes_under_the_same_id_are_refused(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        await hub.post(one.message())
        other = one.message(issue="another")
        reply = await hub.post(other)
        proved = hub.proved(reply, other)
        assert isinstance(proved, VerifiedFault)
        assert errors.MessageIdConflict.code in proved.fault.code

    one.run(story)
    one.require_sound()


def test_what_goes_to_many_is_closed_for_each_and_one_that_is_down_holds_up_nobody(
    one: SubmissionHub,
) -> None:
    down, *well = OFFICES
    one.offices[down].script = away
    raw = one.message(to=OFFICES)

    async def story(hub: RunningHub) -> None:
        proved = accepted(hub, await hub.post(raw), raw)
        assert proved.acceptance.recipients_count == len(OFFICES)
        closed = await until_told(hub, "delivered", len(well))
        assert {leaf.recipient for leaf in closed} == {str(office) for office in well}
        await until_told(hub, UNAVAILABLE)
        one.offices[down].script = lambda _: Delivered()
        hub.clock.now += timedelta(seconds=60)
        await until_told(hub, "delivered", len(OFFICES))

    one.run(story)
    assert [len(one.offices[office].came) for office in OFFICES] == [2, 1, 1, 1, 1]
    assert [len(one.offices[office].keys) for office in OFFICES] == [1] * len(OFFICES)
    one.require_sound()


def test_each_recipient_knows_a_message_by_a_key_of_its_own(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        await hub.post(one.message(to=OFFICES))
        await until_told(hub, "delivered", len(OFFICES))

    one.run(story)
    keys = set().union(*(one.offices[office].keys for office in OFFICES))
    assert len(keys) == len(OFFICES)


def test_attempts_that_are_used_up_make_a_dead_letter(one: SubmissionHub) -> None:
    one.provider.script = away

    async def story(hub: RunningHub) -> None:
        await hub.post(one.message())
        for count in (1, 2):
            await until_told(hub, UNAVAILABLE, count)
            hub.clock.now += timedelta(seconds=60)
        await until_told(hub, "delivery.given-up")

    one.run(story)
    assert len(one.provider.came) == 3
    one.require_sound()


def test_a_refusal_closes_and_doubt_before_it_makes_a_dead_letter(one: SubmissionHub) -> None:
    async def story(hub: RunningHub) -> None:
        one.provider.script = lambda _: Rejected("no", "not ours")
        await hub.post(one.message("m-1"))
        await until_told(hub, "delivery.refused")
        one.provider.script = slow
        await hub.post(one.message("m-2"))
        await until_told(hub, "delivery.recipient-timeout")
        one.provider.script = lambda _: Rejected("double", "it was here")
        hub.clock.now += timedelta(seconds=60)
        (dead,) = await until_told(hub, "delivery.in-doubt")
        assert dead.doubt

    one.run(story)
    one.require_sound()


def test_what_nobody_takes_in_time_expires(one: SubmissionHub) -> None:
    one.provider.script = away

    async def story(hub: RunningHub) -> None:
        await hub.post(one.message())
        await until_told(hub, UNAVAILABLE)
        hub.clock.now += timedelta(days=4)
        await until_told(hub, "delivery.expired")

    one.run(story)
    one.require_sound()


def test_what_waits_goes_on_after_the_hub_starts_anew(one: SubmissionHub) -> None:
    one.provider.script = away

    async def fails(hub: RunningHub) -> None:
        await hub.post(one.message())
        await until_told(hub, UNAVAILABLE)

    async def goes_on(hub: RunningHub) -> None:
        one.provider.script = lambda _: Delivered()
        hub.clock.now += timedelta(seconds=60)
        await until_told(hub, "delivered")

    one.run(fails)
    one.require_sound()
    one.run(goes_on)
    one.require_sound()
    assert len(one.provider.keys) == 1


def test_a_hub_that_ends_waits_for_what_is_being_delivered(one: SubmissionHub) -> None:
    is_open = threading.Event()

    def take(_: Submission) -> Disposition:
        assert is_open.wait(HANG_SECONDS_MAX)
        return Delivered()

    one.provider.script = take

    async def story(hub: RunningHub) -> None:
        await hub.post(one.message())
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while not one.provider.came:
                await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.05, is_open.set)

    one.run(story)
    one.require_sound()

    async def nothing_is_open(hub: RunningHub) -> list[str | None]:
        return [leaf.verdict for leaf in hub.leaves() if leaf.event is Event.OUTCOME]

    assert one.run(nothing_is_open) == ["delivered"]


def test_a_full_hub_says_so_before_anything_is_lost_and_delivers_what_it_has(
    tmp_path: Path,
) -> None:
    nation = make_submission_nation(tmp_path / "full", limit="pending_deliveries_max: 1")
    one = submission_hub(nation, tmp_path)
    one.provider.script = away

    async def story(hub: RunningHub) -> None:
        first = one.message("m-1")
        told = accepted(hub, await hub.post(first), first)
        second = one.message("m-2")
        full = await hub.post(second)
        assert full.status == 503
        # A copy of what was accepted needs no room; other bytes under its id never get any.
        assert accepted(hub, await hub.post(first), first).receipt == told.receipt
        other = one.message("m-1", issue="another")
        conflict = hub.proved(await hub.post(other), other)
        assert isinstance(conflict, VerifiedFault)
        assert conflict.fault.code == errors.MessageIdConflict.code
        proved = hub.proved(full, second)
        assert isinstance(proved, VerifiedFault)
        refused = next(leaf for leaf in hub.leaves() if leaf.event is Event.REFUSED)
        assert refused.verdict == errors.HubFull.code
        assert refused.payload is None  # there is no room for it
        one.provider.script = lambda _: Delivered()
        hub.clock.now += timedelta(seconds=60)
        await until_told(hub, "delivered")
        again = one.message("m-2")
        accepted(hub, await hub.post(again), again)

    one.run(story)
    one.require_sound()


def test_what_is_of_one_case_is_delivered_in_its_order(tmp_path: Path) -> None:
    nation = make_submission_nation(tmp_path / "ordered", more="ordering: conversation")
    one = submission_hub(nation, tmp_path)
    one.provider.script = away

    async def story(hub: RunningHub) -> None:
        for number in range(3):
            await hub.post(one.message(f"m-{number}"))
        await until_told(hub, UNAVAILABLE)
        one.provider.script = lambda _: Delivered()
        hub.clock.now += timedelta(seconds=60)
        await until_told(hub, "delivered", 3)

    one.run(story)
    assert [came.message_id for came in one.provider.came] == ["m-0", "m-0", "m-1", "m-2"]
    one.require_sound()
