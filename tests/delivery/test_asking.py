"""Workers elsewhere answer queries; what they say is proved, and nobody else can say it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bus.core import errors
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.ports.broker import PARCEL_BYTES_MAX
from bus.core.value_prefixes import CanonicalElement, canonical_element
from bus.delivery.breaker import FAILURES_MAX, PROBE_SECONDS_FIRST
from bus.delivery.signed_orders import SignedReports
from bus.kit.contract import Answer, Query, attachment_of_bytes
from bus.protocols.orders import AttemptReport
from bus.protocols.report_notes import read_report
from bus.protocols.soap_xroad.read_answer import ANSWER_BYTES_MAX
from bus.protocols.soap_xroad.verify_answer import KnownSigners, verify_recorded
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from tests.delivery.asking_world import RECEIVED, AskingWorld
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import (
    CLIENT,
    HUB,
    LOOKUP_ADAPTER,
    NOW,
    PROVIDER,
    SLOW_ANSWER,
    SmallNation,
    payload,
)

Story = Callable[[], Awaitable[None]]


@pytest.fixture
def world(nation: SmallNation, tmp_path: Path) -> AskingWorld:
    return AskingWorld(nation, tmp_path)


def tell(story: Story) -> None:
    async def told() -> None:
        async with asyncio.timeout(HANG_SECONDS_MAX):
            await story()

    asyncio.run(told())


def test_a_worker_answers_as_an_adapter_here_would(world: AskingWorld) -> None:
    query = world.query()

    async def story() -> None:
        async with world.working_by():
            answer = await world.ask(query)
        known = KnownSigners(trust=world.nation.rules.trust, member=HUB.member)
        sent = SOAP_XROAD.parse(query.raw, Limits())
        assert isinstance(answer.message, bytes)
        assert verify_recorded(answer.message, sent, known, NOW) is None
        assert (answer.time, answer.attachments) == (NOW, ())

    tell(story)
    asked = world.agency.asked
    assert [one.message_id for one in asked] == ["m-1"]
    assert asked[0].client == CLIENT
    assert asked[0].idempotency_key == query.accepted.idempotency_key
    assert asked[0].timeout_seconds == 30
    assert world.leaves == []


@pytest.mark.parametrize(
    "error",
    [
        errors.PayloadRejected(public_detail="no such form"),
        errors.RecipientRefused(public_detail="no such person"),
        errors.RecipientHttpRefused(),
        errors.RecipientUnavailable(),
        errors.RecipientHostUnknown(),
        errors.AccountRefused(),
        errors.RecipientTimeout(public_detail="no answer within 5 s"),
        errors.AnswerInvalid(public_detail="line 1, Body/*: expected element X"),
        errors.AdapterBroken(),
    ],
    ids=lambda error: error.code,
)
def test_what_an_agency_says_instead_is_raised_here(
    world: AskingWorld, error: errors.BusError
) -> None:
    def refuse(_: Query) -> Answer:
        raise error

    world.agency.script = refuse

    async def story() -> None:
        async with world.working_by():
            with pytest.raises(errors.BusError) as raised:
                await world.ask()
        assert type(raised.value) is type(error)
        assert raised.value.public_detail == error.public_detail
        # An agency's words are not for our diagnostics.
        assert error.public_detail not in raised.value.diagnostic or not error.public_detail

    tell(story)


def test_an_answer_of_another_element_is_refused_where_it_is_made(world: AskingWorld) -> None:
    world.agency.script = lambda _: Answer(payload(SLOW_ANSWER))

    async def story() -> None:
        async with world.working_by():
            with pytest.raises(errors.AnswerInvalid) as raised:
                await world.ask()
        assert "expected element" in raised.value.public_detail

    tell(story)


def test_a_fault_of_the_agency_comes_as_it_was(world: AskingWorld) -> None:
    fault = errors.ServiceFault(
        "soap:Client",
        "Không có & <người này>",
        actor="http://dancu/",
        detail_content=b'text<a xmlns="urn:x" b="1">&lt;</a>',
    )

    def refuse(_: Query) -> Answer:
        raise fault

    world.agency.script = refuse

    async def story() -> None:
        async with world.working_by():
            with pytest.raises(errors.ServiceFault) as raised:
                await world.ask()
        told = raised.value
        assert told.xroad_code == fault.xroad_code
        assert told.fault_string == fault.fault_string
        assert (told.actor, told.detail_content) == (fault.actor, fault.detail_content)

    tell(story)


def test_nobody_who_takes_queries_is_told_at_once(world: AskingWorld) -> None:
    async def story() -> None:
        async with world.working_by():
            await world.broker.pause(LOOKUP_ADAPTER)
            for _ in range(2 * FAILURES_MAX):
                with pytest.raises(errors.RecipientUnavailable) as raised:
                    await world.ask()
                assert type(raised.value) is errors.RecipientUnavailable
            # It was not the agency that failed: whoever comes to work is asked at once.
            await world.broker.work(LOOKUP_ADAPTER, world.working.handle, concurrency=1)
            await world.ask()

    tell(story)


def test_what_fails_again_and_again_is_spared_until_it_is_tried_anew(world: AskingWorld) -> None:
    def fail(_: Query) -> Answer:
        raise errors.RecipientUnavailable

    async def story() -> None:
        well = world.agency.script
        async with world.working_by():
            world.agency.script = fail
            for number in range(FAILURES_MAX):
                with pytest.raises(errors.RecipientUnavailable):
                    await world.ask(world.query(index=number))
            assert world.breaker.value == "open"
            world.agency.script = well
            with pytest.raises(errors.RecipientUnavailable, match="again and again"):
                await world.ask()
            assert len(world.agency.asked) == FAILURES_MAX
            world.clock.pass_by(timedelta(seconds=PROBE_SECONDS_FIRST))
            await world.ask()
            assert world.breaker.value == "closed"

    tell(story)


def test_what_cannot_travel_is_refused_before_it_leaves(world: AskingWorld) -> None:
    large = attachment_of_bytes(bytes(2**20 + 1), content_id="l@h41", media_type="text/plain")

    async def story() -> None:
        async with world.working_by():
            with pytest.raises(errors.AttachmentNotAllowed) as raised:
                await world.ask(world.query(attachments=(large,)))
            assert "1048577 bytes; at most 1048576" in raised.value.public_detail
            query = world.query()
            with pytest.raises(errors.PayloadRejected, match="does not travel"):
                await world.ask(replace(query, raw=query.raw + bytes(PARCEL_BYTES_MAX)))

    tell(story)
    assert world.agency.asked == []


# --- who lies -------------------------------------------------------------------------------------


def signed_by(world: AskingWorld, owner: SubsystemId, report: AttemptReport) -> bytes:
    """A report that somebody signs as the agency's."""
    return SignedReports({str(PROVIDER.member): world.nation.signers[owner]}).write(report)


def in_words(world: AskingWorld, **changes: Any) -> Callable[[bytes], bytes]:
    """The agency's worker says something else, under its own signature."""
    return lambda true: signed_by(world, PROVIDER, replace(read_report(true), **changes))


Forge = Callable[[AskingWorld], Callable[[bytes], bytes]]
NOT_BELIEVED: dict[str, Forge] = {
    "no report": lambda _: lambda _: b"x",
    "cut": lambda _: lambda true: true[:-1],
    "another answer under the same signature": lambda _: lambda true: true.replace(b"m-1", b"m-2"),
    "signed by the hub": lambda world: lambda true: signed_by(world, HUB, read_report(true)),
    "signed by another agency": lambda world: (
        lambda true: signed_by(world, CLIENT, read_report(true))
    ),
    "of another agency": lambda world: (
        lambda true: SignedReports({str(CLIENT.member): world.nation.signers[CLIENT]}).write(
            replace(read_report(true), recipient=str(CLIENT))
        )
    ),
    "to an earlier question": lambda world: in_words(world, key=DeliveryKey(RECEIVED - 1, 0)),
    "about another message": lambda world: in_words(world, message_digest=bytes(32)),
    "of another attempt": lambda world: in_words(
        world, outcome=AttemptOutcome(2, AttemptEnd.DELIVERED)
    ),
    "of another hub": lambda world: in_words(world, origin="other.example/log"),
    "about a delivery": lambda world: in_words(world, is_query=False),
    "giant": lambda _: lambda true: true + bytes(PARCEL_BYTES_MAX),
}


@pytest.mark.parametrize("kind", NOT_BELIEVED)
def test_what_is_not_proved_keeps_nobody_from_being_answered(world: AskingWorld, kind: str) -> None:
    forge = NOT_BELIEVED[kind](world)

    async def story() -> None:
        answer = await world.ask_hearing(lambda true: [forge(true), true])
        assert answer.message
        with pytest.raises(errors.RecipientTimeout):
            await world.ask_hearing(lambda true: [forge(true)], world.query("m-2"))
        assert world.asking.counts.unproved == 2

    tell(story)


def test_an_answer_to_another_question_is_none_to_this(world: AskingWorld) -> None:
    first: list[bytes] = []

    def keep(true: bytes) -> list[bytes]:
        first.append(true)
        return [true]

    async def story() -> None:
        await world.ask_hearing(keep)
        # The same message under the same id, asked again: its old answer is not taken for a new.
        with pytest.raises(errors.RecipientTimeout):
            await world.ask_hearing(lambda _: first, world.query(index=RECEIVED + 2))

    tell(story)


BAD_ANSWERS: dict[str, Callable[[AskingWorld, bytes], bytes]] = {
    "empty": lambda *_: b"",
    "no XML": lambda *_: b"<a",
    "no SOAP": lambda *_: b"<a/>",
    "a bomb": lambda *_: b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "changed after it was signed": lambda _, answer: answer.replace(
        b'SoCongDan="0"', b'SoCongDan="1"'
    ),
    "the request itself": lambda world, _: world.query().raw,
    "with a receipt of its own": lambda _, answer: SOAP_XROAD.with_receipt(answer, b"note"),
    "not in our form": lambda _, answer: answer.replace(b"</soap:Header>", b"</soap:Header >"),
    "too large": lambda _, answer: answer + b" " * (ANSWER_BYTES_MAX - len(answer) + 1),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_an_answer_that_is_none_is_not_told(world: AskingWorld, kind: str) -> None:
    def lie(true: bytes) -> list[bytes]:
        report = read_report(true)
        bad = BAD_ANSWERS[kind](world, report.answer)
        assert bad != report.answer
        return [signed_by(world, PROVIDER, replace(report, answer=bad))]

    async def story() -> None:
        with pytest.raises((errors.AnswerInvalid, errors.RecipientTimeout)) as raised:
            await world.ask_hearing(lie)
        # What is larger than any order is not even read.
        assert isinstance(raised.value, errors.AnswerInvalid) or kind == "too large"

    tell(story)


def test_a_signed_answer_to_another_request_is_not_told(world: AskingWorld) -> None:
    async def story() -> None:
        others: list[bytes] = []

        def keep(true: bytes) -> list[bytes]:
            others.append(read_report(true).answer)
            return [true]

        def swap(true: bytes) -> list[bytes]:
            return [signed_by(world, PROVIDER, replace(read_report(true), answer=others[0]))]

        await world.ask_hearing(keep, world.query("other", index=RECEIVED + 1))
        with pytest.raises(errors.AnswerInvalid):
            await world.ask_hearing(swap)

    tell(story)


def test_a_signed_answer_that_breaks_the_schema_is_not_told(
    world: AskingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unchecked(element: Any, *_: object) -> CanonicalElement:
        return canonical_element(element)

    world.agency.script = lambda _: Answer(payload(SLOW_ANSWER))

    async def story() -> None:
        with monkeypatch.context() as patch:
            patch.setattr("bus.delivery.answers.validate_answer", unchecked)
            with pytest.raises(errors.AnswerInvalid, match="expected element"):
                await world.ask_hearing(lambda true: [true])

    tell(story)


@pytest.mark.parametrize("code", ["log.unavailable", "limit.rate", "hub.internal"])
def test_a_worker_does_not_speak_for_the_hub(world: AskingWorld, code: str) -> None:
    failed = AttemptOutcome(1, AttemptEnd.UNKNOWN)
    lie = in_words(world, code=code, outcome=failed, answer=b"")

    async def story() -> None:
        with pytest.raises(errors.OutcomeUnproved, match=code):
            await world.ask_hearing(lambda true: [lie(true)])

    tell(story)


@pytest.mark.parametrize("said", [b"", b"<a/>", b"<!DOCTYPE a><a/>", b"<a" * 100_000])
def test_a_fault_that_is_none_is_not_told(world: AskingWorld, said: bytes) -> None:
    refused = AttemptOutcome(1, AttemptEnd.REFUSED)
    lie = in_words(world, code=errors.ServiceFault.code, outcome=refused, answer=said)

    async def story() -> None:
        with pytest.raises(errors.OutcomeUnproved):
            await world.ask_hearing(lambda true: [lie(true)])

    tell(story)


# --- what comes again, or too late ----------------------------------------------------------------


def test_an_order_that_is_played_again_is_not_asked_again(world: AskingWorld) -> None:
    async def story() -> None:
        await world.ask_hearing(lambda true: [true])
        taken = world.taken(world.asked[0].content)
        assert await world.working.handle(taken) == await world.working.handle(taken)
        assert len(world.agency.asked) == 1

    tell(story)


def test_an_order_that_is_played_after_its_time_is_not_asked(world: AskingWorld) -> None:
    async def story() -> None:
        await world.ask_hearing(lambda true: [true])
        world.clock.now = world.asked[0].begin_before
        fresh = AskingWorld(world.nation, world.folder, clock=world.clock)
        said = await fresh.working.handle(world.taken(world.asked[0].content))
        assert said is not None
        report = read_report(said)
        assert (report.is_query, report.code) == (True, errors.WorkerAway.code)
        assert fresh.agency.asked == []

    tell(story)


def test_a_worker_has_no_more_time_than_is_left(world: AskingWorld) -> None:
    async def story() -> None:
        query = world.query()
        await world.ask_hearing(lambda true: [true], query)
        world.clock.now = world.asked[0].begin_before - timedelta(seconds=3)
        fresh = AskingWorld(world.nation, world.folder, clock=world.clock)
        await fresh.working.handle(world.taken(world.asked[0].content))
        assert [one.timeout_seconds for one in fresh.agency.asked] == [3]

    tell(story)


def test_a_late_answer_is_recorded_once(world: AskingWorld) -> None:
    said: list[bytes] = []

    def withhold(true: bytes) -> list[bytes]:
        said.append(true)
        return []

    async def story() -> None:
        with pytest.raises(errors.RecipientTimeout):
            await world.ask_hearing(withhold)
        await world.asking.late(world.taken(in_words(world, message_digest=bytes(32))(said[0])))
        await world.asking.late(world.taken(b"x"))
        assert world.leaves == []
        for _ in range(3):
            await world.asking.late(world.taken(said[0]))

    tell(story)
    (leaf,) = world.leaves
    assert (leaf.event.value, leaf.verdict, leaf.continues) == ("late", "delivered", RECEIVED)
    assert (leaf.position, leaf.attempt, leaf.recipient) == (None, None, str(PROVIDER))
    assert world.asking.counts.late == 1


def test_an_answer_that_comes_once_more_is_not_late(world: AskingWorld) -> None:
    said: list[bytes] = []

    def keep(true: bytes) -> list[bytes]:
        said.append(true)
        return [true]

    async def story() -> None:
        await world.ask_hearing(keep)
        await world.asking.late(world.taken(said[0]))

    tell(story)
    assert world.leaves == []


def test_that_a_worker_gave_up_too_is_not_recorded(world: AskingWorld) -> None:
    timeout = AttemptOutcome(1, AttemptEnd.UNKNOWN)
    gave_up = in_words(world, code=errors.RecipientTimeout.code, outcome=timeout, answer=b"")
    said: list[bytes] = []

    def withhold(true: bytes) -> list[bytes]:
        said.append(gave_up(true))
        return []

    async def story() -> None:
        with pytest.raises(errors.RecipientTimeout):
            await world.ask_hearing(withhold)
        await world.asking.late(world.taken(said[0]))

    tell(story)
    assert world.leaves == []


def test_so_many_are_asked_at_one_time_and_no_more(world: AskingWorld) -> None:
    place = world.asking.place(LOOKUP_ADAPTER)
    most = Limits().exchanges_at_once_per_agency_max
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(place)
        with pytest.raises(errors.AgencyBusy):
            held.enter_context(place)
        (metrics,) = world.asking.metrics()
        assert (metrics.adapter, metrics.in_work, metrics.refused) == (LOOKUP_ADAPTER, most, 1)
