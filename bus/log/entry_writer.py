"""Append entries with what stands beside them: sealed payloads, attachments in files of their own.

Attachments are on disk first, then the entry that names them, then their file gets its name for
good. Stopped in between, the next start finds a file without a known entry and looks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from bus.core.deliveries import Moved
from bus.core.errors import LogCorrupt
from bus.core.exchange_leaves import Entry, SealedFacts
from bus.core.ports.message_log import (
    AlreadyTaken,
    Appended,
    AttachmentStore,
    KeptAttachments,
    LogWrite,
    MessageLog,
    PayloadSealer,
    SealedPayload,
)
from bus.runtime.off_loop import INLINE_BYTES_MAX, off_loop
from signing.attachments import Attachment

MakeWrite = Callable[[KeptAttachments | None], LogWrite]
"""Makes the entry, once it is known what lies beside it."""


@dataclass(frozen=True, slots=True)
class EntryWriter:
    """Seals, keeps and appends; every method returns when what it wrote is on disk and synced.

    Each raises LogUnavailable: nothing was appended, or nobody can tell.
    """

    log: MessageLog
    store: AttachmentStore
    sealer: PayloadSealer
    stores_elsewhere: Mapping[str, AttachmentStore] = field(default_factory=dict)
    """Beside other logs, by their origins."""

    async def seal(self, raw: bytes) -> SealedFacts:
        """A payload as it is stored, with what its leaf says about it."""
        if len(raw) <= INLINE_BYTES_MAX:
            sealed = self.sealer.seal(raw)
        else:
            sealed = await off_loop(len(raw), partial(self.sealer.seal, raw))
        return SealedFacts(*sealed, raw_bytes=len(raw))

    async def seal_for_a_while(self, raw: bytes) -> SealedPayload:
        """What lies beside an entry until it is not needed any more."""
        return await off_loop(len(raw), partial(self.sealer.seal_for_a_while, raw))

    async def opened(self, sealed: SealedPayload) -> bytes:
        """The raw bytes of a sealed payload. Raises LogCorrupt."""
        open_sealed = partial(self.sealer.open_sealed, sealed)
        _, raw = await off_loop(len(sealed.ciphertext), open_sealed)
        return raw

    async def kept_attachments(
        self, stored: bytes | None, origin: str | None = None
    ) -> tuple[Attachment, ...]:
        """The attachments that were kept under a digest beside this log, or the one that is named;
        None: there are none.

        Raises LogCorrupt.
        """
        if stored is None:
            return ()
        store = self.store if origin is None else self.stores_elsewhere.get(origin)
        if store is None:
            raise LogCorrupt(f"nobody said where the attachments of {origin} lie")
        return await asyncio.to_thread(store.open, stored)

    async def append(
        self,
        make_write: MakeWrite,
        attachments: tuple[Attachment, ...] = (),
        *,
        is_content_kept: bool = True,
    ) -> Entry | AlreadyTaken:
        """Append one entry with the attachments beside it."""
        write, result = await self._append(make_write, attachments, is_content_kept=is_content_kept)
        assert not isinstance(result, Moved)  # only a change of a delivery can have been overtaken
        return Entry(write.leaf, result.index) if isinstance(result, Appended) else result

    async def append_deliveries(
        self, make_write: MakeWrite, attachments: tuple[Attachment, ...] = ()
    ) -> tuple[bytes, Appended | AlreadyTaken]:
        """Append the entry that brings deliveries, or takes nothing; give its leaf, too."""
        write, result = await self._append(make_write, attachments, is_content_kept=True)
        assert not isinstance(result, Moved)
        return write.leaf, result

    async def append_change(
        self, make_write: MakeWrite, attachments: tuple[Attachment, ...] = ()
    ) -> Appended | Moved:
        """Append an entry that changes the row of a delivery, or nothing if that was overtaken."""
        _, result = await self._append(make_write, attachments, is_content_kept=True)
        assert not isinstance(result, AlreadyTaken)  # only a claim can have been taken already
        return result

    async def _append(
        self, make_write: MakeWrite, attachments: tuple[Attachment, ...], *, is_content_kept: bool
    ) -> tuple[LogWrite, Appended | AlreadyTaken | Moved]:
        if not attachments:
            write = make_write(None)
            return write, await self.log.append(write)
        kept = await asyncio.to_thread(
            lambda: self.store.keep(attachments, is_content_kept=is_content_kept)
        )
        write = make_write(kept)
        # If we stop here, or if only the confirmation of the commit is lost, the next start looks
        # whether the entry is in the log.
        result = await self.log.append(write)
        settle = self.store.confirm if isinstance(result, Appended) else self.store.drop
        await asyncio.to_thread(settle, kept)
        return write, result
