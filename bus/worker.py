"""Put a worker together: it does the orders of agencies, and needs broker and keys of theirs alone.

It knows nothing of a hub but the key that its orders are signed by. What it is told to do it proves
first; with anchors of its own it decides about each message anew, by its own copy of the routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from bus.broker.rabbitmq_work import RabbitWorkBroker
from bus.broker.topology import Topology
from bus.core.decision import Accepted
from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import MemberId
from bus.core.pipeline import Rules
from bus.core.registry import MemberRegistry, Mode
from bus.core.request_decision import decide_whole
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.answers import AgencyAnswers
from bus.delivery.carrying import adapters_named, services_carried
from bus.delivery.opening import open_agencies, require_signers
from bus.delivery.signed_orders import ProvedOrders, SignedReports
from bus.delivery.working import Working, WorkingDependencies
from bus.kit.contract import Adapter
from bus.protocols.order_notes import order_key_of
from bus.protocols.orders import Order, OrderInvalid
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import Resources
from bus.settings.form import did_you_mean
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import read_registry
from bus.settings.worker import WorkerSettings
from bus.trust.broker_access import rabbit_address
from bus.trust.certificate_checks import read_trust_store
from bus.trust.key_store import read_succession, read_verifying_key
from bus.trust.token_keys import close_tokens
from signing.pki.certificates import TrustStore

DRAIN_SECONDS_MAX = 30.0
"""How long what is in work may take when a worker ends."""

_NOT_ASKED = RevocationPolicy(RevocationCheck.NONE)
"""Whether a sender was revoked the hub decided, with the evidence in its log."""
_log = structlog.get_logger()


class Worker:
    """A worker that is open: it takes orders until it is closed. Made by `open_worker` only."""

    def __init__(
        self, broker: RabbitWorkBroker, working: Working, agencies: Mapping[str, AdapterCalls]
    ) -> None:
        self._broker = broker
        self._working = working
        self._agencies = agencies

    @property
    def trouble(self) -> str:
        """Why no work comes; empty while it can."""
        return self._broker.trouble

    async def start(self) -> None:
        """Take orders from now on. Raises ConfigurationError."""
        for name, calls in self._agencies.items():
            concurrency = calls.deliveries_at_once
            await self._broker.work(name, self._working.handle, concurrency=concurrency)
            _log.info("worker.taking", agency=name, concurrency=concurrency)

    async def drain(self, seconds_max: float = DRAIN_SECONDS_MAX) -> None:
        """Take no more, end what is in work and hand its outcomes in.

        What takes longer comes back to its hub, which asks again under the same key.
        """
        await self._broker.drain(seconds_max)


def open_worker(
    settings: WorkerSettings,
    adapters: Sequence[str],
    resources: Resources,
    clock: Callable[[], datetime] = read_clock,
    *,
    given: Mapping[str, Adapter] | None = None,
) -> Worker:
    """Everything that a worker of these adapters needs; nothing is taken before it is started.

    `given` stands in for the adapters of the settings' folder. Raises ConfigurationError.
    """
    registry = read_registry(settings.routes)
    _require_known(adapters, registry, settings)
    resources.own("tokens", close_tokens)
    signers = {str(member): read_succession(of) for member, of in settings.signers.items()}
    require_signers(settings.file, members_of(adapters, registry), signers)
    rules = read_worker_rules(settings, adapters, registry)
    address = rabbit_address(settings.broker)
    keys = [order_key_of(read_verifying_key(file)) for file in settings.log_keys]
    agencies = open_agencies(settings, registry, adapters, given, resources)
    proves_senders = settings.trust is not None
    orders = ProvedOrders(keys, MessageCheck(rules).require_same if proves_senders else None)
    answers = AgencyAnswers(signers, SOAP_XROAD, rules, clock)
    reports = SignedReports(signers)
    working = Working(WorkingDependencies(agencies, answers, orders, reports, clock))
    broker = RabbitWorkBroker(address, Topology(settings.broker.prefix))
    return Worker(broker, working, agencies)


def members_of(adapters: Sequence[str], registry: MemberRegistry) -> set[MemberId]:
    """Who is reached by these adapters, and so reports."""
    reached = {one.member for one, adapter in registry.recipients.items() if adapter in adapters}
    return reached | {
        service.id.provider.member
        for adapter in adapters
        for service in services_carried(adapter, registry)
        if service.adapter == adapter
    }


def read_worker_rules(
    settings: WorkerSettings, adapters: Sequence[str], registry: MemberRegistry
) -> Rules:
    """What answers are held to, and messages, where the worker proves them itself.

    Raises ConfigurationError.
    """
    carried = {
        service.id: service.schema
        for adapter in adapters
        for service in services_carried(adapter, registry)
    }
    compiled = {
        path: CompiledSchema(settings.schemas / path, within=settings.schemas)
        for path in sorted(set(carried.values()))
    }
    return Rules(
        registry=registry,
        trust=TrustStore([]) if settings.trust is None else read_trust_store(settings.trust),
        schemas={known: compiled[path] for known, path in carried.items()},
        digest=registry.digest,
        revocation=_NOT_ASKED,
    )


class MessageCheck:
    """Decides about an order's message anew, as of when its hub did."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def require_same(self, order: Order) -> None:
        """Raises OrderInvalid: the hub's decision is not what follows from the message."""
        said = order.accepted
        decided = decide_whole(
            SOAP_XROAD, order.raw, self._rules, said.decided_at, order.attachments
        )
        if not isinstance(decided, Accepted):
            raise OrderInvalid(f"its message is refused here: {decided.error.code}")
        ours = decided
        if decided.mode is Mode.SUBMISSION:
            if order.key.position >= len(decided.recipients):
                raise OrderInvalid("its message has no such recipient")
            ours = decided.for_recipient(order.key.position)
        # The rules bear another name here, and what the head of the request called its action
        # nobody signed.
        if replace(ours, rules_digest=said.rules_digest, action=said.action) != said:
            raise OrderInvalid("its decision is not what follows from its message")


def _require_known(
    adapters: Sequence[str], registry: MemberRegistry, settings: WorkerSettings
) -> None:
    known = adapters_named(registry)
    problems = [
        Problem(str(settings.routes), "", f"no service names an adapter {one!r}.{hint}")
        for one in adapters
        if one not in known
        for hint in (did_you_mean(one, known),)
    ]
    if problems:
        raise ConfigurationError(problems)


async def run_worker(
    settings: WorkerSettings,
    adapters: Sequence[str],
    is_to_end: asyncio.Event,
    resources: Resources,
    *,
    drain_seconds: float = DRAIN_SECONDS_MAX,
) -> None:
    """Work until the event is set, and leave in order. Raises ConfigurationError."""
    worker = open_worker(settings, adapters, resources)
    await worker.start()
    _log.info("worker.working", agencies=list(adapters))
    await is_to_end.wait()
    await worker.drain(drain_seconds)
    _log.info("worker.closed")
