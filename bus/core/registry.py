"""The nation as routes.yaml tells it: members, subsystems, services, grants. Values, no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.limits import Limits
from signing.policy import MemberPolicy, SignaturePolicy


class Mode(StrEnum):
    """How a service answers: at once, or by store and forward."""

    QUERY = "query"
    SUBMISSION = "submission"


class RecipientRule(StrEnum):
    """Who gets what is submitted to a service."""

    PROVIDER = "provider"
    """The subsystem whose service it is."""
    NAMED = "named"
    """Whom the message names in a signed header: each must be subscribed to the service."""
    SUBSCRIBERS = "subscribers"
    """Everybody who is subscribed to the service when the message is accepted."""


class Repeats(StrEnum):
    """What a recipient does with a delivery that it has had before, by its key."""

    RECOGNISED = "recognised"
    """It drops the copy, and says again what it said."""
    ASKED = "asked"
    """It can be asked whether it had it."""
    NEVER = "never"
    """It does it again: after doubt nothing is sent any more."""


class FaultSpelling(StrEnum):
    """How X-Road fault codes are spelt: up to 7.7 PascalCase, from 7.8 snake_case."""

    PASCAL = "pascal"
    SNAKE = "snake"


@dataclass(frozen=True, slots=True)
class Member:
    """An agency.

    `certificate_subject` is the value of the certificate's subject attribute
    organizationIdentifier (OID 2.5.4.97) that leads to this member and to no other.
    """

    id: MemberId
    name: str
    organ_code: str
    """Decision 20/2020: `H41`; empty: it has none."""
    organ_code_2016: str
    """QCVN 102:2016: `000.00.00.H41`; empty: it has none."""
    certificate_subject: str
    subsystems: tuple[SubsystemId, ...]
    former_organ_codes: tuple[str, ...] = ()
    """Of agencies that were merged into it, in either form."""
    maintenance: str = ""
    """Told to senders while the agency takes no requests; empty: it takes them."""
    rate_per_second: float | None = None
    """Messages of it that are taken a second, on the average; None: as many as come."""


@dataclass(frozen=True, slots=True)
class AttachmentRule:
    """What may stand beside the messages of a service."""

    count_max: int
    """Most attachments beside one message."""
    bytes_max: int
    """Largest attachment, in bytes."""
    types: frozenset[str] = frozenset()
    """Media types in lower case, without parameters; empty: any."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another."""

    first_seconds: float = 5.0
    """Before the second attempt."""
    factor: float = 2.0
    """So many times longer before each further one."""
    cap_seconds: float = 900.0
    """At most so long between two attempts."""
    jitter: float = 0.2
    """Share by which a delay is longer or shorter, so that what failed together is spread."""
    attempts_max: int = 300
    expires_after_seconds: float = 3 * 24 * 3600.0
    """From acceptance to expiry."""


@dataclass(frozen=True, slots=True)
class SubmissionRule:
    """How what is submitted to a service is delivered."""

    recipients: RecipientRule = RecipientRule.PROVIDER
    retry: RetryPolicy = RetryPolicy()
    repeats: Repeats = Repeats.RECOGNISED
    is_ordered: bool = False
    """Messages of one client in one case (header `issue`) go one after the other."""
    skips_dead_letters: bool = False
    """Whether what comes after a dead letter of its conversation goes on without it."""
    is_urgent: bool = False
    """Goes before what is not, to the same recipient."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of an agency: who carries it, what its messages look like, how long it may take.

    The schema's target namespace holds the request element, named as the service code, and the
    answer element, named as the service code with `Response` behind it.
    """

    id: ServiceId
    title: str
    adapter: str
    """The folder under adapters/ whose manifest names the class; empty: `recipients` of the
    registry say how whoever gets its messages is reached."""
    schema: str
    """Path of the XSD below schemas/."""
    mode: Mode
    timeout_seconds: float
    is_enabled: bool = True
    notice: str = ""
    """Told to senders while the service is switched off."""
    attachments: AttachmentRule | None = None
    """Of requests; None: they have none."""
    answer_attachments: AttachmentRule | None = None
    """Of answers; None: they have none."""
    submission: SubmissionRule | None = None
    """None: it is a query."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A right: this subsystem gets what is submitted to that service, for a purpose."""

    subscriber: SubsystemId
    service: ServiceId
    purpose: str
    legal_basis: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A right: this subsystem may use that service, for a purpose."""

    client: SubsystemId
    service: ServiceId
    purpose: str
    legal_basis: str


@dataclass(frozen=True, slots=True)
class FaultStyle:
    """How faults are written on the wire."""

    spelling: FaultSpelling = FaultSpelling.PASCAL
    http_status: int = 500
    """500 as SOAP 1.1 §6.2 says, or 200 as X-Road does."""


@dataclass(frozen=True, slots=True)
class MemberRegistry:
    """Everything that routes.yaml says, validated; `digest` names this very text."""

    instance: str
    hub: SubsystemId
    members: Mapping[MemberId, Member]
    services: Mapping[ServiceId, Service]
    grants: Mapping[tuple[SubsystemId, ServiceId], Grant]
    limits: Limits
    faults: FaultStyle
    policy: SignaturePolicy
    """What a signature may look like, of every member without a policy of its own."""
    digest: bytes
    """SHA-256 of the text of routes.yaml."""
    text: bytes = field(repr=False)
    """The text itself, kept in the log so that a past decision can be made again."""
    member_by_certificate_subject: Mapping[str, MemberId] = field(repr=False)
    member_by_organ_code: Mapping[str, MemberId] = field(repr=False)
    """Both forms of the organ code lead here, and those of agencies that were merged."""
    subsystems: frozenset[SubsystemId] = field(repr=False)
    """Who may ask: every subsystem, and every member itself."""
    member_policies: Mapping[MemberId, MemberPolicy] = field(repr=False, default_factory=dict)
    """Members with a policy of their own."""
    recipients: Mapping[SubsystemId, str] = field(default_factory=dict)
    """The adapter that reaches a subsystem, where no service says it; empty: its mailbox."""
    subscriptions: Mapping[ServiceId, Mapping[SubsystemId, Subscription]] = field(
        default_factory=dict
    )
    """Who is subscribed to a service, in the order of their names."""

    def policy_of(self, member: MemberId | None, now: datetime) -> SignaturePolicy:
        """What a signature of a member, or of nobody known, may look like at `now`."""
        own = self.member_policies.get(member) if member is not None else None
        return self.policy if own is None else own.at(now)
