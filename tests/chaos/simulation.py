"""Run one seed: senders, agencies, a hub that dies, ports that fail; then heal, drain and check.

A seed decides everything: what goes wrong at all in this run, how often, and when.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from structlog.testing import capture_logs

from bus.core.decision import Decision
from bus.core.deliveries import DeliveryKey, DeliveryState
from bus.core.errors import LogUnavailable
from bus.core.exchange_leaves import ACCEPTED
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.log.leaf import Event, read_leaf
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.core.pipeline import Rules
from bus.core.registry import Mode, SubmissionRule
from bus.core.routing import Recipient
from bus.delivery.operating import NotDone, OperatorSays
from bus.exchange.replies import ANSWERED_AGAIN
from bus.mailbox.messages import Mailboxes
from bus.protocols.reply import Reply
from bus.runtime.telemetry import places_of
from tests.chaos.checker import Found, Promises, check
from tests.chaos.journals import MemoryJournal, Sent, Struck, TellAccepted
from tests.chaos.log_story import LogStory
from tests.chaos.receipts import accepted_receipt
from tests.chaos.simulated_agencies import SimulatedAgency
from tests.chaos.simulated_hub import (
    RECEIPT_KEY,
    SEALER,
    Ground,
    KeptOrders,
    KeptReports,
    SimulatedHub,
    work_apart,
)
from tests.chaos.simulated_loop import Life, LoopStuckError, SimulatedLoop
from tests.chaos.simulated_plan import FORGETTING, REMEMBERING, Plan
from tests.chaos.simulated_ports import FaultyBroker, FaultyLog
from tests.chaos.simulated_post import CASES, Post
from tests.chaos.simulated_pullers import FETCHING, FetchingPrograms, tell_of
from tests.log.memory_entry_store import MemoryDisk, MemoryEntryStore
from tests.nation import LOOKUP, NOW

STORM_SECONDS = 30.0
"""So long things go wrong."""
CALM_SECONDS_MAX = 600.0
"""So long after that everything must have come to its end."""
LINGER_SECONDS = 30.0
"""For what comes late."""
TIMEOUT_SECONDS = 3.0
ORDER_WAIT_SECONDS = 4


_MISTAKES = (
    "exchange.broken",
    "delivering.broken",
    "delivery.message-gone",
    "broker.outcome-broken",
    "broker.order-broken",
    "report.refused",
)
"""What a hub says in its diagnostics when something went as nobody meant it to."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a seed."""

    seed: int
    found: Found
    struck: Mapping[str, int]
    """Faults by name."""
    steps: int


class Simulation:
    """One seed's world."""

    def __init__(self, post: Post, seed: int) -> None:
        self._post = post
        self._seed = seed
        self._plan = Plan.of(seed)
        self._luck = self._plan.luck
        self._loop = SimulatedLoop(self._luck)
        self._faults = self._plan.faults()
        self._disk = MemoryDisk()
        self._journal = MemoryJournal()
        self._committed_at: list[int] = []
        self._hub: SimulatedHub | None = None
        self._life = Life("hub 0")
        self._leaks: list[str] = []
        self._asked: set[asyncio.Future[Any]] = set()
        """Whoever waits for a hub that is alive."""
        self._fetching = FetchingPrograms(
            self._ask_mailboxes, self._luck, self._journal, self._clock
        )
        self._ground = self._prepare()

    def _prepare(self) -> Ground:
        agencies = {
            _adapter_of(one): SimulatedAgency(
                str(one), self._plan.manners[str(one)], self._journal, self._faults
            )
            for one in (REMEMBERING, FORGETTING)
        }
        signer = self._post.nation.client_signers["ed25519"]
        is_apart = self._plan.is_apart
        return Ground(
            loop=self._loop,
            faults=self._faults,
            rules=_rules(self._post.nation.rules, self._plan.rule),
            limits=Limits(order_wait_seconds=ORDER_WAIT_SECONDS, orders_out_per_recipient_max=4),
            signer=signer,
            folder=self._post.folder,
            clock=self._clock,
            decide=self._decide,
            agencies=agencies,
            signing_members=(REMEMBERING, FORGETTING),
            broker=FaultyBroker(self._loop, self._faults, self._clock) if is_apart else None,
            orders=KeptOrders() if is_apart else None,
            reports=KeptReports(signer) if is_apart else None,
        )

    def _clock(self) -> datetime:
        return NOW + timedelta(seconds=self._loop.time())

    def _decide(self, raw: bytes) -> Decision:
        name = next(name for name, one in self._post.raw.items() if one is raw)
        to = tuple(Recipient(one, _adapter_of(one)) for one in _recipients_of(self._seed, name))
        decided = self._post.decided[name]
        return replace(
            decided,
            recipients=to,
            timeout_seconds=TIMEOUT_SECONDS,
        )

    # --- running -------------------------------------------------------------------------------

    def run(self) -> Result:
        """What came of it, checked."""
        faults: list[tuple[str, str]] = []
        with capture_logs() as told:
            try:
                self._loop.run(self._live())
            except LoopStuckError as error:
                faults.append(("stuck", str(error)))
            except Exception as error:
                faults.append(("broken", f"{error!r} in {places_of(error)}"))
        faults += [("broken", error) for error in self._loop.errors]
        faults += [("broken", str(one)) for one in told if one["event"] in _MISTAKES]
        faults += [("leaked", one) for one in self._leaks]
        faults += self._fetching.faults
        faults += self._untold()
        found = check(self._journal.lines, self._story(), self._promises())
        found = replace(found, faults=[*faults, *found.faults])
        return Result(self._seed, found, self._faults.struck, self._loop.steps)

    async def _live(self) -> None:
        senders = [self._sends(case) for case in CASES]
        await self._open_hub()
        await self._open_worker()
        running: list[Coroutine[Any, Any, None]] = [self._strike(), self._operate(), *senders]
        fetching = [asyncio.ensure_future(self._fetching.run(name)) for name in ("p", "q")]
        await asyncio.gather(*running)
        self._faults.has_healed = True
        if self._hub is None:
            await self._open_hub()
        await self._calm_down()
        await asyncio.sleep(LINGER_SECONDS)
        await self._calm_down()  # what an operator did last may only just have been done
        self._fetching.is_ending = True
        await asyncio.gather(*fetching)
        assert self._hub is not None
        self._leaks = list(self._hub.leaks(self._open_count()))

    async def _calm_down(self) -> None:
        """Until everything has come to its end, or there was time enough."""
        end = self._loop.time() + CALM_SECONDS_MAX
        while self._open_count() and self._loop.time() < end:
            await asyncio.sleep(1)

    def _open_count(self) -> int:
        rows = self._disk.rows.deliveries.rows.values()
        return sum(row.delivery.state is not DeliveryState.DEAD for row in rows)

    # --- the hub -------------------------------------------------------------------------------

    async def _open_hub(self) -> None:
        """A hub that takes requests; one that cannot start is started again, as by its system."""
        while self._hub is None:
            self._life = Life("hub")
            store = MemoryEntryStore(self._disk)
            log = FaultyLog(store, self._loop, self._faults)
            log.committed = lambda _: self._committed_at.append(len(self._journal.lines))
            hub = SimulatedHub(self._ground, store, log)
            try:
                await self._loop.start(self._life, hub.start())
            except LogUnavailable:
                self._life.is_dead = True
                await asyncio.sleep(1)
            else:
                self._hub = hub

    async def _open_worker(self) -> None:
        if self._plan.is_apart:
            self._worker_life = Life("worker")
            await self._loop.start(self._worker_life, work_apart(self._ground))

    async def _strike(self) -> None:
        """Kill hub and workers as often as it was planned, over the time of the storm."""
        strikes = [self._kill_hub] * self._plan.deaths + [self._kill_worker] * (
            self._plan.worker_deaths
        )
        moments = sorted(self._luck.uniform(0, STORM_SECONDS) for _ in strikes)
        self._luck.shuffle(strikes)
        for moment, strike in zip(moments, strikes, strict=True):
            await asyncio.sleep(max(moment - self._loop.time(), 0))
            await strike()
        await asyncio.sleep(max(STORM_SECONDS - self._loop.time(), 0))

    async def _kill_hub(self) -> None:
        hub = self._hub
        assert hub is not None
        if self._luck.random() < 0.2:
            self._note("stop", "hub")
            await self._loop.start(self._life, hub.close())
        else:
            self._note("kill", "hub")
        self._hub, self._life.is_dead = None, True
        for future in self._asked:
            if not future.done():
                future.set_exception(ConnectionResetError())
        self._asked.clear()
        if self._ground.broker is not None:
            self._ground.broker.hub_died()
        await asyncio.sleep(self._luck.uniform(0, 5))
        await self._open_hub()

    async def _kill_worker(self) -> None:
        self._note("kill", "worker")
        self._worker_life.is_dead = True
        assert self._ground.broker is not None
        self._ground.broker.worker_died()
        await asyncio.sleep(self._luck.uniform(0, 3))
        await self._open_worker()

    async def _operate(self) -> None:
        """An operator decides about dead letters, whatever else happens to them meanwhile."""
        for _ in range(self._plan.acts):
            await asyncio.sleep(self._luck.uniform(0, 2 * STORM_SECONDS / self._plan.acts))
            rows = self._disk.rows.deliveries.rows
            dead = [key for key, row in rows.items() if row.delivery.state is DeliveryState.DEAD]
            if dead and self._hub is not None:
                self._loop.start(self._life, self._act(self._hub, self._luck.choice(dead)))

    async def _act(self, hub: SimulatedHub, key: DeliveryKey) -> None:
        operating = hub.operating
        act = self._luck.choice((operating.send_again, operating.submit_anew, operating.discard))
        self._note("operator", act.__name__)
        with contextlib.suppress(NotDone, LogUnavailable):
            await act(key, OperatorSays("chaos", "to see"))

    def _note(self, fault: str, target: str) -> None:
        self._journal.write(Struck(fault, target))
        name = f"{fault} {target}"
        self._faults.struck[name] = self._faults.struck.get(name, 0) + 1

    # --- senders -------------------------------------------------------------------------------

    async def _sends(self, case: str) -> None:
        """One sender's messages of one case, each until it is accepted, one after the other."""
        for number in range(self._plan.messages):
            await asyncio.sleep(self._luck.uniform(0, 4))
            await self._send(f"sim-{case or 'none'}-{number}", case)

    async def _send(self, name: str, case: str) -> None:
        recipients = tuple(str(one) for one in _recipients_of(self._seed, name))
        for _ in range(200):
            self._journal.write(Sent(name, recipients, case))
            copies = 2 if self._luck.random() < 0.1 else 1
            replies = await asyncio.gather(
                *(self._ask(self._post.raw[name]) for _ in range(copies)), return_exceptions=True
            )
            receipts = [_receipt_of(one) for one in replies if isinstance(one, Reply)]
            for receipt in receipts:
                if receipt is not None:
                    hashed = receipt.received_hash.hex()
                    self._journal.write(TellAccepted(name, receipt.received_index, hashed))
            if any(receipts):
                return
            await asyncio.sleep(self._luck.uniform(0.2, 3))
        raise LoopStuckError(f"{name} was never accepted")

    async def _ask(self, raw: bytes) -> Reply:
        """Raises ConnectionError, TimeoutError: nobody answered."""
        if self._hub is None:
            raise ConnectionRefusedError
        reply: asyncio.Future[Reply] = self._loop.create_future()
        self._asked.add(reply)
        self._loop.start(self._life, _answer(self._hub, raw, reply))
        async with asyncio.timeout(self._luck.choice((0.01, 5, 30))):
            return await reply

    async def _ask_mailboxes(self, work: Callable[[Mailboxes], Awaitable[Any]]) -> Any:
        """Raises ConnectionError, TimeoutError: nobody answered; a BusError."""
        if self._hub is None:
            raise ConnectionRefusedError
        told: asyncio.Future[Any] = self._loop.create_future()
        self._asked.add(told)
        self._loop.start(self._life, tell_of(work(self._hub.mailboxes), told))
        async with asyncio.timeout(self._luck.choice((0.01, 5, 30))):
            return await told

    def _untold(self) -> list[tuple[str, str]]:
        """Ends that no sender would hear of."""
        told = {one for rows in self._disk.rows.deliveries.receipts.values() for one in rows}
        leaves = ((one.index, read_leaf(one.leaf)) for one in self._disk.rows.entries)
        ends = {
            index
            for index, leaf in leaves
            if leaf.event is Event.OUTCOME and leaf.position is not None
        }
        return [("lost", f"the sender does not hear of entry {one}") for one in ends ^ told]

    # --- what is left --------------------------------------------------------------------------

    def _story(self) -> LogStory:
        story = LogStory()
        for entry in self._disk.rows.entries:
            raw = SEALER.open_sealed(entry.sealed)[1] if entry.sealed is not None else None
            story.take(entry.index, entry.leaf, read_leaf(entry.leaf), raw)
        story.rows.update(self._disk.rows.deliveries.rows)
        for index, message in story.received.items():
            story.committed_at[message] = self._committed_at[index]
        return story

    def _promises(self) -> Promises:
        lying = {name for name, manners in self._plan.manners.items() if manners.lies}
        return Promises(
            remembering=frozenset({str(REMEMBERING), str(FETCHING)}),
            lying=frozenset(lying),
            is_ordered=self._plan.rule.is_ordered,
            tells_copies=not self._plan.worker_deaths,
        )


async def _answer(hub: SimulatedHub, raw: bytes, reply: asyncio.Future[Reply]) -> None:
    try:
        answer = await hub.exchanges.answer(raw)
    except Exception as error:
        asyncio.get_running_loop().call_exception_handler({"message": "answer", "exception": error})
        raise
    if not reply.done():
        reply.set_result(answer)


def _receipt_of(reply: Reply) -> AcceptanceReceipt | None:
    """The proved receipt of an acceptance; None: it is none."""
    if reply.outcome not in (ACCEPTED, ANSWERED_AGAIN):
        return None
    return accepted_receipt(bytes(reply.body), RECEIPT_KEY)


def _recipients_of(seed: int, message: str) -> tuple[SubsystemId, ...]:
    """The same for each copy."""
    luck = random.Random(f"{seed} {message}")
    fetched = luck.choice(((), (FETCHING,)))
    called = luck.choice(((REMEMBERING,), (REMEMBERING, FORGETTING), (FORGETTING,)))
    return (*called, *fetched)


def _adapter_of(recipient: SubsystemId) -> str:
    return "" if recipient == FETCHING else str(recipient.member.member_code).lower()


def _rules(rules: Rules, rule: SubmissionRule) -> Rules:
    service = replace(rules.registry.services[LOOKUP], mode=Mode.SUBMISSION, submission=rule)
    services = {**rules.registry.services, LOOKUP: service}
    return replace(rules, registry=replace(rules.registry, services=services))
