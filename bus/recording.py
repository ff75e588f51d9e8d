"""Append entries together with the attachments that they name.

First the attachments are on disk, then the entry that names them, then their file gets its name
for good. Stopped in between, the next start finds a file without a known entry and looks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bus.core.exchange_entries import Entry
from bus.core.ports import (
    AlreadyTaken,
    Appended,
    AttachmentStore,
    KeptAttachments,
    LogWrite,
    MessageLog,
)
from signing.attachments import Attachment

MakeWrite = Callable[[KeptAttachments | None], LogWrite]
"""Makes the entry, once it is known what lies beside it."""


async def append_beside(
    log: MessageLog,
    store: AttachmentStore,
    attachments: tuple[Attachment, ...],
    make_write: MakeWrite,
    *,
    is_content_kept: bool = True,
) -> Entry | AlreadyTaken:
    """Append one entry and what stands beside its payload; see `MessageLog.append`.

    Without `is_content_kept` only what the attachments are is kept. Raises LogUnavailable.
    """
    if not attachments:
        write = make_write(None)
        return _entry(write, await log.append(write))
    kept = await asyncio.to_thread(lambda: store.keep(attachments, is_content_kept=is_content_kept))
    # If we stop here, or if only the confirmation of the commit is lost, the next start looks
    # whether the entry is in the log.
    write = make_write(kept)
    result = await log.append(write)
    settle = store.confirm if isinstance(result, Appended) else store.drop
    await asyncio.to_thread(settle, kept)
    return _entry(write, result)


def _entry(write: LogWrite, result: Appended | AlreadyTaken) -> Entry | AlreadyTaken:
    return Entry(write.leaf, result.index) if isinstance(result, Appended) else result
