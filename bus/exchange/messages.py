"""What an exchange has in hand: a request as it came to a door, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from bus.core.attachments import message_digest
from bus.core.decision import Refused
from bus.core.errors import BusError
from signing.attachments import Attachment
from signing.quick_init import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class IncomingRequest:
    """A request's bytes, what came beside them, and what its head said."""

    raw: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]
    time: datetime
    """When it came: the policy time of its decision."""
    version: str | None = None
    """Of the wire protocol, as its head says; None: it says nothing."""

    def digest(self, refused: Refused) -> bytes:
        """What names it, where it was refused: made now, if it could not be read."""
        if refused.facts is not None:
            return refused.facts.digest
        return message_digest(self.raw, self.attachments)


@quick_init
@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a message, as it is told to its sender."""

    body: bytes = field(repr=False)
    """The signed answer or fault, without receipt."""
    time: datetime
    """When it was known: that of its entry, and of the receipt."""
    attachments: tuple[Attachment, ...] = ()
    error: BusError | None = None
    """None: it was delivered."""
    fault_id: str | None = None
