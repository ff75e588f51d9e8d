"""Lines break, queues are missing, others lie: nothing is lost, and all of it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pika
import pytest
import uvloop

from bus.broker.connection import Channel, RabbitAddress, RabbitLink
from bus.broker.consuming import Settler
from bus.broker.declaring import DeclaringFailed, declare
from bus.broker.rabbitmq_hub import RabbitOrderBroker
from bus.broker.topology import NameUnfit, Topology
from bus.core.errors import ConfigurationError, RecipientUnavailable
from bus.core.ports.broker import PARCEL_BYTES_MAX, Sent, Taken
from tests.broker.broker_stories import (
    AGENCY,
    OTHER_AGENCY,
    Heard,
    asked,
    parcel,
    run,
    send_when_there_is_room,
    started,
    working,
)
from tests.broker.rabbit_site import ORIGIN, OTHER_ORIGIN, RabbitSite
from tests.broker.relay import Relay
from tests.hang_limits import HANG_SECONDS_MAX
from tests.servers.fixtures import RabbitAccess

pytestmark = pytest.mark.slow


@pytest.fixture
def site(rabbitmq: RabbitAccess) -> RabbitSite:
    return RabbitSite(rabbitmq.port, rabbitmq.make_prefix())


def test_what_is_not_confirmed_when_the_line_is_cut_is_unknown(site: RabbitSite) -> None:
    async def story() -> None:
        relay = Relay(site.address.nodes[0][1])
        await relay.start()
        hub = site.hub(site.at(relay.port))
        outcomes = Heard()
        await hub.start(outcomes.outcome, Heard().outcome)
        relay.hold_answers()
        sending = [asyncio.create_task(hub.send(parcel(b"%d" % number))) for number in range(5)]
        # Cut off, the broker would forget what it has not read.
        await site.until_waiting(5)
        assert not any(task.done() for task in sending)
        relay.cut(may_connect=False)
        assert await asyncio.gather(*sending) == [Sent.UNKNOWN] * 5
        assert await hub.send(parcel(b"no")) is Sent.REFUSED
        assert hub.trouble
        with pytest.raises(RecipientUnavailable):
            await asked(hub, parcel())
        relay.mend()
        await send_when_there_is_room(hub, parcel(b"again"))
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while hub.trouble:
                await asyncio.sleep(0.01)
        # They may have come, and here they did.
        async with working(site, Heard()):
            await outcomes.until(lambda taken: len({one.content for one in taken}) == 6)
        await hub.close()
        await relay.close()

    run(site, story)


def test_a_worker_goes_on_when_its_line_is_cut_and_says_what_came_of_it(site: RabbitSite) -> None:
    async def story() -> None:
        relay = Relay(site.address.nodes[0][1])
        await relay.start()
        doing, outcomes, lost = Heard(gate=asyncio.Event()), Heard(), Heard()
        assert doing.gate is not None
        worker = site.worker(address=site.at(relay.port))
        await worker.work(AGENCY, doing.order, concurrency=2)
        async with started(site, outcomes, lost) as hub:
            assert await hub.send(parcel(b"held")) is Sent.CONFIRMED
            await doing.until_count(1)
            relay.cut()
            assert await lost.until_count(1) == [b"held"]
            assert lost.taken[0].is_redelivered
            doing.gate.set()
            assert await hub.send(parcel(b"next")) is Sent.CONFIRMED
            assert sorted(await outcomes.until_count(2)) == [b"done held", b"done next"]
        await worker.drain(HANG_SECONDS_MAX)
        assert sorted(doing.contents) == [b"held", b"next"]
        await relay.close()

    run(site, story)


def test_an_agency_without_a_queue_is_named_until_it_has_one(site: RabbitSite) -> None:
    async def story() -> None:
        async with started(site, Heard()) as hub:
            assert await hub.send(parcel(agency="newcomer")) is Sent.REFUSED
            assert hub.without_queue == {"newcomer"}
            await declare(site.address, site.topology, ["newcomer"], [ORIGIN])
            assert await hub.send(parcel(agency="newcomer")) is Sent.CONFIRMED
            assert not hub.without_queue
            with pytest.raises(RecipientUnavailable):
                await asked(hub, parcel(agency="stranger"))
            assert hub.without_queue == {"stranger"}

    run(site, story)


def test_whoever_asks_does_not_wait_for_deliveries(site: RabbitSite) -> None:
    async def story() -> None:
        gate = asyncio.Event()

        async def do(taken: Taken) -> bytes:
            if taken.content != b"question":
                held.append(taken.content)
                await gate.wait()
            return b"done " + taken.content

        held: list[bytes] = []
        worker, outcomes = site.worker(), Heard()
        await worker.work(AGENCY, do, concurrency=1)
        async with started(site, outcomes) as hub:
            assert await hub.send(parcel(b"1")) is Sent.CONFIRMED
            assert await hub.send(parcel(b"2", is_urgent=True)) is Sent.CONFIRMED
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while not held:
                    await asyncio.sleep(0.01)
            assert await asked(hub, parcel(b"question")) == b"done question"
            assert len(held) == 1
            gate.set()
            await outcomes.until_count(2)
        await worker.drain(HANG_SECONDS_MAX)

    run(site, story)


def test_one_node_that_answers_is_enough(site: RabbitSite) -> None:
    async def story() -> None:
        relay = Relay(site.address.nodes[0][1])
        await relay.start()
        relay.cut(may_connect=False)
        outcomes = Heard()
        hub = site.hub(site.at(relay.port, 1, site.address.nodes[0][1]))
        await hub.start(outcomes.outcome, Heard().outcome)
        async with working(site, Heard()):
            assert await hub.send(parcel()) is Sent.CONFIRMED
            await outcomes.until_count(1)
        await hub.close()
        await relay.close()

    run(site, story)


def test_a_hub_starts_without_its_broker_and_finds_it(
    site: RabbitSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.broker.rabbitmq_hub.STARTING_SECONDS_MAX", 0.5)

    async def story() -> None:
        relay = Relay(site.address.nodes[0][1])
        await relay.start()
        relay.cut(may_connect=False)
        hub = site.hub(site.at(relay.port))
        await hub.start(Heard().outcome, Heard().outcome)
        assert hub.trouble == "no node of the broker answers"
        assert await hub.send(parcel()) is Sent.REFUSED
        relay.mend()
        await send_when_there_is_room(hub, parcel())
        await hub.close()
        await relay.close()

    run(site, story)


def test_what_the_operator_must_mend_is_said_at_once(site: RabbitSite) -> None:
    async def story() -> None:
        unknown = RabbitOrderBroker(site.address, site.topology, "undeclared.example.vn/log")
        with pytest.raises(ConfigurationError, match="broker declare"):
            await unknown.start(Heard().outcome, Heard().outcome)
        nodes = site.address.nodes
        stranger = site.hub(RabbitAddress(nodes, "guest", "wrong"))
        with pytest.raises(ConfigurationError, match="refuses user guest"):
            await stranger.start(Heard().outcome, Heard().outcome)
        elsewhere = site.hub(RabbitAddress(nodes, "guest", "guest", "no-such-host"))
        with pytest.raises(ConfigurationError, match="refuses user guest or its virtual host"):
            await elsewhere.start(Heard().outcome, Heard().outcome)
        worker = site.worker()
        with pytest.raises(ConfigurationError, match="nobody"):
            await worker.work("nobody", Heard().order, concurrency=1)

    run(site, story)


def test_declaring_again_changes_nothing_and_says_what_is_another(site: RabbitSite) -> None:
    async def story() -> None:
        agencies, origins = [AGENCY, OTHER_AGENCY], [ORIGIN, OTHER_ORIGIN]
        names = await declare(site.address, site.topology, agencies, origins)
        prefix = site.topology.prefix
        assert names == [
            f"{prefix}.outcome.{ORIGIN}",
            f"{prefix}.dead.{ORIGIN}",
            f"{prefix}.outcome.{OTHER_ORIGIN}",
            f"{prefix}.dead.{OTHER_ORIGIN}",
            f"{prefix}.work.{AGENCY}.high",
            f"{prefix}.work.{AGENCY}",
            f"{prefix}.query.{AGENCY}",
            f"{prefix}.work.{OTHER_AGENCY}.high",
            f"{prefix}.work.{OTHER_AGENCY}",
            f"{prefix}.query.{OTHER_AGENCY}",
        ]
        other = Topology(prefix, orders_waiting_max=1000)
        with pytest.raises(DeclaringFailed) as failed:
            await declare(site.address, other, [AGENCY], [ORIGIN])
        assert [one.partition(":")[0] for one in failed.value.problems] == [
            f"{prefix}.work.{AGENCY}.high",
            f"{prefix}.work.{AGENCY}",
        ]
        assert "x-max-length" in failed.value.problems[0]
        wrong = RabbitAddress(site.address.nodes, "guest", "wrong")
        with pytest.raises(DeclaringFailed, match="refuses user"):
            await declare(wrong, site.topology, [], [])
        for agency, origin in (("Dancu", ORIGIN), ("a.b", ORIGIN), (AGENCY, "x.#"), (AGENCY, "*")):
            with pytest.raises(NameUnfit):
                await declare(site.address, site.topology, [agency], [origin])

    run(site, story)


def test_what_is_too_large_for_a_broker_is_not_taken(site: RabbitSite) -> None:
    async def story() -> None:
        async with started(site, Heard()) as hub:
            assert await hub.send(parcel(bytes(PARCEL_BYTES_MAX + 1))) is Sent.REFUSED
            assert await hub.send(parcel(seconds=-1)) is Sent.REFUSED
            assert await hub.send(parcel()) is Sent.CONFIRMED

    run(site, story)


def test_each_hub_hears_of_its_own_orders(site: RabbitSite) -> None:
    async def story() -> None:
        ours, theirs, our_lost, their_lost = Heard(), Heard(), Heard(), Heard()
        other = site.hub(origin=OTHER_ORIGIN)
        await other.start(theirs.outcome, their_lost.outcome)
        doing = Heard(fails=lambda one: OSError() if b"bad" in one.content else None)
        async with started(site, ours, our_lost) as hub, working(site, doing):
            for content in (b"ours", b"ours bad"):
                assert await hub.send(parcel(content, is_urgent=True)) is Sent.CONFIRMED
            for content in (b"theirs", b"theirs bad"):
                assert await other.send(parcel(content)) is Sent.CONFIRMED
            assert await ours.until_count(1) == [b"done ours"]
            assert await theirs.until_count(1) == [b"done theirs"]
            assert await our_lost.until_count(1) == [b"ours bad"]
            assert await their_lost.until_count(1) == [b"theirs bad"]
        await other.close()

    run(site, story)


def test_who_forges_a_sender_stops_nobody_but_himself(site: RabbitSite) -> None:
    async def story() -> None:
        outcomes = Heard()
        forger = RabbitLink(site.address, "forger")
        await forger.start(HANG_SECONDS_MAX)
        async with started(site, outcomes) as hub, working(site, Heard()):
            channel = await forger.channel()
            _publish(channel, site.topology.outcome, ORIGIN, b"forged", user_id="another")
            await asyncio.wait({channel.closed}, timeout=HANG_SECONDS_MAX)
            assert "406" in str(channel.lost())
            assert await hub.send(parcel()) is Sent.CONFIRMED
            assert await outcomes.until_count(1) == [b"done order"]
            # Whoever says nothing of himself has no name; whoever does has his own.
            channel = await forger.channel()
            _publish(channel, site.topology.outcome, ORIGIN, b"nameless", user_id=None)
            await outcomes.until_count(2)
            assert [one.sender for one in outcomes.taken] == ["guest", ""]
        await forger.close()

    run(site, story)


def test_an_order_that_says_not_whose_it_is_is_given_up(
    site: RabbitSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.broker.rabbitmq_work.OUTCOME_AGAIN_SECONDS", (0.01, 0.01))

    async def story() -> None:
        stranger = RabbitLink(site.address, "stranger")
        await stranger.start(HANG_SECONDS_MAX)
        channel = await stranger.channel()
        outcomes, lost = Heard(), Heard()
        async with started(site, outcomes, lost) as hub, working(site, Heard()):
            key = site.topology.work_key(AGENCY, ORIGIN, is_urgent=False)
            _publish(channel, site.topology.work, key, b"nobody's", user_id=None)
            assert await lost.until_count(1) == [b"nobody's"]
            assert await hub.send(parcel()) is Sent.CONFIRMED
            assert await outcomes.until_count(1) == [b"done order"]
        await stranger.close()

    run(site, story)


def test_a_queue_that_is_deleted_and_made_again_is_taken_from_again(site: RabbitSite) -> None:
    async def story() -> None:
        operator = RabbitLink(site.address, "operator")
        await operator.start(HANG_SECONDS_MAX)
        channel = await operator.channel()
        outcomes = Heard()
        async with started(site, outcomes) as hub, working(site, Heard()) as worker:
            queue = site.topology.work_queue(AGENCY, is_urgent=False)
            await channel.call(channel.raw.queue_delete, queue)
            assert await hub.send(parcel()) is Sent.REFUSED
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while not worker.trouble:
                    await asyncio.sleep(0.05)
            assert worker.trouble == f"the queues of {AGENCY} are not taken from"
            await declare(site.address, site.topology, [AGENCY], [ORIGIN])
            await send_when_there_is_room(hub, parcel())
            assert await outcomes.until_count(1) == [b"done order"]
        await operator.close()

    run(site, story)


def test_a_story_under_uvloop(site: RabbitSite) -> None:
    async def story() -> None:
        outcomes, doing = Heard(), Heard()
        async with started(site, outcomes) as hub, working(site, doing):
            sent = await asyncio.gather(*(hub.send(parcel(b"%d" % n)) for n in range(15)))
            assert sent == [Sent.CONFIRMED] * 15
            await outcomes.until_count(15)
            assert await asked(hub, parcel(b"q")) == b"done q"

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_in_time(story))


def test_acknowledgements_of_one_turn_are_one_where_they_follow_each_other() -> None:
    async def story() -> list[tuple[str, int, bool]]:
        raw = _AckRecorder()
        settler = Settler(Channel(raw))
        for tag in range(1, 8):
            settler.expect(tag)
        for tag in (2, 1, 3, 5):
            settler.settle(tag)
        settler.settle(99)
        await asyncio.sleep(0)
        settler.give_back(4)
        settler.give_back(4)
        for tag in (6, 5):
            settler.settle(tag)
        await asyncio.sleep(0)
        return raw.said

    assert asyncio.run(story()) == [
        ("ack", 3, True),
        ("ack", 5, False),
        ("reject", 4, True),
        ("ack", 6, True),
    ]


class _AckRecorder:
    """A channel of pika that remembers what was acknowledged."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, bool]] = []

    def add_on_close_callback(self, _: Callable[..., None]) -> None:
        """It is never closed."""

    def basic_ack(self, tag: int, multiple: bool = False) -> None:
        self.said.append(("ack", tag, multiple))

    def basic_reject(self, tag: int, requeue: bool) -> None:
        self.said.append(("reject", tag, requeue))


def _publish(
    channel: Channel, exchange: str, key: str, content: bytes, *, user_id: str | None
) -> None:
    properties = pika.BasicProperties(user_id=user_id, delivery_mode=2)
    channel.now(channel.raw.basic_publish, exchange, key, content, properties)


async def _in_time(story: Callable[[], Awaitable[None]]) -> None:
    async with asyncio.timeout(1.5 * HANG_SECONDS_MAX):
        await story()
