"""Route a valid message: who carries it to whom, for how long, under which idempotency keys."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass

from bus.core import errors
from bus.core.identifiers import SubsystemId
from bus.core.registry import MemberRegistry, RecipientRule, Service
from bus.core.validation import ValidMessage
from signing.quick_init import quick_init

_KEY_CHARACTERS = 43


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a submission, and how it is reached."""

    subsystem: SubsystemId
    adapter: str
    """The folder under adapters/; empty: what it gets lies in its mailbox."""


@quick_init
@dataclass(frozen=True, slots=True)
class RoutedMessage:
    """A message that is ready for its adapter. Made by `route` only."""

    valid: ValidMessage
    adapter: str
    timeout_seconds: float
    idempotency_key: str
    """The same for every attempt at the same message of the same sender; 43 characters."""
    recipients: tuple[Recipient, ...] = ()
    """Of a submission, in the order of their names: a place here is a delivery's position."""


def route(valid: ValidMessage, registry: MemberRegistry) -> RoutedMessage:
    """Name the adapter of the service, the recipients, and the key that every attempt carries.

    Raises RecipientsInvalid, RecipientNotSubscribed.
    """
    envelope = valid.authorised.verified.envelope
    service = valid.authorised.service
    key = hashlib.sha256(f"{envelope.client}\n{envelope.message_id}".encode()).hexdigest()
    recipients = recipients_of(service, envelope.recipients, registry)
    return RoutedMessage(
        valid, service.adapter, service.timeout_seconds, key[:_KEY_CHARACTERS], recipients
    )


def recipients_of(
    service: Service, named: tuple[SubsystemId, ...], registry: MemberRegistry
) -> tuple[Recipient, ...]:
    """Who gets a message to a service that names these, in the order of their names.

    Nobody, if it is a query. Raises RecipientsInvalid, RecipientNotSubscribed.
    """
    rule = service.submission.recipients if service.submission else None
    if named and rule is not RecipientRule.NAMED:
        raise errors.RecipientsInvalid(public_detail="this service takes no header recipients")
    if rule is None:
        return ()
    if rule is RecipientRule.PROVIDER:
        provider = service.id.provider
        return (Recipient(provider, service.adapter or registry.recipients[provider]),)
    subscribed = registry.subscriptions.get(service.id, {})
    if rule is RecipientRule.NAMED:
        _require_subscribed(named, subscribed.keys())
    chosen = sorted(named or subscribed)
    if len(chosen) > registry.limits.recipients_max:
        raise errors.RecipientsInvalid(
            public_detail=f"{len(chosen)} recipients, at most {registry.limits.recipients_max}"
        )
    return tuple(Recipient(one, registry.recipients[one]) for one in chosen)


def delivery_digest(
    client: SubsystemId, message_id: str, recipient: SubsystemId, generation: int = 0
) -> bytes:
    """Names one delivery to its recipient; SHA-256, 32 bytes. `generation` grows where an operator
    submits a dead letter anew."""
    return hashlib.sha256(f"{client}\n{message_id}\n{recipient}\n{generation}".encode()).digest()


def delivery_idempotency_key(digest: bytes) -> str:
    """What a recipient is told of `delivery_digest`: the same in every attempt; 43 characters."""
    return digest.hex()[:_KEY_CHARACTERS]


def _require_subscribed(
    named: tuple[SubsystemId, ...], subscribed: Collection[SubsystemId]
) -> None:
    if not named:
        raise errors.RecipientsInvalid(public_detail="this service needs a header recipients")
    strangers = [one for one in named if one not in subscribed]
    if strangers:
        raise errors.RecipientNotSubscribed(public_detail=f"{strangers[0]}")
