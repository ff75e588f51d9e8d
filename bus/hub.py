"""Open a hub: from its parts to one that takes requests, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from bus import judge_program
from bus.core import errors
from bus.core.authorisation import find_service
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.core.log.leaf import read_leaf
from bus.delivery.beyond import elsewhere
from bus.delivery.carrying import adapters_here
from bus.delivery.opening import open_agencies
from bus.hub_begin import begin
from bus.hub_parts import HubParts, put_together
from bus.judge_program import WIRE
from bus.judging.rules import read_rules
from bus.kit.contract import Adapter
from bus.log.message_log import HubLog
from bus.log.timestamping import LAST_TRY_SECONDS_MAX, Timestamper
from bus.operations.exchange_metrics import CountedExchange
from bus.operations.hub_status import HubStatus
from bus.protocols.reply import Reply
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import Resources, opening
from bus.settings.hub import HubSettings
from signing.attachments import Attachment

_log = structlog.get_logger()


class Hub:
    """A hub that is open: takes requests until it is closed."""

    def __init__(self, parts: HubParts, resources: Resources) -> None:
        """Use `open_hub`."""
        self._resources = resources
        self.metrics = parts.status.metrics
        self.operating = parts.deliveries.operating
        self.receipts = parts.tidying.receipts
        self.spool = parts.spool
        self.body_room = parts.body_room
        self._rules = parts.ground.ruled.rules
        self.limits: Limits = self._rules.registry.limits
        self._exchanges = parts.exchanges
        self._clock = parts.ground.clock
        self._descriptions = parts.ground.descriptions
        self._status = parts.status
        self._timestamper = parts.status.timestamper
        self._looking_ahead = parts.looking_ahead
        self._log = parts.ground.log

    @property
    def is_fenced(self) -> bool:
        """Another hub has its log: nothing is taken here any more, and nobody is told anything."""
        return self._log.is_fenced

    async def kept_bytes_max(self, soap: bytes) -> int:
        """How large an attachment beside a request may be; 0: the service takes none.

        Nothing is proved yet: it only spares the spool what would be refused for sure.
        """

        def look() -> int:
            try:
                service = find_service(WIRE.parse(soap, self.limits).service, self._rules.registry)
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
        registry = ruled.rules.registry
        wanted = adapters_here(registry, elsewhere(settings))
        agencies = open_agencies(settings, registry, wanted, adapters, resources)
        parts = put_together(settings, ruled, agencies, clock, resources)
        log, timestamper = parts.ground.log, parts.status.timestamper
        await parts.store.recover(log.names_attachments)
        interrupted = await begin(parts.ground, parts.deliveries, resources)
        if judge_process:
            await parts.decider.start(judge_program.MODULE, ruled.texts)
        if timestamper is not None:
            await _start_stamping(log, timestamper, resources)
        await _watch_other_logs(parts, resources)
        resources.own("receipts", parts.tidying.close)
        parts.tidying.start()
        resources.own("probes", parts.probing.close)
        parts.probing.start()
        _log.info("hub.open", entries=log.size, interrupted=interrupted)
        return Hub(parts, resources)


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


async def _watch_other_logs(parts: HubParts, resources: Resources) -> None:
    """Go on with the logs of other hubs that are gone, where the settings name some."""
    settings = parts.ground.settings
    if not settings.log.others or settings.database is None:
        return
    # Here, and not above: a hub on a log of its own holds no client of a server in memory.
    from bus.adoption import CLOSE_SECONDS_MAX, Adoption

    adoption = Adoption(parts.ground, parts.status.adopted)
    resources.own("adopted-logs", adoption.close, seconds_max=CLOSE_SECONDS_MAX)
    await adoption.start()
