"""Put the hub together: the one module that knows core, edges and adapters."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from bus import __version__
from bus.catalogue.metaservices import MetaserviceCalls
from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core import errors
from bus.core.authorisation import find_service
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.core.log.leaf import Event, build_leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.metaservices import METASERVICE_ADAPTER
from bus.core.ports.message_log import LogWrite
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.opening import open_agencies, require_signers
from bus.exchange.answering import Answering
from bus.exchange.query import ExchangeDependencies, Exchanges
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.http.body_room import BodyRoom
from bus.http.spool import Spool, open_spool
from bus.judging.process import Decider
from bus.judging.revocation_stage import RevocationStage, recorder
from bus.judging.rules import RulesText, read_rules
from bus.kit.contract import Adapter
from bus.log.attachment_files import AttachmentFiles
from bus.log.message_log import HubLog
from bus.log.opening import open_log
from bus.log.sealing import Sealer
from bus.log.timestamping import LAST_TRY_SECONDS_MAX, Timestamper, read_timestamp_trust
from bus.operations.exchange_metrics import CountedExchange, ExchangeMetrics
from bus.operations.hub_health import HubHealth
from bus.operations.hub_status import HubStatus, StatusSource, named_certificates
from bus.protocols.reply import Reply
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.clock import now as read_clock
from bus.runtime.recycled_threads import RecycledThreads
from bus.runtime.resources import Resources, opening
from bus.runtime.telemetry import report_broken
from bus.settings.hub import HubSettings
from bus.trust.key_store import (
    read_ed25519_key,
    read_succession,
    read_symmetric_key,
)
from signing.attachments import Attachment
from signing.signed_note import SigningKey

PROGRAM = f"lienthong {__version__}"
"""Stands in the log at each start: who reads it later knows which program decided."""
DECIDER_MODULE = "bus.judging.program"
"""What runs in the process beside the hub."""
LOG_CLOSE_SECONDS_MAX = 30.0
"""How long the log may take to write what is queued, and its last checkpoint."""
DECIDER_CLOSE_SECONDS_MAX = 10.0
"""How long the judging process may take to end."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HubParts:
    """What a hub is put together from. Made by `open_hub` only."""

    settings: HubSettings
    ruled: RulesText
    log: HubLog
    store: AttachmentFiles
    spool: Spool
    agencies: Mapping[str, AdapterCalls]
    descriptions: ServiceDescriptions
    decider: Decider
    revocation: RevocationStage
    exchanges: Exchanges
    status: StatusSource
    looking_ahead: RecycledThreads
    body_room: BodyRoom
    clock: Callable[[], datetime]

    @property
    def timestamper(self) -> Timestamper | None:
        """Who stamps the log; None: nobody was named."""
        return self.status.timestamper


class Hub:
    """A hub that is open: takes requests until it is closed."""

    def __init__(self, parts: HubParts, resources: Resources) -> None:
        """Use `open_hub`."""
        self._resources = resources
        self.metrics = parts.status.metrics
        self.spool = parts.spool
        self.body_room = parts.body_room
        self.limits: Limits = parts.ruled.rules.registry.limits
        self._rules = parts.ruled.rules
        self._log = parts.log
        self._revocation = parts.revocation
        self._exchanges = parts.exchanges
        self._agencies = parts.agencies
        self._clock = parts.clock
        self._descriptions = parts.descriptions
        self._status = parts.status
        self._timestamper = parts.timestamper
        self._looking_ahead = parts.looking_ahead

    async def kept_bytes_max(self, soap: bytes) -> int:
        """How large an attachment beside a request may be; 0: the service takes none.

        Nothing is proved yet: it only spares the spool what would be refused for sure.
        """

        def look() -> int:
            try:
                service = find_service(
                    SOAP_XROAD.parse(soap, self.limits).service, self._rules.registry
                )
            except errors.BusError:
                return 0
            return service.attachments.bytes_max if service.attachments is not None else 0

        # Beside the event loop: it is a whole parse of what a stranger sent.
        return await asyncio.wrap_future(self._looking_ahead.read(len(soap), look))

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
        soap_action: str = "",
    ) -> Reply:
        """The reply to a request and what came beside it; its outcome is on disk."""
        if self._timestamper is not None and self._timestamper.is_overdue(self._clock()):
            overdue = errors.TimestampsOverdue()
            return await self.refuse_unread(
                overdue, raw=raw, attachments=attachments, soap_version=soap_version
            )
        with CountedExchange(self.metrics) as counted:
            reply = await self._exchanges.answer(
                raw, attachments, version=soap_version, action=soap_action
            )
            counted.outcome = reply.outcome
        return reply

    async def refuse_unread(
        self,
        error: errors.BusError,
        *,
        raw: bytes = b"",
        attachments: tuple[Attachment, ...] = (),
        soap_version: SoapVersion | None = None,
    ) -> Reply:
        """The reply to a request that was not read, in the version that its head names."""
        with CountedExchange(self.metrics) as counted:
            reply = await self._exchanges.refuse_unread(
                error, raw=raw, attachments=attachments, version=soap_version
            )
            counted.outcome = reply.outcome
        return reply

    async def troubles(self) -> tuple[str, ...]:
        """Why no message can be taken now; empty: a probe went through judging and log."""
        return await self._status.health.look()

    def status(self) -> HubStatus:
        """How the hub is now."""
        return self._status.read()

    def services(self) -> Mapping[str, str]:
        """Titles by service id."""
        return self._descriptions.titles()

    def describe(self, service: str, *, is_soap_1_2: bool = False) -> bytes | None:
        """The WSDL of a service, named by its id; None: there is none."""
        return self._descriptions.wsdl_named(service, is_soap_1_2=is_soap_1_2)

    def clients(self, instance: str, *, is_json: bool) -> bytes | None:
        """The clients of the nation; None: there is no such instance."""
        return self._descriptions.clients(instance, is_json=is_json)

    async def close(self) -> None:
        """Take leave: a last entry, a last checkpoint, every file, the adapters.

        Whatever fails is told, and the rest is closed all the same, each within its time.
        """
        await self._resources.close()


async def open_hub(
    settings: HubSettings,
    *,
    adapters: Mapping[str, Adapter] | None = None,
    judge_process: bool = False,
    clock: Callable[[], datetime] = read_clock,
) -> Hub:
    """Open everything that settings name; when this returns, requests may come.

    `adapters` stands in for the ones of the settings' folder, by adapter id. With `judge_process`
    a process beside shares the work of verifying. If a step fails, what was opened is closed.
    Raises ConfigurationError, LogUnavailable, LogCorrupt.
    """
    ruled = read_rules(settings)
    async with opening() as resources:
        agencies = open_agencies(settings, ruled.rules.registry, adapters, resources)
        parts = _put_together(settings, ruled, agencies, clock, resources)
        await parts.store.recover(parts.log.names_attachments)
        interrupted = await _begin(parts, resources)
        if judge_process:
            await parts.decider.start(DECIDER_MODULE, ruled.texts)
        if parts.timestamper is not None:
            await _start_stamping(parts.log, parts.timestamper, resources)
        _log.info("hub.open", entries=parts.log.size, interrupted=interrupted)
        return Hub(parts, resources)


def _put_together(
    settings: HubSettings,
    ruled: RulesText,
    agencies: Mapping[str, AdapterCalls],
    clock: Callable[[], datetime],
    resources: Resources,
) -> HubParts:
    """Read every key that can be wrong, then open the log."""
    rules, registry = ruled.rules, ruled.rules.registry
    log_key = read_ed25519_key(settings.log.signing_key)
    sealer = Sealer(read_symmetric_key(settings.log.read_key))
    pseudonyms = Pseudonyms(read_symmetric_key(settings.log.pseudonym_key))
    hub_signer = read_succession(settings.hub_signer)
    signers = {str(member): read_succession(of) for member, of in settings.signers.items()}
    require_signers(settings, registry, signers)
    spool = open_spool(settings.spool, bytes_max=registry.limits.spool_bytes_max)
    descriptions = ServiceDescriptions(
        rules, schemas=settings.schemas, public_url=settings.public_url
    )
    log = open_log(
        settings.log.folder,
        key=SigningKey(settings.log.origin, log_key),
        guard=settings.log.guard,
        limits=registry.limits,
    )
    resources.own("log", log.close, seconds_max=LOG_CLOSE_SECONDS_MAX)
    timestamper = _timestamper(settings, clock)
    store = AttachmentFiles(settings.log.folder, sealer)
    decider = Decider(rules, report_broken)
    resources.own("judges", decider.close, seconds_max=DECIDER_CLOSE_SECONDS_MAX)
    record = recorder(log, sealer, clock)
    revocation = RevocationStage(decider.decide, rules, settings.revocation, record, clock)
    resources.own("revocation", revocation.close)
    looking_ahead = RecycledThreads(1, "look-ahead")
    resources.own("look-ahead", partial(looking_ahead.shutdown, wait=False, cancel=True))
    senders = SenderBulkheads(registry.limits.exchanges_at_once_per_member_max)
    body_room = BodyRoom(registry.limits)
    dependencies = ExchangeDependencies(
        recorder=Recorder(log, store, sealer, pseudonyms, rules.digest),
        senders=senders,
        answering=Answering(
            agencies={**agencies, METASERVICE_ADAPTER: MetaserviceCalls(registry, descriptions)},
            signers=signers,
            wire=SOAP_XROAD,
            rules=rules,
            clock=clock,
        ),
        replies=Replies(
            wire=SOAP_XROAD,
            hub_signer=hub_signer,
            receipt_key=SigningKey(settings.log.origin + RECEIPT_NAME, log_key),
            style=registry.faults,
            show_precise_faults=settings.show_precise_faults,
        ),
        decide=decider.decide if rules.revocation.is_off else revocation.decide,
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
    )
    health = HubHealth(decider, log, timestamper, clock)
    resources.own("health", health.close)
    status = StatusSource(
        settings=settings,
        log=log,
        timestamper=timestamper,
        certificates=named_certificates(settings, hub_signer, signers),
        agencies=agencies,
        decider=decider,
        health=health,
        metrics=ExchangeMetrics(),
        clock=clock,
        spool=spool,
        body_room=body_room,
        revocation=None if rules.revocation.is_off else revocation.watch,
        senders=senders,
        started_at=time.monotonic(),
    )
    return HubParts(
        settings=settings,
        ruled=ruled,
        log=log,
        store=store,
        spool=spool,
        agencies=agencies,
        descriptions=descriptions,
        decider=decider,
        revocation=revocation,
        exchanges=Exchanges(dependencies),
        status=status,
        looking_ahead=looking_ahead,
        body_room=body_room,
        clock=clock,
    )


def _timestamper(settings: HubSettings, clock: Callable[[], datetime]) -> Timestamper | None:
    """Who stamps the log; None: nobody was named. Raises ConfigurationError, LogUnavailable."""
    if settings.timestamps is None:
        return None
    trust = read_timestamp_trust(settings.timestamps)
    try:
        return Timestamper(settings.log.folder, settings.timestamps, trust, clock=clock)
    except OSError as error:
        raise errors.LogUnavailable(f"{error.filename}: {error.strerror}") from error


async def _stands_unstamped_since(log: HubLog, timestamper: Timestamper) -> datetime | None:
    """When the first entry was written that has no timestamp; None: not known, or none."""
    first = timestamper.state.last_size
    if first == 0 or first >= log.size:
        return None
    return read_leaf((await log.read(first)).leaf).time


async def _start_stamping(log: HubLog, timestamper: Timestamper, resources: Resources) -> None:
    timestamper.start(pending_since=await _stands_unstamped_since(log, timestamper))
    # It is there until the log has its last checkpoint, which it stamps.
    seconds = timestamper.timeout_seconds + 2 * LAST_TRY_SECONDS_MAX
    resources.own("timestamps", timestamper.close, seconds_max=seconds, closed_after="log")


async def _begin(parts: HubParts, resources: Resources) -> int:
    """Say in the log that the hub runs, by which rules, and what its last end left undone.

    Gives how many messages that was.
    """
    log, clock, ruled = parts.log, parts.clock, parts.ruled
    for text in ruled.texts:
        await log.append_text(text)
    await log.append(LogWrite(build_leaf(Event.STARTED, clock(), program=PROGRAM)))

    async def say_stopped() -> None:
        await log.append(LogWrite(build_leaf(Event.STOPPED, clock())))

    resources.own("stopped-entry", say_stopped)
    leaf = build_leaf(Event.CONFIGURATION, clock(), config=ruled.rules.digest)
    await log.append(LogWrite(leaf))
    interrupted = log.interrupted()
    for one in interrupted:
        await parts.exchanges.settle_interrupted(one.key, one.received_index)
    return len(interrupted)
