"""What only nodes of one's own can show: kills, users and their rights, TLS, a full memory.

The cluster comes first and is gone before the node starts: each takes the machine for itself.
"""

from __future__ import annotations

import asyncio
import shlex
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from click.testing import CliRunner

from bus.broker.connection import (
    BrokerRefused,
    Channel,
    RabbitAddress,
    RabbitLink,
)
from bus.broker.rabbitmq_hub import RabbitOrderBroker
from bus.broker.rabbitmq_work import RabbitWorkBroker
from bus.broker.topology import Topology
from bus.cli.broker import broker
from bus.core.ports.broker import Sent
from bus.sandbox.servers.rabbitmq import RabbitCluster, RabbitNode
from bus.settings.hub import read_hub_settings
from bus.trust.broker_access import rabbit_address
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
from tests.broker.rabbit_site import ORIGIN, RabbitSite
from tests.hang_limits import HANG_SECONDS_MAX
from tests.settings.test_hub_settings import HUB

pytestmark = pytest.mark.slow

PASSWORD = "mật khẩu"
ORDERS = 60


@pytest.mark.timeout(4 * HANG_SECONDS_MAX)
def test_nothing_that_was_confirmed_is_lost_when_nodes_die(
    rabbitmq_cluster: RabbitCluster,
) -> None:
    nodes = rabbitmq_cluster.nodes
    site = RabbitSite(nodes[0].port, "cluster")
    everywhere = site.at(*(node.port for node in nodes))

    async def story() -> None:
        outcomes, lost = Heard(), Heard()

        async def until_told(sent: dict[bytes, Sent]) -> None:
            confirmed = {one for one, became in sent.items() if became is Sent.CONFIRMED}
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while not confirmed <= {
                    *(one.content.removeprefix(b"done ") for one in outcomes.taken),
                    *(one.content for one in lost.taken),
                }:
                    await asyncio.sleep(0.05)

        hub, worker = site.hub(everywhere), site.worker(address=everywhere)
        await hub.start(outcomes.outcome, lost.outcome)
        await worker.work(AGENCY, Heard().order, concurrency=4)
        sent: dict[bytes, Sent] = {}
        for number in range(ORDERS):
            if number % 20 == 10:
                # Each node dies once, and is back before the next one does. Meanwhile no worker
                # may come by orders: there must be room for those that are sent.
                await until_told(sent)
                await asyncio.to_thread(nodes[number // 20].end)
            content = b"%d" % number
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while (became := await hub.send(parcel(content, seconds=3600))) is Sent.REFUSED:
                    await asyncio.sleep(0.05)
            sent[content] = became
            if number % 20 == 19:
                node = nodes[number // 20]
                await asyncio.to_thread(node.start)
                await asyncio.to_thread(node.wait)
        confirmed = {one for one, became in sent.items() if became is Sent.CONFIRMED}
        assert len(confirmed) > ORDERS // 2
        await until_told(sent)
        assert all(one.is_redelivered for one in lost.taken)
        await worker.drain(HANG_SECONDS_MAX)
        await hub.close()

    run(site, story, seconds_max=3 * HANG_SECONDS_MAX)


def settings_file(folder: Path, node: RabbitNode, prefix: str) -> Path:
    """hub.yaml with a broker that is reached with TLS."""
    (folder / "authority.pem").write_text(node.authority)
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "password").chmod(0o600)
    (folder / "guest").write_text("guest\n")
    (folder / "guest").chmod(0o600)
    text = HUB.replace("lienthong.example/vn", ORIGIN) + (
        "broker:\n"
        f"  agencies: [{AGENCY}, {OTHER_AGENCY}]\n"
        "  rabbitmq:\n"
        f"    nodes: ['127.0.0.1:{node.tls_port}']\n"
        "    user: hub\n"
        "    password_file: password\n"
        f"    prefix: {prefix}\n"
        "    tls: {anchors: [authority.pem]}\n"
    )
    file = folder / "hub.yaml"
    file.write_text(text)
    return file


def ran(*arguments: str) -> str:
    result = CliRunner().invoke(broker, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def installed(rabbitmq_node: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hub.yaml of a broker set up by the book: declared, with the users that are printed."""
    file = settings_file(tmp_path_factory.mktemp("installed"), rabbitmq_node, "lt")
    as_guest = ("--user", "guest", "--password-file", str(file.parent / "guest"))
    for _ in range(2):
        declared = ran("declare", "--settings", str(file), *as_guest)
        assert f"lt.work.{AGENCY}.high\n" in declared
    for line in ran("declare", "--settings", str(file), "--users").splitlines():
        program, *arguments = shlex.split(line)
        assert program == "rabbitmqctl"
        if arguments[0] == "add_user":
            arguments.append(PASSWORD)
        rabbitmq_node.control(*arguments)
    return file


def address_of(file: Path, user: str) -> RabbitAddress:
    settings = read_hub_settings(file)
    assert settings.broker is not None
    known = rabbit_address(settings.broker.rabbitmq)
    return RabbitAddress(known.nodes, user, known.password, known.virtual_host, known.tls)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_hub_and_worker_work_with_the_rights_that_are_printed(
    installed: Path, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def story() -> None:
        hub = RabbitOrderBroker(address_of(installed, "hub"), Topology("lt"), ORIGIN)
        worker = RabbitWorkBroker(address_of(installed, f"worker-{AGENCY}"), Topology("lt"))
        outcomes, lost = Heard(), Heard()
        await hub.start(outcomes.outcome, lost.outcome)
        doing = Heard(fails=lambda one: OSError() if one.content == b"bad" else None)
        await worker.work(AGENCY, doing.order, concurrency=2)
        for content in (b"good", b"bad", b"x" * 3_000_000):
            assert await hub.send(parcel(content)) is Sent.CONFIRMED
        await outcomes.until_count(2)
        assert {one.sender for one in outcomes.taken} == {f"worker-{AGENCY}"}
        assert await lost.until_count(1) == [b"bad"]
        assert lost.taken[0].sender == "hub"
        assert await asked(hub, parcel(b"q")) == b"done q"
        await worker.drain(HANG_SECONDS_MAX)
        await hub.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(story(), 1.5 * HANG_SECONDS_MAX))


def test_a_worker_may_do_nothing_else(installed: Path) -> None:
    """Each right that it has not, tried one by one; its own it has."""
    worker = f"worker-{AGENCY}"

    def consume(queue: str) -> Callable[[Channel], object]:
        return lambda channel: channel.call(channel.raw.basic_consume, queue, print)

    def publish(exchange: str, key: str) -> Callable[[Channel], object]:
        async def act(channel: Channel) -> None:
            channel.now(channel.raw.basic_publish, exchange, key, b"x")
            # What is refused closes the channel; what is not answers the next call.
            await channel.call(channel.raw.queue_declare, f"lt.work.{AGENCY}", passive=True)

        return act

    def declare(name: str) -> Callable[[Channel], object]:
        return lambda channel: channel.call(channel.raw.queue_declare, name)

    refused = {
        "work of another agency": consume(f"lt.work.{OTHER_AGENCY}"),
        "urgent work of another": consume(f"lt.work.{OTHER_AGENCY}.high"),
        "queries of another": consume(f"lt.query.{OTHER_AGENCY}"),
        "outcomes": consume(f"lt.outcome.{ORIGIN}"),
        "orders given up": consume(f"lt.dead.{ORIGIN}"),
        "orders": publish("lt.work", f"{AGENCY}.normal.{ORIGIN}"),
        "queries": publish("lt.query", AGENCY),
        "what was given up": publish("lt.dead", f"a.normal.{ORIGIN}"),
        "the default exchange": publish("", f"lt.work.{OTHER_AGENCY}"),
        "a usual exchange": publish("amq.direct", "x"),
        "a queue": declare("own"),
        "a queue named like one": declare("lt.work.new"),
        "an exclusive queue": lambda channel: channel.call(
            channel.raw.queue_declare, "", exclusive=True
        ),
        "deleting": lambda channel: channel.call(channel.raw.queue_delete, f"lt.work.{AGENCY}"),
        "purging": lambda channel: channel.call(channel.raw.queue_purge, f"lt.work.{OTHER_AGENCY}"),
        "binding": lambda channel: channel.call(
            channel.raw.queue_bind, f"lt.work.{AGENCY}", "lt.work", "ho-so.#"
        ),
        "another exchange": lambda channel: channel.call(
            channel.raw.exchange_declare, "own", "direct"
        ),
    }
    refused |= {f"to hand in to {one}": publish(one, "x") for one in others_exchanges()}
    for exchange in (*others_exchanges(), "lt.outcome", "lt.reply"):
        refused[f"to delete the exchange {exchange}"] = calling("exchange_delete", exchange)
    for queue in others_queues():
        source = queue.rpartition(".")[0]
        refused[f"to take from {queue}"] = consume(queue)
        refused[f"to empty {queue}"] = calling("queue_purge", queue)
        refused[f"to delete {queue}"] = calling("queue_delete", queue)
        refused[f"to bind {queue}"] = calling("queue_bind", queue, source, "#")
    allowed = {
        "its work": consume(f"lt.work.{AGENCY}"),
        "its urgent work": consume(f"lt.work.{AGENCY}.high"),
        "its queries": consume(f"lt.query.{AGENCY}"),
        "outcomes": publish("lt.outcome", "nobody"),
        "answers": publish("lt.reply", "nobody"),
    }

    async def story() -> None:
        link = RabbitLink(address_of(installed, worker), "worker")
        await link.start(HANG_SECONDS_MAX)
        found = {what: await _refusal(link, act) for what, act in refused.items()}
        assert {what: said[:3] for what, said in found.items()} == dict.fromkeys(refused, "403")
        for act in allowed.values():
            await _acted(link, act)
        for host in ("other", ""):
            elsewhere = address_of(installed, worker)
            address = RabbitAddress(
                elsewhere.nodes, worker, elsewhere.password, host, elsewhere.tls
            )
            stranger = RabbitLink(address, "worker")
            with pytest.raises(BrokerRefused):
                await stranger.start(HANG_SECONDS_MAX)
            await stranger.close()
        await link.close()

    asyncio.run(asyncio.wait_for(story(), 1.5 * HANG_SECONDS_MAX))


def calling(method: str, *arguments: str) -> Callable[[Channel], object]:
    """Have the broker do this."""
    return lambda channel: channel.call(getattr(channel.raw, method), *arguments)


def others_exchanges() -> list[str]:
    """Every exchange but the two that a worker hands in to."""
    topology = Topology("lt")
    names = [one.name for one in topology.exchanges()]
    usual = ["amq.direct", "amq.topic", "amq.fanout", "amq.headers", "amq.match"]
    return [one for one in names if one not in (topology.outcome, topology.reply)] + usual


def others_queues() -> list[str]:
    """Every queue of the installation but the worker's own."""
    topology = Topology("lt")
    queues = [*topology.agency_queues(OTHER_AGENCY), *topology.hub_queues(ORIGIN)]
    return [one.name for one in queues]


async def _refusal(link: RabbitLink, act: Callable[[Channel], object]) -> str:
    try:
        await _acted(link, act)
    except BrokerRefused as error:
        return str(error)
    return "allowed"


async def _acted(link: RabbitLink, act: Callable[[Channel], object]) -> None:
    channel = await link.channel()
    await act(channel)  # type: ignore[misc]
    await channel.close()


def test_a_broker_must_be_whom_we_know(rabbitmq_node: RabbitNode) -> None:
    async def trouble_of(
        host: str, context: ssl.SSLContext, seconds: float = HANG_SECONDS_MAX
    ) -> str:
        address = RabbitAddress(((host, rabbitmq_node.tls_port),), "guest", "guest", "/", context)
        link = RabbitLink(address, "careful")
        await link.start(seconds)
        trouble = link.trouble
        await link.close()
        return trouble

    known = ssl.create_default_context(cadata=rabbitmq_node.authority)
    assert asyncio.run(trouble_of("127.0.0.1", known)) == ""
    assert asyncio.run(trouble_of("localhost", known)) == ""
    stranger = ssl.create_default_context()
    assert asyncio.run(trouble_of("127.0.0.1", stranger, 3)) == "no node of the broker answers"
    assert asyncio.run(trouble_of("127.0.0.2", known, 3)) == "no node of the broker answers"


def test_a_full_memory_holds_orders_back_and_lets_them_go_again(rabbitmq_node: RabbitNode) -> None:
    site = RabbitSite(rabbitmq_node.port, "full")

    async def story() -> None:
        async with started(site, Heard()) as hub, working(site, Heard()):
            await asyncio.to_thread(
                rabbitmq_node.control, "set_vm_memory_high_watermark", "absolute", "1MB"
            )
            sending = asyncio.create_task(hub.send(parcel()))
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while not hub.trouble:
                    if sending.done():  # the broker says so to who sends while it is so
                        sending = asyncio.create_task(hub.send(parcel()))
                    await asyncio.sleep(0.05)
            assert hub.trouble == "the broker takes nothing: its memory or disk is full"
            assert await hub.send(parcel()) is Sent.REFUSED
            await asyncio.to_thread(
                rabbitmq_node.control, "set_vm_memory_high_watermark", "absolute", "1GB"
            )
            assert await sending in (Sent.CONFIRMED, Sent.UNKNOWN)
            await send_when_there_is_room(hub, parcel())
            assert hub.trouble == ""

    run(site, story)


def test_a_node_that_was_killed_has_what_it_confirmed(rabbitmq_node: RabbitNode) -> None:
    site = RabbitSite(rabbitmq_node.port, "killed")

    async def story() -> None:
        outcomes = Heard()
        async with started(site, outcomes) as hub:
            sent = [await hub.send(parcel(b"%d" % n, seconds=3600)) for n in range(10)]
            assert sent == [Sent.CONFIRMED] * 10
            await asyncio.to_thread(rabbitmq_node.end)
            assert await hub.send(parcel(b"no")) is not Sent.CONFIRMED
            rabbitmq_node.start()
            await asyncio.to_thread(rabbitmq_node.wait)
            await send_when_there_is_room(hub, parcel(b"10", seconds=3600))
            async with working(site, Heard()):
                expected = {b"done %d" % n for n in range(11)}
                await outcomes.until(lambda taken: expected <= {one.content for one in taken})

    run(site, story)
