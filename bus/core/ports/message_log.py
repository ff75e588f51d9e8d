"""What the hub needs of the outside world, as interfaces. Edges implement them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bus.core.deliveries import (
    Changed,
    DeliveryChange,
    DeliveryKey,
    Moved,
    NewDelivery,
    ReceiptRemoval,
)
from signing.attachments import Attachment
from signing.quick_init import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class SealedPayload:
    """A payload as it is stored: encrypted, apart from its leaf, erasable.

    The plaintext is `salt (32 bytes) || raw`. Without `wrapped_key` nobody can read it.
    """

    ciphertext: bytes = field(repr=False)
    """AES-256-GCM: nonce (12 bytes) || ciphertext || tag (16 bytes)."""
    wrapped_key: bytes = field(repr=False)
    """The message's own key, wrapped under the log's read key."""


class InboxState(StrEnum):
    """What became of a message id that was taken."""

    OPEN = "open"
    """Received and recorded; no outcome yet."""
    ANSWERED = "answered"
    """Answered for good: every copy gets the same answer."""
    RETRYABLE = "retryable"
    """The attempt failed for a while; the same bytes may be sent again."""
    ACCEPTED = "accepted"
    """Taken for delivery: the entry that received it is all that its sender is told; every copy is
    told the same. A claim says so itself, and no settlement follows."""


@quick_init
@dataclass(frozen=True, slots=True)
class Claim:
    """Take a message id for one sender: the first bytes under an id keep it for ever."""

    key: bytes
    """16 bytes: keyed pseudonym of sender and message id."""
    digest: bytes
    """SHA-256 of the raw bytes."""
    state: InboxState = InboxState.OPEN
    """OPEN: an outcome follows; ACCEPTED: it is answered by having been received."""


@quick_init
@dataclass(frozen=True, slots=True)
class Settlement:
    """Set the state of a claimed message id, with the entry that settles it."""

    key: bytes
    state: InboxState


@quick_init
@dataclass(frozen=True, slots=True)
class LogWrite:
    """One entry with all that must be stored in the same transaction."""

    leaf: bytes
    """Canonical JSON (RFC 8785)."""
    sealed: SealedPayload | None = None
    claim: Claim | None = None
    settlement: Settlement | None = None
    erases: int | None = None
    """Index of the entry whose payload goes away for ever; the leaf is its tombstone."""
    deliveries: tuple[NewDelivery, ...] = ()
    """What recipients are owed from here on, by position: of a submission that is received."""
    carried: SealedPayload | None = None
    """What these deliveries need of the message, for as long as one of them is open."""
    change: DeliveryChange | None = None
    """What the entry does to the row of a delivery."""
    receipt_for: str = ""
    """The sender of the message whose delivery it ends: it finds the entry among its receipts."""


@quick_init
@dataclass(frozen=True, slots=True)
class Appended:
    """The entry is on disk and synced, at this index."""

    index: int
    blocked: tuple[int, ...] = ()
    """Positions of its new deliveries that wait for others of their conversations."""
    freed: DeliveryKey | None = None
    """What waited in its conversation for the delivery that it closed, and does not any more."""


@dataclass(frozen=True, slots=True)
class AlreadyTaken:
    """The claim met an earlier one; nothing was appended."""

    is_same_digest: bool
    state: InboxState
    received_index: int
    outcome_index: int | None
    origin: str | None = None
    """Of the log in which these entries stand; None: the one that was written to."""


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """One entry as it lies in the log."""

    index: int
    leaf: bytes
    sealed: SealedPayload | None


@dataclass(frozen=True, slots=True)
class KeptAttachments:
    """Attachments that lie sealed beside the log, for an entry that is still to be appended."""

    commitment: bytes
    """To what they are: SHA-256(tag || salt || manifest)."""
    stored: bytes
    """SHA-256 of the sealed file; names it."""


class AttachmentStore(Protocol):
    """Keeps attachments beside the log. Its functions wait for the disk: call them in a thread."""

    def keep(self, attachments: Sequence[Attachment], *, is_content_kept: bool) -> KeptAttachments:
        """Seal attachments; when this returns, they are on disk and synced.

        Without `is_content_kept` only what they are: ids, headers, sizes, digests. `confirm`
        follows when an entry names them, `drop` when none will. Raises LogUnavailable.
        """
        ...

    def confirm(self, kept: KeptAttachments) -> None:
        """An entry on disk names them."""
        ...

    def drop(self, kept: KeptAttachments) -> None:
        """No entry names them: remove them."""
        ...

    def open(self, stored: bytes) -> tuple[Attachment, ...]:
        """The attachments that were kept under this digest. Raises LogCorrupt."""
        ...


class PayloadSealer(Protocol):
    """Encrypts payloads for the log and opens them again."""

    def seal(self, raw: bytes) -> tuple[SealedPayload, bytes, bytes]:
        """Encrypt; give it sealed, the commitment to it, and the digest of the ciphertext."""
        ...

    def seal_for_a_while(self, raw: bytes) -> SealedPayload:
        """Encrypt what no leaf names, and what is soon deleted."""
        ...

    def open_sealed(self, sealed: SealedPayload) -> tuple[bytes, bytes]:
        """Decrypt; give salt and raw bytes. Raises LogCorrupt."""
        ...


class MessageLog(Protocol):
    """The message log, as the hub writes it."""

    async def append(self, write: LogWrite) -> Appended | AlreadyTaken | Moved:
        """Append one entry.

        When this returns Appended, the entry, its payload and its inbox change are on disk and
        synced, in one transaction. A claim that meets an OPEN or ANSWERED row, or a row with
        another digest, appends nothing and returns AlreadyTaken; one that meets a RETRYABLE row
        with the same digest takes it over and returns Appended. A change whose row is not as it was
        seen appends nothing and returns Moved.
        Raises LogUnavailable: nothing was appended.
        """
        ...

    async def change(self, change: DeliveryChange) -> Changed | Moved:
        """Change the row of a delivery without an entry; when this returns Changed, it is on disk
        and synced. Raises LogUnavailable: nothing was done.
        """
        ...

    async def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Remove receipts of a sender; give how many lay there. When this returns, that is on disk
        and synced. Raises LogUnavailable.
        """
        ...

    async def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What an append with this claim would meet now; None: it would take it.

        Raises LogUnavailable.
        """
        ...

    async def read(self, index: int, origin: str | None = None) -> StoredEntry:
        """The entry at `index`, of this log or of the one that is named.

        Raises LogCorrupt if there is none, LogUnavailable.
        """
        ...

    async def close(self) -> None:
        """Write what is queued, publish a last checkpoint, release every file."""
        ...
