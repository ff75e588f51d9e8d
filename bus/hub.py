"""Put the hub together: the one module that knows core, edges and adapters."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from bus.core import errors
from bus.core.authorisation import find_service
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.core.log_entries import Event, Pseudonyms, build_leaf, read_leaf
from bus.core.metaservices import METASERVICE_ADAPTER
from bus.core.nation import Nation
from bus.core.ports import LogWrite
from bus.core.receipts import RECEIPT_NAME
from bus.edge.adapter_calls import AdapterCalls
from bus.edge.adapter_folder import open_adapter, read_adapter_folder
from bus.edge.attachment_files import AttachmentFiles
from bus.edge.clock import now as read_clock
from bus.edge.exchange_figures import CountedExchange, ExchangeFigures
from bus.edge.hub_settings import HubSettings
from bus.edge.hub_status import HubStatus, StatusSource, named_certificates
from bus.edge.judge_process import Judges
from bus.edge.key_store import (
    read_ed25519_key,
    read_succession,
    read_symmetric_key,
)
from bus.edge.log_opening import open_log
from bus.edge.metaservice_calls import MetaserviceCalls
from bus.edge.renewed_threads import RenewedThreads
from bus.edge.revocation_stage import RevocationStage, recorder
from bus.edge.sealing import Sealer
from bus.edge.service_descriptions import ServiceDescriptions
from bus.edge.sqlite_log import HubLog
from bus.edge.telemetry import report_broken
from bus.edge.timestamping import Timestamper, read_timestamp_trust
from bus.exchange import Equipment, Exchanges
from bus.kit.contract import Adapter
from bus.kit.spool import Spool, open_spool
from bus.protocols.soap_xroad.parse import parse
from bus.recording import Recorder
from bus.rules import RulesText, read_rules
from bus.telling import Reply, Telling
from signing.attachments import Attachment
from signing.signed_note import SigningKey
from signing.succession import KeySuccession

JUDGE_MODULE = "bus.judge_program"
"""What runs in the process beside the hub."""

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
    judges: Judges
    revocation: RevocationStage
    exchanges: Exchanges
    status: StatusSource
    clock: Callable[[], datetime]

    @property
    def timestamper(self) -> Timestamper | None:
        """Who stamps the log; None: nobody was named."""
        return self.status.timestamper


class Hub:
    """A hub that is open: takes requests until it is closed."""

    def __init__(self, parts: HubParts) -> None:
        """Use `open_hub`."""
        self.figures = parts.status.figures
        self.spool = parts.spool
        self.limits: Limits = parts.ruled.rules.nation.limits
        self._settings = parts.settings
        self._rules = parts.ruled.rules
        self._log = parts.log
        self._exchanges = parts.exchanges
        self._agencies = parts.agencies
        self._judges = parts.judges
        self._revocation = parts.revocation
        self._clock = parts.clock
        self._descriptions = parts.descriptions
        self._status = parts.status
        self._timestamper = parts.timestamper
        self._looking_ahead = RenewedThreads(1, "look-ahead")

    def kept_bytes_max(self, soap: bytes) -> int:
        """How large an attachment beside a request may be; 0: the service takes none.

        Nothing is proved yet: it only spares the spool what would be refused for sure.
        """

        def look() -> int:
            try:
                service = find_service(parse(soap, self.limits).service, self._rules.nation)
            except errors.BusError:
                return 0
            return service.attachments.bytes_max if service.attachments is not None else 0

        return self._looking_ahead.read(len(soap), look).result()

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[Attachment, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
    ) -> Reply:
        """The reply to a request and what came beside it; its outcome is on disk."""
        if self._timestamper is not None and self._timestamper.is_overdue(self._clock()):
            overdue = errors.TimestampsOverdue()
            return await self.refuse_unread(
                overdue, raw=raw, attachments=attachments, soap_version=soap_version
            )
        with CountedExchange(self.figures) as counted:
            reply = await self._exchanges.answer(raw, attachments, soap_version=soap_version)
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
        with CountedExchange(self.figures) as counted:
            reply = await self._exchanges.refuse_unread(
                error, raw=raw, attachments=attachments, soap_version=soap_version
            )
            counted.outcome = reply.outcome
        return reply

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
        """Take leave: adapters, a last entry, a last checkpoint, every file."""
        for calls in self._agencies.values():
            calls.close()
        with contextlib.suppress(errors.LogUnavailable):
            await self._log.append(LogWrite(build_leaf(Event.STOPPED, self._clock())))
        await self._revocation.close()
        await self._log.close()
        if self._timestamper is not None:
            await asyncio.to_thread(self._timestamper.close)
        await self._judges.close()
        self._looking_ahead.shutdown(wait=False)


async def open_hub(
    settings: HubSettings,
    *,
    adapters: Mapping[str, Adapter] | None = None,
    judge_process: bool = False,
    clock: Callable[[], datetime] = read_clock,
) -> Hub:
    """Open everything that settings name; when this returns, requests may come.

    `adapters` stands in for the ones of the settings' folder, by adapter id. With `judge_process`
    a process beside shares the work of verifying.
    Raises ConfigurationError, LogUnavailable, LogCorrupt.
    """
    ruled = read_rules(settings)
    parts = _put_together(
        settings, ruled, _open_agencies(settings, ruled.rules.nation, adapters), clock
    )
    try:
        await parts.store.recover(parts.log.names_attachments)
        await _begin(parts.log, parts.exchanges, ruled, clock)
        if judge_process:
            await parts.judges.start(JUDGE_MODULE, settings.file)
        if parts.timestamper is not None:
            since = await _stands_unstamped_since(parts.log, parts.timestamper)
            parts.timestamper.start(pending_since=since)
    except BaseException:
        await parts.revocation.close()
        await parts.judges.close()
        await parts.log.close()
        raise
    return Hub(parts)


def _put_together(
    settings: HubSettings,
    ruled: RulesText,
    agencies: Mapping[str, AdapterCalls],
    clock: Callable[[], datetime],
) -> HubParts:
    """Read every key that can be wrong, then open the log."""
    rules, nation = ruled.rules, ruled.rules.nation
    log_key = read_ed25519_key(settings.log.signing_key)
    sealer = Sealer(read_symmetric_key(settings.log.read_key))
    pseudonyms = Pseudonyms(read_symmetric_key(settings.log.pseudonym_key))
    hub_signer = read_succession(settings.hub_signer)
    signers = {str(member): read_succession(of) for member, of in settings.signers.items()}
    _require_signers(settings, nation, signers)
    spool = open_spool(settings.spool, bytes_max=nation.limits.spool_bytes_max)
    descriptions = ServiceDescriptions(
        rules, schemas=settings.schemas, public_url=settings.public_url
    )
    log = open_log(
        settings.log.folder,
        key=SigningKey(settings.log.origin, log_key),
        guard=settings.log.guard,
        limits=nation.limits,
    )
    timestamper = _timestamper(settings, clock)
    store = AttachmentFiles(settings.log.folder, sealer)
    judges = Judges(rules, report_broken)
    record = recorder(log, sealer, clock)
    revocation = RevocationStage(judges.judge, rules, settings.revocation, record, clock)
    equipment = Equipment(
        recorder=Recorder(log, store, sealer, pseudonyms, rules.digest),
        agencies={**agencies, METASERVICE_ADAPTER: MetaserviceCalls(nation, descriptions)},
        signers=signers,
        telling=Telling(
            hub_signer=hub_signer,
            receipt_key=SigningKey(settings.log.origin + RECEIPT_NAME, log_key),
            style=nation.faults,
            show_precise_faults=settings.show_precise_faults,
        ),
        judge=judges.judge if rules.revocation.is_off else revocation.judge,
        clock=clock,
        new_id=lambda: str(uuid.uuid4()),
    )
    status = StatusSource(
        settings=settings,
        log=log,
        timestamper=timestamper,
        certificates=named_certificates(settings, hub_signer, signers),
        agencies=tuple(agencies),
        judges=judges,
        figures=ExchangeFigures(),
        clock=clock,
        more=_more_figures(spool, None if rules.revocation.is_off else revocation),
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
        judges=judges,
        revocation=revocation,
        exchanges=Exchanges(equipment),
        status=status,
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


def _more_figures(
    spool: Spool, revocation: RevocationStage | None
) -> dict[str, Callable[[], dict[str, int]]]:
    """Figures for operators, by what they are about."""
    figures: dict[str, Callable[[], dict[str, int]]] = {
        "spool": lambda: {"bytes": spool.bytes_in_use}
    }
    if revocation is not None:
        figures["revocation"] = revocation.watch.figures
    return figures


async def _begin(
    log: HubLog, exchanges: Exchanges, ruled: RulesText, clock: Callable[[], datetime]
) -> None:
    """Say in the log that the hub runs, by which rules, and what its last end left undone."""
    for text in ruled.texts:
        await log.append_text(text)
    await log.append(LogWrite(build_leaf(Event.STARTED, clock())))
    leaf = build_leaf(Event.CONFIGURATION, clock(), config=ruled.rules.digest)
    await log.append(LogWrite(leaf))
    interrupted = log.interrupted()
    for one in interrupted:
        await exchanges.settle_interrupted(one.key, one.received_index)
    _log.info("hub.open", entries=log.size, interrupted=len(interrupted))


def _open_agencies(
    settings: HubSettings, nation: Nation, given: Mapping[str, Adapter] | None
) -> dict[str, AdapterCalls]:
    wanted = sorted({service.adapter for service in nation.services.values()})
    if given is not None:
        concurrency = nation.limits.adapter_calls_at_once_max
        return {one: AdapterCalls(one, given[one], concurrency=concurrency) for one in wanted}
    manifests = read_adapter_folder(settings.adapters)
    agencies = {}
    for adapter_id in wanted:
        manifest = manifests.get(adapter_id)
        if manifest is None:
            place = str(settings.adapters / adapter_id)
            raise errors.ConfigurationError([errors.Problem(place, "", "expected an adapter")])
        adapter = open_adapter(
            manifest, settings.agencies.get(adapter_id, {}), settings_file=settings.file
        )
        concurrency = min(manifest.concurrency, nation.limits.adapter_calls_at_once_max)
        agencies[adapter_id] = AdapterCalls(adapter_id, adapter, concurrency=concurrency)
    return agencies


def _require_signers(
    settings: HubSettings, nation: Nation, signers: Mapping[str, KeySuccession]
) -> None:
    """Every service is answered under its agency's signature: its key must be here."""
    answering = {str(service.provider.member) for service in nation.services}
    problems = [
        errors.Problem(str(settings.file), f"signers.{member}", "expected the key that answers")
        for member in sorted(answering - signers.keys())
    ]
    if problems:
        raise errors.ConfigurationError(problems)
