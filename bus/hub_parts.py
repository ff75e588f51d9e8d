"""Put the parts of a hub together: its keys, its log, then what judges, delivers and replies."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from bus.catalogue.metaservices import MetaserviceCalls
from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core import errors
from bus.core.decision import Decide
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.metaservices import METASERVICE_ADAPTER
from bus.core.registry import MemberRegistry
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.answers import AgencyAnswers
from bus.delivery.beyond import elsewhere, open_beyond
from bus.delivery.carrying import signing_members
from bus.delivery.embedded import DeliveryPlace, EmbeddedDeliveries
from bus.delivery.opening import require_signers
from bus.delivery.probing import Probing
from bus.exchange.acceptances import Acceptances
from bus.exchange.answering import AgencyCall, Answering
from bus.exchange.exchanges import ExchangeDependencies, Exchanges
from bus.exchange.faults import Faults
from bus.exchange.recording import Recorder
from bus.exchange.replies import Replies
from bus.exchange.submission import Submissions
from bus.http.body_room import BodyRoom
from bus.http.spool import Spool, open_spool
from bus.judge_program import WIRE
from bus.judging.process import Decider
from bus.judging.revocation_stage import RevocationStage, recorder
from bus.judging.rules import RulesText
from bus.log.beside import OwnAttachments, keeper_beside, open_attachments_beside
from bus.log.entry_writer import EntryWriter
from bus.log.message_log import HubLog
from bus.log.opening import hub_name, open_log
from bus.log.sealing import Sealer
from bus.log.timestamping import Timestamper, read_timestamp_trust
from bus.mailbox.opening import open_mailboxes
from bus.mailbox.service import MailboxService
from bus.mailbox.tidying import ReceiptTidying
from bus.operations.adopted_logs import AdoptedLogs
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.hub_health import HubHealth
from bus.operations.hub_status import StatusSource, named_certificates
from bus.runtime.bulkheads import SenderBulkheads
from bus.runtime.rates import MemberRates
from bus.runtime.recycled_threads import RecycledThreads
from bus.runtime.resources import Resources
from bus.runtime.telemetry import report_broken
from bus.settings.hub import HubSettings, OtherLog
from bus.trust.key_store import read_ed25519_key, read_succession, read_symmetric_key
from bus.trust.token_keys import close_tokens
from signing.pki.succession import KeySuccession
from signing.signed_note import SigningKey

LOG_CLOSE_SECONDS_MAX = 30.0
"""How long the log may take to write what is queued, and its last checkpoint."""
DECIDER_CLOSE_SECONDS_MAX = 10.0
"""How long the judging process may take to end."""


@dataclass(frozen=True, slots=True)
class HubKeys:
    """What a hub signs, seals and hides names with."""

    log: SigningKey
    """Under the origin of its log."""
    receipts: SigningKey
    """The same key under the name of receipts."""
    sealer: Sealer = field(repr=False)
    pseudonyms: Pseudonyms = field(repr=False)
    hub_signer: KeySuccession = field(repr=False)
    signers: Mapping[str, KeySuccession] = field(repr=False)
    """Of the agencies that are answered for here, by member id."""
    others: Mapping[str, SigningKey] = field(default_factory=dict)
    """Keys of logs of other hubs, by their origins."""

    @property
    def receipts_elsewhere(self) -> Mapping[str, SigningKey]:
        """The same keys under the names of receipts."""
        return {origin: receipt_key_of(key) for origin, key in self.others.items()}


@dataclass(frozen=True, slots=True)
class HubGround:
    """What every part of a hub stands on."""

    settings: HubSettings
    ruled: RulesText
    keys: HubKeys
    agencies: Mapping[str, AdapterCalls]
    """By adapter id."""
    descriptions: ServiceDescriptions
    log: HubLog
    entries: EntryWriter
    clock: Callable[[], datetime]
    keep_files: Callable[[], None]
    """Told that a small file of the log's folder changed which an adopter needs."""


@dataclass(frozen=True, slots=True)
class HubParts:
    """What a hub is put together from. Made by `put_together` only."""

    ground: HubGround
    store: OwnAttachments
    spool: Spool
    decider: Decider
    revocation: RevocationStage
    exchanges: Exchanges
    deliveries: EmbeddedDeliveries
    probing: Probing
    status: StatusSource
    looking_ahead: RecycledThreads
    tidying: ReceiptTidying
    body_room: BodyRoom


def put_together(
    settings: HubSettings,
    ruled: RulesText,
    agencies: Mapping[str, AdapterCalls],
    clock: Callable[[], datetime],
    resources: Resources,
) -> HubParts:
    """Read every key that can be wrong, then open the log, then make what needs it.

    `resources` owns what must be closed. Raises ConfigurationError, LogUnavailable, LogCorrupt.
    """
    rules, limits = ruled.rules, ruled.rules.registry.limits
    keys = _read_keys(settings, ruled, resources)
    spool = open_spool(settings.spool, bytes_max=limits.spool_bytes_max)
    ground, store, timestamper = _opened_log(settings, ruled, keys, agencies, clock, resources)
    log = ground.log
    decider = Decider(WIRE, rules, report_broken)
    resources.own("judges", decider.close, seconds_max=DECIDER_CLOSE_SECONDS_MAX)
    record = recorder(log, keys.sealer, clock)
    revocation = RevocationStage(decider.decide, rules, settings.revocation, record, clock)
    resources.own("revocation", revocation.close)
    looking_ahead = RecycledThreads(1, "look-ahead")
    resources.own("look-ahead", partial(looking_ahead.shutdown, wait=False, cancel=True))
    senders = SenderBulkheads(limits.exchanges_at_once_per_member_max)
    rates = _member_rates(rules.registry)
    body_room = BodyRoom(limits)
    answers = AgencyAnswers(keys.signers, WIRE, rules, clock)
    deliveries = make_deliveries(ground)
    probing = Probing(
        agencies,
        rules.registry,
        lambda recipient: deliveries.lanes.reached(recipient, clock()),
        every_seconds=settings.probe_seconds,
        monotonic=time.monotonic,
    )
    mailboxes = _mailboxes(ground, deliveries)
    decide = decider.decide if rules.revocation.is_off else revocation.decide
    health = HubHealth(decider, log, timestamper, clock)
    resources.own("health", health.close)
    status = StatusSource(
        settings=settings,
        log=log,
        timestamper=timestamper,
        certificates=named_certificates(settings, keys.hub_signer, keys.signers),
        agencies=agencies,
        queries_elsewhere=deliveries.queries_elsewhere,
        decider=decider,
        health=health,
        metrics=ExchangeMetrics(),
        clock=clock,
        spool=spool,
        body_room=body_room,
        revocation=None if rules.revocation.is_off else revocation.watch,
        senders=senders,
        deliveries=deliveries.status,
        rates=rates,
        probing=probing,
        closing_seconds=deliveries.closing_seconds,
        adopted=AdoptedLogs(),
        disk_needed_bytes=limits.disk_free_bytes_min,
        started_at=time.monotonic(),
    )
    return HubParts(
        ground=ground,
        store=store,
        spool=spool,
        decider=decider,
        revocation=revocation,
        exchanges=_exchanges(ground, decide, senders, rates, answers, deliveries, mailboxes),
        deliveries=deliveries,
        probing=probing,
        status=status,
        looking_ahead=looking_ahead,
        tidying=ReceiptTidying(mailboxes.receipts, lambda: log.size, clock),
        body_room=body_room,
    )


def _opened_log(
    settings: HubSettings,
    ruled: RulesText,
    keys: HubKeys,
    agencies: Mapping[str, AdapterCalls],
    clock: Callable[[], datetime],
    resources: Resources,
) -> tuple[HubGround, OwnAttachments, Timestamper | None]:
    """The log and what lies beside it, and who stamps it.

    Raises ConfigurationError, LogUnavailable, LogCorrupt.
    """
    descriptions = ServiceDescriptions(
        ruled.rules, schemas=settings.schemas, public_url=settings.public_url
    )
    log = open_log(
        settings.log.folder,
        key=keys.log,
        guard=settings.log.guard,
        limits=ruled.rules.registry.limits,
        database=settings.database,
    )
    resources.own("log", log.close, seconds_max=LOG_CLOSE_SECONDS_MAX)
    hub = hub_name(settings.log.folder)
    keep_files = keeper_beside(settings.log.folder, settings.database, settings.log.origin, hub)
    timestamper = _timestamper(settings, clock, keep_files)
    store = open_attachments(settings, keys.sealer, hub, resources)
    others = {
        one.origin: open_attachments(settings_of_other(settings, one), keys.sealer, "", resources)
        for one in settings.log.others
    }
    entries = EntryWriter(log, store, keys.sealer, others)
    ground = HubGround(
        settings, ruled, keys, agencies, descriptions, log, entries, clock, keep_files
    )
    return ground, store, timestamper


def _read_keys(settings: HubSettings, ruled: RulesText, resources: Resources) -> HubKeys:
    """Every key that the settings name. Raises ConfigurationError."""
    log_key = read_ed25519_key(settings.log.signing_key)
    sealer = Sealer(read_symmetric_key(settings.log.read_key))
    pseudonyms = Pseudonyms(read_symmetric_key(settings.log.pseudonym_key))
    resources.own("tokens", close_tokens)
    hub_signer = read_succession(settings.hub_signer)
    signers = {str(member): read_succession(of) for member, of in settings.signers.items()}
    signing = signing_members(ruled.rules.registry, elsewhere(settings))
    require_signers(settings.file, signing, signers)
    return HubKeys(
        log=SigningKey(settings.log.origin, log_key),
        receipts=receipt_key_of(SigningKey(settings.log.origin, log_key)),
        sealer=sealer,
        pseudonyms=pseudonyms,
        hub_signer=hub_signer,
        signers=signers,
        others={
            one.origin: SigningKey(one.origin, read_ed25519_key(one.signing_key))
            for one in settings.log.others
        },
    )


def receipt_key_of(key: SigningKey) -> SigningKey:
    """A log's key under the name of receipts."""
    return SigningKey(key.name + RECEIPT_NAME, key.private_key)


def open_attachments(
    settings: HubSettings, sealer: Sealer, hub: str, resources: Resources
) -> OwnAttachments:
    """What keeps attachments beside the log of these settings, as `hub` writes it."""
    log = settings.log
    store = open_attachments_beside(log.folder, settings.database, log.origin, hub, sealer)
    resources.own(f"attachments of {log.origin}", store.close)
    return store


def settings_of_other(settings: HubSettings, other: OtherLog) -> HubSettings:
    """The same, for the log of another hub."""
    log = replace(
        settings.log,
        origin=other.origin,
        folder=other.folder,
        guard=other.guard,
        signing_key=other.signing_key,
    )
    return replace(settings, log=log)


def _timestamper(
    settings: HubSettings, clock: Callable[[], datetime], keep_files: Callable[[], None]
) -> Timestamper | None:
    """Who stamps the log; None: nobody was named. Raises ConfigurationError, LogUnavailable."""
    if settings.timestamps is None:
        return None
    trust = read_timestamp_trust(settings.timestamps)
    try:
        return Timestamper(
            settings.log.folder, settings.timestamps, trust, clock=clock, kept=keep_files
        )
    except OSError as error:
        raise errors.LogUnavailable(f"{error.filename}: {error.strerror}") from error


def _member_rates(registry: MemberRegistry) -> MemberRates:
    """What was agreed with members, as each hub holds them to it."""
    agreed = {
        member.id: member.rate_per_second
        for member in registry.members.values()
        if member.rate_per_second is not None
    }
    return MemberRates(agreed, time.monotonic)


def make_deliveries(ground: HubGround) -> EmbeddedDeliveries:
    """What delivers submissions of a log."""
    rules = ground.ruled.rules
    place = DeliveryPlace(
        ground.log.deliveries,
        ground.entries,
        ground.settings.log.folder,
        ground.settings.log.origin,
        rules.registry.limits,
        ground.clock,
        ground.keep_files,
    )
    answers = AgencyAnswers(ground.keys.signers, WIRE, rules, ground.clock)
    beyond = open_beyond(ground.settings, rules, ground.keys.log, ground.clock)
    return EmbeddedDeliveries(place, ground.agencies, answers, beyond)


def _mailboxes(ground: HubGround, deliveries: EmbeddedDeliveries) -> MailboxService:
    """What hands out and takes acknowledgements, in the hub's own name."""
    rules, keys = ground.ruled.rules, ground.keys
    hub = {str(rules.registry.hub.member): keys.hub_signer}
    answers = AgencyAnswers(hub, WIRE, rules, ground.clock)
    return open_mailboxes(deliveries.place, deliveries.writer, answers, keys.receipts)


def _exchanges(
    ground: HubGround,
    decide: Decide,
    senders: SenderBulkheads,
    rates: MemberRates,
    answers: AgencyAnswers,
    deliveries: EmbeddedDeliveries,
    mailboxes: MailboxService,
) -> Exchanges:
    """What carries each message through, and replies."""
    rules, keys = ground.ruled.rules, ground.keys
    metaservices = MetaserviceCalls(rules.registry, ground.descriptions)
    called: dict[str, AgencyCall] = {**ground.agencies, METASERVICE_ADAPTER: metaservices}
    recorder = Recorder(ground.entries, keys.pseudonyms, rules.digest)
    style, is_precise = rules.registry.faults, ground.settings.show_precise_faults
    faults = Faults(WIRE, keys.hub_signer, style.spelling, is_precise)
    replies = Replies(
        wire=WIRE,
        faults=faults,
        receipt_key=keys.receipts,
        style=style,
        receipt_keys_elsewhere=keys.receipts_elsewhere,
    )
    submissions = Submissions(
        recorder,
        deliveries.dispatcher,
        deliveries.admission,
        rules.registry,
        keys.pseudonyms,
        Acceptances(WIRE, keys.hub_signer, keys.receipts, keys.receipts_elsewhere),
        replies,
        ground.clock,
    )
    return Exchanges(
        ExchangeDependencies(
            recorder=recorder,
            senders=senders,
            rates=rates,
            answering=Answering(called, answers, deliveries.asking),
            replies=replies,
            submissions=submissions,
            mailboxes=mailboxes,
            decide=decide,
            clock=ground.clock,
            new_id=lambda: str(uuid.uuid4()),
        )
    )
