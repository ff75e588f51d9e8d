"""What a nemesis can do to each part of a site, for a while; when it returns, that is over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.client.operator_client import tell_hub
from bus.client.status_client import HubNotAsked
from bus.core.errors import LogUnavailable
from bus.delivery.operating import OperatorAct
from bus.sandbox.servers.postgresql import PostgresServer
from bus.sandbox.servers.rabbitmq import RabbitNode
from bus.sandbox.servers.watched_process import ServerBroken
from tests.broker.relay import Relay
from tests.chaos.journaling_agency import Mood
from tests.chaos.nemesis_programs import KeptProgram
from tests.chaos.nemesis_senders import Sender
from tests.chaos.nemesis_site import NemesisSite, Party

COPIES = 60
_SYNCS = "fsync,fdatasync"
_SLOW = "delay_enter=200000"
FaultStrike = Callable[[float], Awaitable[bool | None]]
"""For so many seconds; False: there was nothing to strike at."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something to do to a target, for at most so many seconds."""

    name: str
    target: str
    strike: FaultStrike
    seconds_max: float
    may_miss: bool = False
    """There may be nothing to strike at."""


@dataclass(frozen=True, slots=True)
class StruckParts:
    """All that a nemesis has in its hands."""

    site: NemesisSite
    hubs: Mapping[str, KeptProgram]
    """By origin."""
    workers: Sequence[KeptProgram]
    database: PostgresServer
    database_folder: Path
    database_relay: Relay
    nodes: Sequence[RabbitNode]
    node_relays: Sequence[Relay]
    node_folders: Sequence[Path]
    senders: Sequence[Sender]
    parties: Sequence[Party]
    luck: random.Random


def faults_of(parts: StruckParts) -> list[Fault]:
    """Everything that can go wrong."""
    made: list[Fault] = []
    for origin, hub in parts.hubs.items():
        # Long enough for the other one to go on with its log.
        made += _program_faults(hub, longest=20.0)
        made += [
            Fault("step clock", hub.name, _steps(parts, origin), 5.0),
            Fault(
                "fail disk", hub.name, _failing(_pid_of(hub), "error=ENOSPC"), 3.0, may_miss=True
            ),
            Fault("slow disk", hub.name, _failing(_pid_of(hub), _SLOW), 4.0, may_miss=True),
        ]
    for worker in parts.workers:
        made += _program_faults(worker, longest=12.0)
        made.append(Fault("step clock", worker.name, _steps(parts, worker.name), 5.0))
    made += _database_faults(parts)
    for number, node in enumerate(parts.nodes):
        made += _node_faults(parts, number, node)
    for party in parts.parties:
        for mood in Mood:
            if mood is not Mood.WELL:
                name = f"agency {mood.value}"
                made.append(Fault(name, party.recipient, _mood(parts.site, party, mood), 4.0))
    made.append(Fault("copies", "hubs", _copies(parts), 0.0, may_miss=True))
    made.append(Fault("poison", "worker", _poison(parts), 0.0))
    made += [
        Fault("operator", hub.name, _operates(parts, origin), 0.0, may_miss=True)
        for origin, hub in parts.hubs.items()
    ]
    return made


# --- programs ------------------------------------------------------------------------------------


def _program_faults(program: KeptProgram, *, longest: float) -> list[Fault]:
    async def kill(seconds: float) -> None:
        program.is_held_down = True
        program.signal(signal.SIGKILL)
        await asyncio.sleep(seconds)
        program.is_held_down = False

    async def pause(seconds: float) -> None:
        program.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        program.signal(signal.SIGCONT)

    async def stop(_: float) -> None:
        program.stop()

    return [
        Fault("kill", program.name, kill, longest),
        Fault("pause", program.name, pause, longest),
        Fault("stop", program.name, stop, 0.0),
    ]


def _steps(parts: StruckParts, name: str) -> FaultStrike:
    async def step(seconds: float) -> None:
        by = parts.luck.uniform(-100, 100)
        set_clock(parts.site.clock(name), by)
        await asyncio.sleep(seconds)
        set_clock(parts.site.clock(name), 0.0)

    return step


def set_clock(file: Path, seconds: float) -> None:
    descriptor = os.open(file, os.O_WRONLY)
    os.pwrite(descriptor, f"{seconds:<32.3f}".encode(), 0)
    os.close(descriptor)


def _pid_of(program: KeptProgram) -> Callable[[], list[int]]:
    return lambda: [] if program.process_id is None else [program.process_id]


def _failing(processes: Callable[[], list[int]], effect: str) -> FaultStrike:
    """Each sync of these processes fails, or is slow, as long as strace looks on."""

    async def fail(seconds: float) -> bool:
        named = [word for one in processes() for word in ("-p", str(one))]
        if not named:
            return False
        injected = ["-e", f"trace={_SYNCS}", "-e", f"inject={_SYNCS}:{effect}"]
        strace = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", os.devnull, *injected, *named],
            stderr=subprocess.DEVNULL,
        )
        await asyncio.sleep(seconds)
        strace.terminate()
        await asyncio.to_thread(strace.wait)
        return True

    return fail


# --- database and brokers ------------------------------------------------------------------------


def _database_faults(parts: StruckParts) -> list[Fault]:
    database, relay = parts.database, parts.database_relay

    async def kill(seconds: float) -> None:
        await asyncio.to_thread(database.end)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(database.start)

    async def pause(seconds: float) -> None:
        _signal_group(parts.database_folder, signal.SIGSTOP)
        await asyncio.sleep(seconds)
        _signal_group(parts.database_folder, signal.SIGCONT)

    async def fail_disk(seconds: float) -> None:
        """It ends itself as it must, and starts over what it wrote ahead."""
        await _failing(lambda: _group(parts.database_folder), "error=EIO")(seconds)
        await asyncio.to_thread(database.restart_after_crash)

    slow = _failing(lambda: _group(parts.database_folder), _SLOW)
    return [
        Fault("kill", "database", kill, 6.0),
        Fault("pause", "database", pause, 6.0),
        Fault("fail disk", "database", fail_disk, 2.0),
        Fault("slow disk", "database", slow, 4.0),
        Fault("cut off", "database", _cut(relay), 6.0),
        Fault("hear nothing", "database", _unheard(relay), 4.0),
    ]


def _node_faults(parts: StruckParts, number: int, node: RabbitNode) -> list[Fault]:
    relay, folder = parts.node_relays[number], parts.node_folders[number]

    async def kill(seconds: float) -> None:
        await asyncio.to_thread(node.end)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(node.wait)

    async def pause(seconds: float) -> None:
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        node.signal(signal.SIGCONT)

    async def part(seconds: float) -> None:
        """From both others: neither lets the other in, each goes on by itself."""
        others = [one.name for one in parts.nodes if one is not node]
        await _says(node, [f"erlang:set_cookie('{one}', parted)" for one in others])
        await _says(node, [f"erlang:disconnect_node('{one}')" for one in others])
        await asyncio.sleep(seconds)
        cookie = (folder / ".erlang.cookie").read_text().strip()
        await _says(node, [f"erlang:set_cookie('{one}', '{cookie}')" for one in others])

    return [
        Fault("kill", node.name, kill, 8.0),
        Fault("pause", node.name, pause, 8.0),
        Fault("part from its peers", node.name, part, 8.0),
        Fault("slow disk", node.name, _failing(lambda: _group(folder), _SLOW), 4.0),
        Fault("cut off", node.name, _cut(relay), 6.0),
        Fault("hear nothing", node.name, _unheard(relay), 4.0),
    ]


async def _says(node: RabbitNode, expressions: Sequence[str]) -> None:
    """A node that is away meanwhile forgets it all by itself."""
    with contextlib.suppress(ServerBroken):
        await asyncio.to_thread(node.control, "eval", ", ".join(expressions) + ".")


def _cut(relay: Relay) -> FaultStrike:
    async def cut(seconds: float) -> None:
        relay.cut(may_connect=False)
        await asyncio.sleep(seconds)
        relay.mend()

    return cut


def _unheard(relay: Relay) -> FaultStrike:
    """What is sent arrives, and what is answered is lost."""

    async def hold(seconds: float) -> None:
        relay.hold_answers()
        await asyncio.sleep(seconds)
        relay.cut()

    return hold


def _group(folder: Path) -> list[int]:
    """The processes of a server."""
    group = int((folder / "group.pid").read_text())
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if int(status.read_text("latin-1").rpartition(")")[2].split()[2]) == group:
                found.append(int(status.parent.name))
    return found


def _signal_group(folder: Path, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.killpg(int((folder / "group.pid").read_text()), number)


# --- agencies, senders, operators ----------------------------------------------------------------


def _mood(site: NemesisSite, party: Party, mood: Mood) -> FaultStrike:
    async def be(seconds: float) -> None:
        site.set_mood(party, mood)
        await asyncio.sleep(seconds)
        site.set_mood(party, Mood.WELL)

    return be


def _copies(parts: StruckParts) -> FaultStrike:
    async def send(_: float) -> bool:
        sender = parts.luck.choice(parts.senders)
        message, raw = sender.last
        if not message:
            return False
        sender.copies += COPIES
        await asyncio.gather(*(sender.ask(message, raw) for _ in range(COPIES)))
        return True

    return send


def _poison(parts: StruckParts) -> FaultStrike:
    async def send(_: float) -> None:
        sender = parts.luck.choice([one for one in parts.senders if not one.party.is_ordered])
        await sender.send_poison()

    return send


def _operates(parts: StruckParts, origin: str) -> FaultStrike:
    """An operator decides about some dead letter of a hub, if there is one and a hub to ask."""

    async def operate(_: float) -> bool:
        try:
            dead = await asyncio.to_thread(parts.site.dead_letters, origin)
        except LogUnavailable:
            return False
        if not dead:
            return False
        entry, position = parts.luck.choice(dead)
        acts = (OperatorAct.RESEND, OperatorAct.RESEND, OperatorAct.RESUBMIT, OperatorAct.DISCARD)
        values = {"do": parts.luck.choice(acts).value, "entry": entry, "position": position}
        values |= {"reason": "chaos", "by": "nemesis"}
        try:
            done = await asyncio.to_thread(tell_hub, parts.site.hubs[origin].log.folder, values)
        except HubNotAsked:
            return False
        return "error" not in done

    return operate
