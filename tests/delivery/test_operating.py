"""What operators do with dead letters and agencies: each an entry, and each holds after a crash."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bus.core import errors
from bus.core.deliveries import DeliveryState
from bus.core.log.leaf import Event
from bus.core.registry import SubmissionRule
from bus.delivery.operating import NotDone, OperatorSays
from bus.kit.contract import Disposition, Retry, Submission
from bus.operations.operator_requests import answer_operator
from tests.delivery.delivery_world import (
    HANOI,
    PROVIDER,
    DeliveryWorld,
    RunningDeliveries,
    key,
    take_well,
)
from tests.delivery.test_deliveries import RETRY, Story, in_world
from tests.nation import SmallNation

SAYS = OperatorSays("lan", "the agency is back")


@pytest.fixture
def world(nation: SmallNation, tmp_path: Path) -> DeliveryWorld:
    rule = SubmissionRule(retry=replace(RETRY, attempts_max=1))
    return DeliveryWorld(nation, tmp_path, rule=rule)


def refuse(_: Submission) -> Disposition:
    return Retry(reason="full")


def doubtful(_: Submission) -> Disposition:
    raise errors.RecipientTimeout("slow")


async def make_dead(hub: RunningDeliveries) -> None:
    hub.world.agency().script = refuse
    await hub.submit()
    await hub.until_told("outcome", "delivery.given-up")
    hub.world.agency().script = take_well


def test_a_dead_letter_that_is_sent_again_goes_under_the_same_key(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        await hub.parts.operating.send_again(key(0), SAYS)
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    first, second = world.agency().came
    assert first.idempotency_key == second.idempotency_key
    assert second.attempt == 2
    assert [leaf.verdict for leaf in world.leaves if leaf.event is Event.OPERATED] == ["resend"]
    assert world.rows == []


def test_one_that_is_submitted_anew_goes_under_another_key(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        await hub.parts.operating.submit_anew(key(0), SAYS)
        await hub.until_told("outcome", "delivered")

    in_world(world, story)
    first, second = world.agency().came
    assert first.idempotency_key != second.idempotency_key


def test_doubt_stays_with_what_is_sent_again(world: DeliveryWorld) -> None:
    world.agency().script = doubtful

    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.until_told("outcome", "delivery.in-doubt")
        await hub.parts.operating.send_again(key(0), SAYS)
        assert world.rows[0].delivery.doubt

    in_world(world, story)


def test_what_is_let_go_has_no_row_and_stands_in_the_log(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        await hub.parts.operating.discard(key(0), SAYS)

    in_world(world, story)
    assert world.rows == []
    assert world.told[-1] == ("operated", "discard")


def test_what_is_let_go_lets_the_next_of_its_conversation_pass(world: DeliveryWorld) -> None:
    world.rule = replace(world.rule, is_ordered=True)

    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        await hub.submit("m-2")
        assert world.rows[-1].delivery.state is DeliveryState.BLOCKED
        await hub.parts.operating.discard(key(0), SAYS)
        await hub.until_told("outcome", "delivered")

    in_world(world, story)


def test_who_did_it_and_why_is_sealed(world: DeliveryWorld) -> None:
    opened: list[bytes] = []

    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        await hub.parts.operating.discard(key(0), SAYS)
        sealed = world.disk.entries()[-1].sealed
        assert sealed is not None
        opened.append(await hub.recorder.writer.opened(sealed))

    in_world(world, story)
    assert json.loads(opened[0]) == {"by": "lan", "reason": "the agency is back"}
    assert b"lan" not in world.disk.entries()[-1].leaf


@pytest.mark.parametrize("act", ["send_again", "submit_anew", "discard"])
def test_what_is_no_dead_letter_is_left_alone(world: DeliveryWorld, act: str) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.submit()
        for place in (key(0), key(99)):
            with pytest.raises(NotDone):
                await getattr(hub.parts.operating, act)(place, SAYS)

    in_world(world, story, works=False)
    assert world.told == [("received", "accepted")]


def test_nothing_leaves_to_who_is_paused_and_others_do_not_wait(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.parts.operating.pause(str(PROVIDER.member), SAYS)
        await hub.submit(recipients=(PROVIDER, HANOI))
        await hub.until_told("outcome", "delivered")
        await hub.turn()
        assert not world.agency().came
        await hub.parts.operating.resume(str(PROVIDER.member), SAYS)
        await hub.until_told("outcome", "delivered", 2)

    in_world(world, story)
    operated = [leaf for leaf in world.leaves if leaf.event is Event.OPERATED]
    assert [leaf.verdict for leaf in operated] == ["pause", "resume"]
    assert {leaf.recipient for leaf in operated} == {str(PROVIDER.member)}


def test_who_is_paused_is_so_after_a_start_anew(world: DeliveryWorld) -> None:
    async def pauses(hub: RunningDeliveries) -> None:
        await hub.parts.operating.pause(str(PROVIDER), SAYS)

    async def waits(hub: RunningDeliveries) -> None:
        await hub.submit()
        await hub.turn()
        assert not world.agency().came
        await hub.parts.operating.resume(str(PROVIDER), SAYS)
        await hub.until_told("outcome", "delivered")

    in_world(world, pauses)
    in_world(world, waits)


def test_who_is_not_paused_cannot_be_resumed(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        with pytest.raises(NotDone):
            await hub.parts.operating.resume(str(PROVIDER), SAYS)

    in_world(world, story)


def test_a_state_of_pauses_that_is_not_ours_keeps_the_hub_from_starting(
    world: DeliveryWorld,
) -> None:
    (world.folder / "paused.json").write_text('{"all": true}')

    async def story(_: RunningDeliveries) -> None:
        raise AssertionError("it started")

    with pytest.raises(errors.LogCorrupt):
        in_world(world, story)


# --- what comes over the socket ----------------------------------------------------------------


def asked(world: DeliveryWorld, *requests: Any, story: Story | None = None) -> list[dict[str, Any]]:
    """What came of requests, one after the other."""
    answers = []

    async def ask(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        for request in requests:
            raw = request if isinstance(request, bytes) else json.dumps(request).encode()
            answers.append(json.loads(await answer_operator(hub.parts.operating, raw, who="uid 1")))

    in_world(world, ask)
    return answers


def test_dead_letters_are_listed_and_sent_again(world: DeliveryWorld) -> None:
    listed, done, empty = asked(
        world,
        {"do": "list"},
        {"do": "resend", "entry": 0, "position": 0, "reason": "back", "by": "lan"},
        {"do": "list"},
    )
    (letter,) = listed["dead"]
    assert (letter["entry"], letter["position"], letter["state"]) == (0, 0, "dead")
    assert done["state"] == "waiting"
    assert empty == {"dead": []}


@pytest.mark.parametrize(
    "request_",
    [
        b"no JSON",
        b"[" * 5000,
        b"[]",
        {"do": "explode", "reason": "x"},
        {"do": "resend", "entry": 0, "position": 0},
        {"do": "resend", "entry": "0", "position": 0, "reason": "x"},
        {"do": "resend", "entry": True, "position": 0, "reason": "x"},
        {"do": "resend", "entry": -1, "position": 0, "reason": "x"},
        {"do": "resend", "entry": 2**60, "position": 0, "reason": "x"},
        {"do": "resend", "position": 0, "reason": "x"},
        {"do": "resend", "entry": 77, "position": 0, "reason": "x"},
        {"do": "pause", "agency": "nobody", "reason": "x"},
        {"do": "pause", "agency": ["VN"], "reason": "x"},
        {"do": "resume", "agency": "VN/GOV/G01", "reason": "x"},
        {"do": "discard", "entry": 0, "position": 0, "reason": "x" * 2000},
        {"do": "list", "limit": "all"},
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_done(
    world: DeliveryWorld, request_: Any
) -> None:
    (answer,) = asked(world, request_)
    assert list(answer) == ["error"]
    assert world.told[-1] == ("outcome", "delivery.given-up")


def test_operators_are_told_when_the_log_cannot_be_written(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        world.disk.fails_before = True
        request = {"do": "discard", "entry": 0, "position": 0, "reason": "x"}
        raw = json.dumps(request).encode()
        answer = json.loads(await answer_operator(hub.parts.operating, raw, who="uid 1"))
        assert "log.unavailable" in answer["error"]
        world.disk.fails_before = False

    in_world(world, story)
    assert world.rows[0].delivery.state is DeliveryState.DEAD


def test_what_was_done_and_not_confirmed_counts_all_the_same(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await make_dead(hub)
        world.disk.fails_after = True
        with pytest.raises(errors.LogUnavailable):
            await hub.parts.operating.send_again(key(0), SAYS)
        world.disk.fails_after = False
        await hub.until_told("outcome", "delivered")
        assert hub.parts.lanes.pending == 0

    in_world(world, story)


def test_who_is_paused_can_be_told_from_who_has_a_like_name(world: DeliveryWorld) -> None:
    async def story(hub: RunningDeliveries) -> None:
        await hub.parts.operating.pause("VN/GOV/G0", SAYS)
        assert not hub.parts.lanes.is_paused(str(PROVIDER))

    in_world(world, story)
