"""What every broker promises: see `bus.core.ports.broker`.

A broker passes when its test class inherits `BrokerContract` and says where hub and workers meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from bus.core.errors import (
    AnswerInvalid,
    LogUnavailable,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.core.ports.broker import OrderBroker, OrderParcel, Sent, Taken
from tests.broker.broker_stories import (
    AGENCY,
    OTHER_AGENCY,
    UNKNOWN_AGENCY,
    WAITING_MAX,
    BrokerSite,
    Heard,
    any_answer,
    asked,
    parcel,
    run,
    send_when_there_is_room,
    started,
    working,
)
from tests.hang_limits import HANG_SECONDS_MAX


class BrokerContract:
    """The suite. `site` is the fixture that a broker's own test class overrides."""

    BEFORE_URGENT_MAX = 1
    """So many others may be given out of WAITING_MAX // 2, while an urgent one is on its way."""

    @pytest.fixture
    def site(self) -> Iterator[BrokerSite]:
        raise NotImplementedError

    def test_an_order_reaches_a_worker_and_its_outcome_the_hub(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(), Heard()
            content = bytes(range(256)) * 100
            async with started(site, outcomes) as hub, working(site, worker):
                assert await hub.send(parcel(content)) is Sent.CONFIRMED
                assert [b"done " + content] == await outcomes.until_count(1)
                assert [content] == worker.contents
                assert not worker.taken[0].is_redelivered
                assert not outcomes.taken[0].is_redelivered
                assert hub.trouble == ""

        run(site, story)

    def test_what_is_taken_at_once_comes_as_what_is_sent_does(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(), Heard()
            async with started(site, outcomes) as hub, working(site, worker):
                if hub.takes_at_once(AGENCY):
                    assert hub.offer(parcel(b"order"))
                else:
                    assert not hub.offer(parcel(b"another"))
                    assert await hub.send(parcel(b"order")) is Sent.CONFIRMED
                assert await outcomes.until_count(1) == [b"done order"]
            assert worker.contents == [b"order"]

        run(site, story)

    def test_orders_of_one_agency_do_not_reach_another(self, site: BrokerSite) -> None:
        async def story() -> None:
            ours, others, outcomes = Heard(), Heard(), Heard()
            async with (
                started(site, outcomes) as hub,
                working(site, ours),
                working(site, others, OTHER_AGENCY),
            ):
                for number in range(10):
                    agency = (AGENCY, OTHER_AGENCY)[number % 2]
                    assert await hub.send(parcel(b"%d" % number, agency)) is Sent.CONFIRMED
                await outcomes.until_count(10)
            assert sorted(ours.contents) == [b"0", b"2", b"4", b"6", b"8"]
            assert sorted(others.contents) == [b"1", b"3", b"5", b"7", b"9"]

        run(site, story)

    def test_many_orders_each_come_once_and_in_order(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(), Heard()
            expected = [b"%d" % number for number in range(200)]
            async with started(site, outcomes) as hub, working(site, worker, concurrency=1):
                for content in expected:
                    await send_when_there_is_room(hub, parcel(content))
                await outcomes.until_count(200)
            assert expected == worker.contents
            assert sorted(b"done " + one for one in expected) == sorted(outcomes.contents)

        run(site, story)

    def test_urgent_orders_go_before_others(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(), Heard()
            async with started(site, outcomes) as hub, working(site, Heard()) as first:
                await first.pause(AGENCY)
                for number in range(WAITING_MAX // 2):
                    assert await hub.send(parcel(b"%d" % number)) is Sent.CONFIRMED
                assert await hub.send(parcel(b"urgent", is_urgent=True)) is Sent.CONFIRMED
                async with working(site, worker, concurrency=1):
                    await outcomes.until_count(WAITING_MAX // 2 + 1)
            assert worker.contents.index(b"urgent") <= self.BEFORE_URGENT_MAX

        run(site, story)

    def test_so_many_are_in_work_at_once_and_no_more(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(gate=asyncio.Event()), Heard()
            async with started(site, outcomes) as hub, working(site, worker, concurrency=3):
                for number in range(10):
                    assert await hub.send(parcel(b"%d" % number)) is Sent.CONFIRMED
                await worker.until_count(3)
                assert worker.gate is not None
                worker.gate.set()
                await outcomes.until_count(10)
            assert worker.at_once_max == 3

        run(site, story)

    def test_an_order_that_was_not_settled_is_told_as_taken(self, site: BrokerSite) -> None:
        async def story() -> None:
            hanging, next_one = Heard(gate=asyncio.Event()), Heard()
            outcomes, lost = Heard(), Heard()
            async with started(site, outcomes, lost) as hub:
                async with working(site, hanging, drain_seconds=0):
                    assert await hub.send(parcel(b"given up")) is Sent.CONFIRMED
                    await hanging.until_count(1)
                assert await lost.until_count(1) == [b"given up"]
                async with working(site, next_one):
                    assert await hub.send(parcel(b"next")) is Sent.CONFIRMED
                    assert await outcomes.until_count(1) == [b"done next"]
            assert lost.taken[0].is_redelivered
            assert next_one.contents == [b"next"]

        run(site, story)

    def test_an_order_whose_handling_breaks_is_told_as_taken(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker = Heard(fails=lambda one: OSError() if one.content == b"poison" else None)
            outcomes, lost = Heard(), Heard()
            async with started(site, outcomes, lost) as hub, working(site, worker):
                assert await hub.send(parcel(b"poison")) is Sent.CONFIRMED
                assert await hub.send(parcel(b"good")) is Sent.CONFIRMED
                assert await lost.until_count(1) == [b"poison"]
                assert await outcomes.until_count(1) == [b"done good"]
            assert lost.taken[0].is_redelivered
            assert sorted(worker.contents) == [b"good", b"poison"]

        run(site, story)

    def test_an_order_that_expired_is_told_as_taken_by_nobody(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes, lost = Heard(), Heard(), Heard()
            async with started(site, outcomes, lost) as hub:
                async with working(site, Heard()) as first:
                    await first.pause(AGENCY)
                    late = parcel(b"late", seconds=0.5)
                    assert await hub.send(late) is Sent.CONFIRMED
                while datetime.now(UTC) <= late.begin_before + timedelta(seconds=0.1):
                    await asyncio.sleep(0.05)
                async with working(site, worker):
                    assert await hub.send(parcel(b"next")) is Sent.CONFIRMED
                    assert await lost.until_count(1) == [b"late"]
                    assert await outcomes.until_count(1) == [b"done next"]
            assert not lost.taken[0].is_redelivered
            assert worker.contents == [b"next"]

        run(site, story)

    def test_an_outcome_that_cannot_be_written_comes_again(self, site: BrokerSite) -> None:
        async def story() -> None:
            failed: list[Taken] = []

            def fails(one: Taken) -> Exception | None:
                failed.append(one)
                return LogUnavailable("disk full") if len(failed) <= 2 else None

            outcomes = Heard(fails=fails)
            async with started(site, outcomes) as hub, working(site, Heard()):
                assert await hub.send(parcel()) is Sent.CONFIRMED
                assert await outcomes.until_count(3) == [b"done order"] * 3
            assert [one.is_redelivered for one in outcomes.taken] == [False, True, True]

        run(site, story)

    def test_an_outcome_whose_settling_breaks_stops_no_other(self, site: BrokerSite) -> None:
        async def story() -> None:
            outcomes = Heard(fails=lambda one: OSError() if one.content == b"done 1" else None)
            expected = {b"done %d" % number for number in range(10)}
            async with started(site, outcomes) as hub, working(site, Heard()):
                for number in range(10):
                    assert await hub.send(parcel(b"%d" % number)) is Sent.CONFIRMED
                await outcomes.until(lambda taken: {one.content for one in taken} == expected)
            assert outcomes.contents.count(b"done 1") == 1

        run(site, story)

    def test_an_outcome_that_was_not_settled_comes_to_the_next_hub(self, site: BrokerSite) -> None:
        async def story() -> None:
            hanging, next_one = Heard(gate=asyncio.Event()), Heard()
            async with working(site, Heard()):
                async with started(site, hanging) as hub:
                    assert await hub.send(parcel()) is Sent.CONFIRMED
                    await hanging.until_count(1)
                async with started(site, next_one):
                    assert await next_one.until_count(1) == [b"done order"]
            assert next_one.taken[0].is_redelivered

        run(site, story)

    def test_an_order_for_nobody_is_refused(self, site: BrokerSite) -> None:
        async def story() -> None:
            async with started(site, Heard()) as hub, working(site, Heard()):
                assert await hub.send(parcel(agency=UNKNOWN_AGENCY)) is Sent.REFUSED
                assert await hub.send(parcel()) is Sent.CONFIRMED

        run(site, story)

    def test_orders_are_refused_while_too_many_wait_and_taken_again_then(
        self, site: BrokerSite
    ) -> None:
        async def story() -> None:
            worker, outcomes = Heard(), Heard()
            async with started(site, outcomes) as hub, working(site, Heard()) as first:
                await first.pause(AGENCY)
                sent: list[Sent] = []
                while not sent or sent[-1] is Sent.CONFIRMED:
                    sent.append(await hub.send(parcel(b"%d" % len(sent))))
                    assert len(sent) < 2 * WAITING_MAX
                assert sent[-1] is Sent.REFUSED
                confirmed = len(sent) - 1
                assert confirmed >= WAITING_MAX
                async with working(site, worker):
                    await outcomes.until_count(confirmed)
                    await send_when_there_is_room(hub, parcel(b"more"))
                    await outcomes.until_count(confirmed + 1)
            assert sorted([*(b"%d" % n for n in range(confirmed)), b"more"]) == sorted(
                worker.contents
            )

        run(site, story)

    def test_an_order_with_nothing_to_say_is_settled(self, site: BrokerSite) -> None:
        async def story() -> None:
            silent, next_one, outcomes = Heard(gives=lambda _: None), Heard(), Heard()
            async with started(site, outcomes) as hub:
                async with working(site, silent):
                    assert await hub.send(parcel(b"silent")) is Sent.CONFIRMED
                    await silent.until_count(1)
                async with working(site, next_one):
                    assert await hub.send(parcel(b"next")) is Sent.CONFIRMED
                    await outcomes.until_count(1)
            assert next_one.contents == [b"next"]

        run(site, story)

    def test_draining_waits_for_what_is_in_work(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, outcomes = Heard(gate=asyncio.Event()), Heard()
            assert worker.gate is not None
            async with started(site, outcomes) as hub:
                async with working(site, worker, drain_seconds=HANG_SECONDS_MAX) as broker:
                    assert await hub.send(parcel()) is Sent.CONFIRMED
                    await worker.until_count(1)
                    # Paused is not gone: what is in work is waited for.
                    await broker.pause(AGENCY)
                    asyncio.get_running_loop().call_later(0.1, worker.gate.set)
                assert await outcomes.until_count(1) == [b"done order"]
                assert not outcomes.taken[0].is_redelivered
            assert len(worker.taken) == 1

        run(site, story)

    def test_a_worker_that_pauses_takes_nothing_until_it_works_again(
        self, site: BrokerSite
    ) -> None:
        async def story() -> None:
            first, other, outcomes = Heard(), Heard(), Heard()
            async with started(site, outcomes) as hub, working(site, first) as broker:
                await broker.work(OTHER_AGENCY, other.order, concurrency=2)
                await broker.pause(AGENCY)
                assert await hub.send(parcel(b"waits")) is Sent.CONFIRMED
                assert await hub.send(parcel(b"goes", OTHER_AGENCY)) is Sent.CONFIRMED
                assert await outcomes.until_count(1) == [b"done goes"]
                assert first.contents == []
                await broker.work(AGENCY, first.order, concurrency=2)
                await outcomes.until_count(2)
                assert first.contents == [b"waits"]

        run(site, story)

    def test_a_query_is_answered_to_who_asks(self, site: BrokerSite) -> None:
        async def story() -> None:
            outcomes = Heard()
            async with started(site, outcomes) as hub, working(site, Heard()):
                questions = [parcel(b"%d" % number) for number in range(10)]
                answers = await asyncio.gather(*(asked(hub, one) for one in questions))
                assert [b"done %d" % number for number in range(10)] == answers
            assert outcomes.taken == []

        run(site, story)

    def test_a_query_is_tried_once(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker = Heard(fails=lambda _: OSError())
            async with started(site, Heard()) as hub, working(site, worker):
                for seconds in (2, 20, 200):
                    question = parcel(seconds=seconds)
                    with pytest.raises((RecipientUnavailable, RecipientTimeout)):
                        await asked(hub, question)
                    if worker.taken:  # and not late
                        break
            assert len(worker.taken) == 1

        run(site, story)

    def test_a_query_is_waited_for_no_longer_than_was_said(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker = Heard(gate=asyncio.Event())
            async with started(site, Heard()) as hub, working(site, worker, drain_seconds=0):
                with pytest.raises(RecipientTimeout):
                    await hub.ask(parcel(), parcel(seconds=0.5).begin_before, any_answer)

        run(site, story)

    def test_a_query_that_nobody_can_take_is_refused(self, site: BrokerSite) -> None:
        async def story() -> None:
            async with started(site, Heard()) as hub:
                question = parcel(agency=UNKNOWN_AGENCY)
                with pytest.raises(RecipientUnavailable):
                    await asked(hub, question)

        run(site, story)

    def test_a_query_is_refused_while_no_worker_takes_any(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker = Heard()
            async with started(site, Heard()) as hub, working(site, worker) as broker:
                assert await asked(hub, parcel(b"1")) == b"done 1"
                await broker.pause(AGENCY)
                with pytest.raises(RecipientUnavailable):
                    await until_refused(hub)
                taken = len(worker.taken)
                await broker.work(AGENCY, worker.order, concurrency=2)
                assert await asked_when_taken(hub, parcel(b"2")) == b"done 2"
                assert len(worker.taken) == taken + 1

        run(site, story)

    def test_an_answer_that_says_nothing_is_waited_on(self, site: BrokerSite) -> None:
        async def story() -> None:
            seen = Heard()

            async def read(taken: Taken) -> bytes | None:
                await seen.outcome(taken)
                return None

            async with started(site, Heard()) as hub, working(site, Heard()):
                with pytest.raises(RecipientTimeout):
                    await hub.ask(parcel(), parcel(seconds=1).begin_before, read)
            assert seen.contents == [b"done order"]

        run(site, story)

    def test_what_reading_an_answer_raises_is_raised(self, site: BrokerSite) -> None:
        async def story() -> None:
            async def read(taken: Taken) -> bytes | None:
                raise AnswerInvalid(public_detail="no element")

            async with started(site, Heard()) as hub, working(site, Heard()):
                with pytest.raises(AnswerInvalid):
                    await hub.ask(parcel(), parcel().begin_before, read)

        run(site, story)

    def test_an_answer_that_comes_too_late_is_told_once(self, site: BrokerSite) -> None:
        async def story() -> None:
            worker, late = Heard(gate=asyncio.Event()), Heard()
            assert worker.gate is not None
            async with started(site, Heard(), late=late) as hub, working(site, worker):
                soon = parcel(seconds=0.5).begin_before
                asking = asyncio.create_task(hub.ask(parcel(), soon, any_answer))
                await worker.until_count(1)
                with pytest.raises(RecipientTimeout):
                    await asking
                assert late.contents == []
                worker.gate.set()
                assert await late.until_count(1) == [b"done order"]
                # Whoever asks meanwhile gets an answer of its own.
                assert await asked(hub, parcel(b"next")) == b"done next"
            assert late.contents == [b"done order"]

        run(site, story)


async def until_refused(hub: OrderBroker) -> None:
    """Ask until it raises: for a while a broker need not know that a worker is gone."""
    while True:
        try:
            await asked(hub, parcel(seconds=1))
        except RecipientTimeout:
            continue


async def asked_when_taken(hub: OrderBroker, question: OrderParcel) -> bytes:
    """Ask until somebody takes it: for a while a broker need not know that one is back."""
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while True:
            try:
                return await asked(hub, question)
            except RecipientUnavailable:
                await asyncio.sleep(0.05)
