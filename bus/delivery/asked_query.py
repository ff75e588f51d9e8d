"""A query that was recorded, on its way to a worker elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

from bus.core.decision import Accepted
from signing.attachments import Attachment


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """What is asked, as its sender signed it and as the hub decided."""

    accepted: Accepted
    raw: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]
    received_index: int
    """The entry that says that it came."""
