"""The way of every message through the hub: the first file a stranger reads.

    bytes -> parse -> Envelope -> verify -> VerifiedEnvelope -> authorise -> AuthorisedMessage
          -> validate -> ValidMessage -> route -> RoutedMessage -> deliver -> outcome

Each stage is a function from one type to the next, so that none can be left out. All of it is
pure: the time, the configuration and the compiled schemas are arguments, so that a decision of the
past can be made again from the log. What is left of a message afterwards are values
(bus.core.decision); `bus.exchange` records, delivers and answers by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bus.core.authorisation import authorise
from bus.core.envelope import Envelope
from bus.core.errors import BusError
from bus.core.identifiers import ServiceId
from bus.core.limits import Limits
from bus.core.registry import MemberRegistry
from bus.core.revocation import RevocationPolicy, require_not_revoked
from bus.core.routing import RoutedMessage, route
from bus.core.validation import PayloadSchema, validate
from bus.core.verification import VerifiedEnvelope, verify
from signing.pki.certificates import TrustStore
from signing.pki.revocation import Status

Parse = Callable[[bytes, Limits], Envelope]
"""A protocol's way from bytes to an envelope."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that a decision depends on, but the message and the time."""

    registry: MemberRegistry
    trust: TrustStore
    schemas: Mapping[ServiceId, PayloadSchema] = field(repr=False)
    digest: bytes
    """Names these very rules: routes, anchors, schemas and what is asked of revocation."""
    revocation: RevocationPolicy


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message that may not pass: why, and how far it came."""

    error: BusError
    envelope: Envelope | None
    verified: VerifiedEnvelope | None

    def __post_init__(self) -> None:
        """Let go of what the error was raised in: its frames hold the message and its whole tree,
        and hold this refusal, too, so that nothing of it would be freed before a collector comes.
        """
        self.error.forget_where()


def decide(raw: bytes, parse: Parse, rules: Rules, now: datetime) -> RoutedMessage | Refusal:
    """Take one message through every stage before delivery."""
    envelope: Envelope | None = None
    verified: VerifiedEnvelope | None = None
    try:
        envelope = parse(raw, rules.registry.limits)
        verified = verify(envelope, rules.registry, rules.trust, now)
        authorised = authorise(verified, rules.registry)
        valid = validate(authorised, rules.schemas)
        return route(valid, rules.registry)
    except BusError as error:
        return Refusal(error, envelope, verified)


def revocation_error(status: Status, rules: Rules, now: datetime) -> BusError | None:
    """Why a message may not pass whose certificate is revoked, or not known to be good.

    It goes before any other reason: a sender whose key may be in other hands is told nothing else.
    """
    try:
        require_not_revoked(status, rules.revocation, now)
    except BusError as error:
        return error
    return None
