"""Route a valid message: which adapter carries it, for how long, under which idempotency key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from bus.core.validation import ValidMessage


@dataclass(frozen=True, slots=True)
class RoutedMessage:
    """A message that is ready for its adapter. Made by `route` only."""

    valid: ValidMessage
    adapter: str
    timeout_seconds: float
    idempotency_key: str
    """The same for every attempt at the same message of the same sender; 43 characters."""


def route(valid: ValidMessage) -> RoutedMessage:
    """Name the adapter of the service and the key that every attempt carries."""
    envelope = valid.authorised.verified.envelope
    service = valid.authorised.service
    key = hashlib.sha256(f"{envelope.client}\n{envelope.message_id}".encode()).hexdigest()[:43]
    return RoutedMessage(valid, service.adapter, service.timeout_seconds, key)
