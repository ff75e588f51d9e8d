"""Agencies are probed in their time, beside messages; what comes back is let in at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

import pytest
import structlog

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.probing import AWAY_SECONDS, ProbeStatus, Probing, recipients_of
from bus.kit.contract import Adapter, Answer, Query
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import REFERENCE, payload

NAMED = REFERENCE.recipients[SubsystemId.parse("VN/GOV/H41/vanban")]
"""Reaches dozens."""
OFFICES = sorted(map(str, recipients_of(NAMED, REFERENCE)))
PORTAL = next(
    str(one.adapter) for one in REFERENCE.services.values() if one.submission and one.adapter
)
"""Reaches one."""
EVERY = 60.0


class Probed(Adapter):
    """Does what a test says with each probe; remembers for whom, and on which thread."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[str] = []
        self.threads: list[str] = []
        self.script: Callable[[], None] = lambda: None

    def answer(self, query: Query) -> Answer:
        return Answer(payload(b"<a/>"))

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        self.asked.append(str(recipient))
        self.threads.append(threading.current_thread().name)
        self.script()


class Unprobed(Adapter):
    def answer(self, query: Query) -> Answer:
        return Answer(payload(b"<a/>"))


@dataclass
class World:
    """One adapter for the offices, and one for the portal, which cannot be probed."""

    offices: Probed = field(default_factory=Probed)
    now: float = 500.0
    back: list[str] = field(default_factory=list)

    def tell(self, story: Callable[[Probing, AdapterCalls], object], **more: float) -> None:
        async def run() -> None:
            calls = AdapterCalls(NAMED, self.offices, concurrency=2)
            unprobed = AdapterCalls(PORTAL, Unprobed({}), concurrency=2)
            with closing(calls), closing(unprobed):
                probing = Probing(
                    {NAMED: calls, PORTAL: unprobed},
                    REFERENCE,
                    self.back.append,
                    every_seconds=more.get("every", EVERY),
                    monotonic=lambda: self.now,
                )
                told = story(probing, calls)
                assert asyncio.iscoroutine(told)
                await told

        asyncio.run(run())


@pytest.fixture
def world() -> World:
    return World()


def of(probing: Probing, recipient: str) -> ProbeStatus:
    return next(one for one in probing.status() if one.recipient == recipient)


def away() -> None:
    raise errors.RecipientUnavailable("away")


def test_each_recipient_is_probed_once_in_its_time_on_its_agencys_threads(world: World) -> None:
    async def story(probing: Probing, _: AdapterCalls) -> None:
        await probing.turn()
        assert world.offices.asked == []  # not all of them at the start
        for _second in range(2 * int(EVERY) - 1):
            world.now += 1
            await probing.turn()

        assert sorted(world.offices.asked) == OFFICES
        assert {one.recipient for one in probing.status()} == set(OFFICES)
        assert {(one.is_reached, one.code, one.failed) for one in probing.status()} == {
            (True, "", 0)
        }

    world.tell(story)
    assert len(OFFICES) > 20
    assert {name.startswith(f"adapter-{NAMED}") for name in world.offices.threads} == {True}
    assert world.back == []


def test_one_that_is_away_is_asked_more_often_and_its_return_is_told_once(world: World) -> None:
    async def story(probing: Probing, _: AdapterCalls) -> None:
        with structlog.testing.capture_logs() as told:
            world.offices.script = away
            await probing.once()
            first = OFFICES[0]
            gone = of(probing, first)
            assert (gone.is_reached, gone.code) == (False, errors.RecipientUnavailable.code)
            world.now += AWAY_SECONDS
            await probing.turn()
            assert of(probing, first).failed == 2
            assert of(probing, first).seconds == AWAY_SECONDS

            world.offices.script = lambda: None
            for _time in range(3):
                world.now += EVERY
                await probing.turn()

        assert of(probing, first).is_reached
        assert sorted(world.back) == OFFICES
        events = [(one["event"], one["recipient"]) for one in told if one["recipient"] == first]
        assert events == [("recipient.away", first), ("recipient.back", first)]

    world.tell(story)


def test_a_mistake_of_an_adapter_is_told_by_its_code_and_nothing_else(world: World) -> None:
    def broken() -> None:
        raise ValueError("secret words")

    async def story(probing: Probing, _: AdapterCalls) -> None:
        world.offices.script = broken
        with structlog.testing.capture_logs() as told:
            await probing.once()

        assert of(probing, OFFICES[0]).code == errors.AdapterBroken.code
        assert "secret words" not in str(told)

    world.tell(story)


def test_where_no_thread_is_free_nothing_is_learnt(world: World) -> None:
    gate = threading.Event()

    def wait() -> None:
        assert gate.wait(HANG_SECONDS_MAX)

    async def story(probing: Probing, calls: AdapterCalls) -> None:
        world.offices.script = wait
        somebody = SubsystemId.parse(OFFICES[0])
        with pytest.raises(errors.RecipientTimeout):
            await calls.probe(somebody, 0.01)
        with pytest.raises(errors.RecipientTimeout):
            await calls.probe(somebody, 0.01)

        await probing.once()  # both threads hang

        assert {(one.is_reached, one.failed) for one in probing.status()} == {(None, 0)}
        assert len(world.offices.asked) == 2
        gate.set()
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while calls.metrics().hanging:
                await asyncio.sleep(0.001)

    world.tell(story)


def test_without_a_time_between_probes_none_is_made(world: World) -> None:
    async def story(probing: Probing, _: AdapterCalls) -> None:
        probing.start()
        await asyncio.sleep(0)
        await probing.close()

        assert world.offices.asked == []

    world.tell(story, every=0.0)


def test_providers_and_named_recipients_are_whom_an_adapter_reaches() -> None:
    portal = ServiceId.parse("VN/GOV/G22/dichvucong/CapNhatTienDoHoSoMC/v1").provider

    assert recipients_of(PORTAL, REFERENCE) == {portal}
    assert str(SubsystemId.parse("VN/GOV/H41/vanban")) in OFFICES
