"""What was decided of a message: a refusal, or what its delivery and its answer need."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from bus.core.pipeline import Refusal
from bus.core.routing import RoutedMessage
from signing.attachments import Attachment
from signing.wss.sign import CanonicalParts


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that may pass, with what its delivery and its answer need."""

    message: RoutedMessage
    payload: bytes = field(repr=False)
    """The one element of the Body in exclusive canonical XML, with the bindings of its values."""
    answer_blocks: CanonicalParts = field(repr=False)
    """The header blocks that the answer repeats, and the request's hash."""
    soap_action: str = ""
    """What the head of the request said, without quotes; nobody signed it."""


Decision = Accepted | Refusal


class Decide(Protocol):
    """Takes a request through every stage before delivery, here or in a process beside."""

    def __call__(
        self, raw: bytes, now: datetime, attachments: tuple[Attachment, ...] = ...
    ) -> Awaitable[Decision]:
        """The decision about a request. For any bytes: a decision."""
        ...
