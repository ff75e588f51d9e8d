"""Say how a hub is: its log, time, certificates, agencies; and what needs somebody's attention."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from bus import __version__
from bus.delivery.adapter_calls import AdapterCalls, AdapterMetrics
from bus.delivery.delivery_status import DeliveryStatus
from bus.delivery.probing import ProbeStatus, Probing
from bus.http.body_room import BodyRoom
from bus.http.spool import Spool
from bus.judging.lane import LaneState
from bus.judging.process import Decider
from bus.log.message_log import HubLog
from bus.log.timestamping import Timestamper
from bus.operations.adopted_logs import NOTHING_ADOPTED, AdoptedLogs, AdoptionStatus
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.hub_health import HubHealth
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.rates import MemberRates
from bus.runtime.seconds_histogram import SecondsCounts, SecondsHistogram
from bus.settings.hub import HubSettings
from bus.trust.certificate_checks import EXPIRY_WARNING_DAYS, authorities
from bus.trust.key_store import read_certificates
from bus.trust.revocation_watch import RevocationMetrics, RevocationWatch
from signing.pki.succession import KeySuccession


@dataclass(frozen=True, slots=True)
class LogStatus:
    """The message log."""

    entries: int
    signed_entries: int
    commits: int
    """Since the start; entries that come together share one."""
    checkpoint_age_seconds: float
    bytes: int
    """Of the database and its write-ahead log."""
    disk_free_bytes: int
    """Free room on the disk of its folder."""
    disk_needed_bytes: int
    """Below so much free room no message is taken."""
    trouble: str
    """Why it cannot commit or publish at the moment; empty while it can."""


@dataclass(frozen=True, slots=True)
class TimestampStatus:
    """The time authority."""

    stamped_entries: int
    last_time: str
    """When the authority made the last timestamp of this run; empty: none yet."""
    pending_seconds: float
    """How long the oldest entry without a timestamp has waited; 0: all have one."""
    is_overdue: bool
    """For so long that the hub takes no message."""
    failure: str
    clock_offset_seconds: float


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """A certificate that this hub needs."""

    used_for: str
    """Where it stands in hub.yaml: `hub_signer`, `signers.VN/GOV/G01.next`."""
    not_after: str
    days_left: int
    """Full days; negative when it has expired."""
    signs_now: bool


@dataclass(frozen=True, slots=True)
class LaneStatus:
    """A process that judges beside the hub."""

    name: str
    """Of the messages that it judges: small, large."""
    state: str
    """absent (started when needed), starting, working, resting (lost; started again soon)."""
    waiting: int
    waiting_bytes: int
    lost: int
    """How often it was lost."""
    refused: int
    """Messages that were refused because of what judging them did to it."""


@dataclass(frozen=True, slots=True)
class DeciderStatus:
    """The processes that judge beside the hub."""

    is_wanted: bool
    is_running: bool
    """None of them was lost and is still to be started again."""
    judged: int
    lanes: tuple[LaneStatus, ...]


@dataclass(frozen=True, slots=True)
class SpoolStatus:
    """Where the attachments of messages in work lie."""

    bytes: int


@dataclass(frozen=True, slots=True)
class BodiesStatus:
    """Requests that come in or are in work."""

    bytes: int
    large_bytes: int
    """Of these, what belongs to bodies that are not small."""
    bytes_max: int
    refused: int
    """Since the start: there was no room for them."""


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """A member that was proved since the start."""

    member: str
    in_work: int
    refused: int
    """Exchanges beyond what one member may have in work."""
    limited: int = 0
    """Exchanges beyond its `rate_per_second`."""


@dataclass(frozen=True, slots=True)
class HubStatus:
    """A hub at one moment. Names, sizes, counts and times only."""

    version: str
    uptime_seconds: float
    log: LogStatus
    timestamps: TimestampStatus | None
    """None: this hub has no time authority."""
    certificates: tuple[CertificateStatus, ...]
    agencies: tuple[str, ...]
    """The adapters that are open."""
    judge: DeciderStatus
    in_work: int
    outcomes: Mapping[str, int]
    spool: SpoolStatus
    bodies: BodiesStatus
    revocation: RevocationMetrics | None
    """None: nobody is asked about senders' certificates."""
    queries: tuple[AdapterMetrics, ...]
    senders: tuple[SenderStatus, ...]
    deliveries: DeliveryStatus
    delivery_seconds: SecondsCounts
    """From the acceptance of a message to the entry that closes one of its deliveries."""
    probes: tuple[ProbeStatus, ...] = ()
    """Recipients whose adapters can see if they are there."""
    adoption: AdoptionStatus = NOTHING_ADOPTED
    """Logs of other hubs that this one goes on with."""
    troubles: tuple[str, ...] = ()
    """Why the hub can take no message, as it was found last; empty: it can."""

    def attention(self) -> Iterator[str]:
        """What somebody should see to now, each in a sentence."""
        if self.log.trouble:
            yield f"the message log is in trouble: {self.log.trouble}"
        if self.log.disk_free_bytes < 2 * self.log.disk_needed_bytes:
            free, least = self.log.disk_free_bytes, self.log.disk_needed_bytes
            yield f"the log's disk has {free:,} bytes left; below {least:,} no message is taken"
        for trouble in self.troubles:
            yield f"the hub can take no message: {trouble}"
        if self.timestamps is not None:
            yield from _timestamp_attention(self.timestamps)
        if self.judge.is_wanted and not self.judge.is_running:
            yield "a judging process was lost: it is started again, and large messages wait"
        yield from self.deliveries.attention()
        for log in self.adoption.adopted:
            yield f"the hub of the log {log.origin} is gone: this one goes on with it"
            if log.trouble:
                yield f"the log {log.origin} is in trouble: {log.trouble}"
        for one in self.certificates:
            if one.days_left < min(EXPIRY_WARNING_DAYS):
                what = "has expired" if one.days_left < 0 else f"expires in {one.days_left} days"
                yield f"the certificate of {one.used_for} {what}"

    def notices(self) -> Iterator[str]:
        """What can wait some weeks."""
        for one in self.certificates:
            if min(EXPIRY_WARNING_DAYS) <= one.days_left < max(EXPIRY_WARNING_DAYS):
                yield f"the certificate of {one.used_for} expires in {one.days_left} days"
        for probe in self.probes:
            if probe.is_reached is False:
                yield f"{probe.recipient} is away for {probe.seconds:,.0f} s: {probe.code}"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {**asdict(self), "attention": [*self.attention()], "notices": [*self.notices()]}


def _timestamp_attention(timestamps: TimestampStatus) -> Iterator[str]:
    if timestamps.is_overdue:
        yield "no timestamp for too long: the hub takes no message until one comes"
    if timestamps.failure:
        yield f"timestamps are pending: {timestamps.failure}"


@dataclass(frozen=True, slots=True)
class UsedCertificate:
    """A certificate, where it stands in hub.yaml, and what it belongs to."""

    used_for: str
    certificate: x509.Certificate
    succession: KeySuccession | None
    """None: it signs nothing here."""

    def status(self, now: datetime) -> CertificateStatus:
        """How long it is still valid at `now`."""
        last = self.certificate.not_valid_after_utc
        signs = self.succession is not None and (
            self.succession.at(now).certificate == self.certificate
        )
        return CertificateStatus(self.used_for, last.isoformat(), (last - now).days, signs)


def named_certificates(
    settings: HubSettings, hub: KeySuccession, signers: Mapping[str, KeySuccession]
) -> tuple[UsedCertificate, ...]:
    """Every certificate that this hub needs. Raises ConfigurationError."""
    successions = {"hub_signer": hub, **{f"signers.{one}": of for one, of in signers.items()}}
    named = [
        UsedCertificate(name + ".next" * place, signer.certificate, succession)
        for name, succession in successions.items()
        for place, signer in enumerate(succession.signers)
    ]
    named += [
        UsedCertificate(f"trust ({path.name})", certificate, None)
        for path, certificate in authorities(settings.trust)
    ]
    if settings.timestamps is not None:
        named += [
            UsedCertificate(f"timestamps ({path.name})", certificate, None)
            for path in (*settings.timestamps.anchors, *settings.timestamps.intermediates)
            for certificate in read_certificates([path])
        ]
    return tuple(named)


@dataclass(frozen=True, slots=True)
class StatusSource:
    """Everything that a hub's status is read from; put together by bus.hub_parts."""

    settings: HubSettings
    log: HubLog
    timestamper: Timestamper | None
    certificates: tuple[UsedCertificate, ...]
    agencies: Mapping[str, AdapterCalls]
    queries_elsewhere: Callable[[], tuple[AdapterMetrics, ...]]
    """Of agencies whose workers are elsewhere."""
    decider: Decider
    health: HubHealth
    metrics: ExchangeMetrics
    clock: Callable[[], datetime]
    spool: Spool
    body_room: BodyRoom
    revocation: RevocationWatch | None
    """None: nobody is asked about senders' certificates."""
    senders: SenderBulkheads
    deliveries: Callable[[datetime], DeliveryStatus]
    rates: MemberRates
    probing: Probing
    closing_seconds: SecondsHistogram
    adopted: AdoptedLogs
    disk_needed_bytes: int
    started_at: float
    """`time.monotonic` at the start."""

    def read(self) -> HubStatus:
        """The status now. Costs a few calls to the file system."""
        now = self.clock()
        return HubStatus(
            version=__version__,
            uptime_seconds=round(time.monotonic() - self.started_at, 1),
            log=self._log_status(),
            timestamps=self._timestamp_status(now),
            certificates=tuple(one.status(now) for one in self.certificates),
            agencies=tuple(self.agencies),
            judge=_judge_status(self.decider),
            in_work=self.metrics.in_work,
            outcomes=dict(self.metrics.by_outcome),
            spool=SpoolStatus(self.spool.bytes_in_use),
            bodies=_bodies_status(self.body_room),
            revocation=self.revocation.metrics() if self.revocation is not None else None,
            queries=(
                *(calls.metrics() for calls in self.agencies.values()),
                *self.queries_elsewhere(),
            ),
            senders=tuple(
                SenderStatus(str(member), of.in_work, of.refused, self.rates.refused.get(member, 0))
                for member, of in self.senders.by_member()
            ),
            deliveries=self.deliveries(now),
            delivery_seconds=self.closing_seconds.read(),
            probes=self.probing.status(),
            adoption=self.adopted.status(),
            troubles=self.health.troubles,
        )

    def _log_status(self) -> LogStatus:
        log = self.log
        return LogStatus(
            entries=log.size,
            signed_entries=log.published_size,
            commits=log.commits,
            checkpoint_age_seconds=round(log.checkpoint_age_seconds, 1),
            bytes=log.stored_bytes,
            disk_free_bytes=_free_bytes(self.settings.log.folder),
            disk_needed_bytes=self.disk_needed_bytes,
            trouble=log.trouble,
        )

    def _timestamp_status(self, now: datetime) -> TimestampStatus | None:
        if self.timestamper is None:
            return None
        state = self.timestamper.state
        since = state.pending_since
        return TimestampStatus(
            stamped_entries=state.last_size,
            last_time=state.last_time.isoformat() if state.last_time else "",
            pending_seconds=max((now - since).total_seconds(), 0.0) if since else 0.0,
            is_overdue=self.timestamper.is_overdue(now),
            failure=state.failure,
            clock_offset_seconds=state.clock_offset_seconds,
        )


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:  # the log's trouble says what is wrong
        return 0


def _bodies_status(room: BodyRoom) -> BodiesStatus:
    return BodiesStatus(room.bytes, room.large_bytes, room.bytes_max, room.refused)


def _judge_status(decider: Decider) -> DeciderStatus:
    lanes = tuple(
        LaneStatus(
            name=lane.bounds.name,
            state=lane.state.value,
            waiting=lane.waiting,
            waiting_bytes=lane.waiting_bytes,
            lost=lane.lost,
            refused=lane.refused,
        )
        for lane in decider.lanes
    )
    is_running = decider.process_id is not None and all(
        lane.state is not LaneState.RESTING for lane in decider.lanes
    )
    return DeciderStatus(decider.was_started, is_running, decider.decided_by_process, lanes)
