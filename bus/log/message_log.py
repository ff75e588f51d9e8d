"""The message log of one hub: shared commits and a published tree above a store of entries."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import Any

from bus.core.deliveries import Changed, DeliveryChange, Moved, ReceiptRemoval
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.core.limits import Limits
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.ports.entry_store import LogStore, OpenClaim
from bus.core.ports.message_log import AlreadyTaken, Appended, Claim, LogWrite, StoredEntry
from bus.log.group_commit import GroupCommit, Proof, Work
from bus.log.publisher import Publisher
from bus.runtime.daemon_threads import run_aside

PUBLISH_SECONDS = 0.5
"""Least time between two checkpoints."""


class HubLog:
    """Implements `bus.core.ports.message_log.MessageLog`.

    Two threads: the writer alone commits to the store; the publisher alone owns tree, tiles and
    checkpoint. `append` may be called from one event loop or several.
    """

    def __init__(
        self,
        store: LogStore,
        publisher: Publisher,
        *,
        limits: Limits,
        resources: contextlib.ExitStack,
    ) -> None:
        """Begin; `resources` is closed at the end, the store with it.

        The publisher has published all that is committed.
        """
        self._store = store
        self._publisher = publisher
        self._resources = resources
        self._is_stopping = threading.Event()
        self._is_closed = False
        self._publish_failure = ""
        """Why the last publishing failed; empty while it works. Written by the publisher."""
        self._published_at = time.monotonic()
        self._writer = GroupCommit(store, limits)
        self._publisher_thread = threading.Thread(
            target=self._publish, name="log-publisher", daemon=True
        )
        self._writer.start()
        self._publisher_thread.start()

    @property
    def size(self) -> int:
        """Committed entries."""
        return self._store.size

    @property
    def commits(self) -> int:
        """Transactions since the start; entries that came together share one."""
        return self._writer.commits

    @property
    def published_size(self) -> int:
        """Entries under the last signed checkpoint."""
        return self._publisher.published_size

    @property
    def checkpoint_age_seconds(self) -> float:
        """Since the last checkpoint was published."""
        return time.monotonic() - self._published_at

    @property
    def trouble(self) -> str:
        """Why the log cannot commit or publish at the moment; empty while it can."""
        return self._store.trouble or self._publish_failure

    @property
    def stored_bytes(self) -> int:
        """What entries and payloads take on disk, about."""
        return self._store.stored_bytes

    @property
    def is_fenced(self) -> bool:
        """Another hub has the log; nothing is written here any more."""
        return self._store.is_fenced

    @property
    def deliveries(self) -> DeliveryRows:
        """What is open, to be looked at, from any thread."""
        return self._store.deliveries

    def interrupted(self) -> list[OpenClaim]:
        """What earlier runs took and left without an outcome, oldest first."""
        return self._store.open_claims()

    async def append(self, write: LogWrite) -> Appended | AlreadyTaken | Moved:
        """Append one entry; see `MessageLog.append`. Raises LogUnavailable."""
        if b"\n" in write.leaf:
            raise ValueError("a leaf is canonical JSON and holds no newline")
        result: Appended | AlreadyTaken | Moved = await self._enqueue(write)
        return result

    async def change(self, change: DeliveryChange) -> Changed | Moved:
        """Change a row without an entry; see `MessageLog.change`. Raises LogUnavailable."""
        result: Changed | Moved = await self._enqueue(change)
        return result

    async def remove_receipts(self, removal: ReceiptRemoval) -> int:
        """Remove receipts; see `MessageLog.remove_receipts`. Raises LogUnavailable."""
        removed: int = await self._enqueue(removal)
        return removed

    async def append_text(self, text: bytes) -> bytes:
        """Keep a text, once; give its SHA-256. It is on disk then. Raises LogUnavailable."""
        digest: bytes = await self._enqueue(text)
        return digest

    async def prove(self) -> None:
        """Write and sync what says nothing, after all that waits. Raises LogUnavailable."""
        await self._enqueue(Proof.WRITE)

    def _enqueue(self, work: Work) -> asyncio.Future[Any]:
        if self._is_closed:
            raise LogUnavailable("the log is closed")
        return self._writer.enqueue(work)

    async def claimed(self, claim: Claim) -> AlreadyTaken | None:
        """What would meet a claim; see `MessageLog.claimed`. Raises LogUnavailable."""
        return await asyncio.to_thread(self._store.claimed, claim)

    async def read(self, index: int, origin: str | None = None) -> StoredEntry:
        """The entry at `index`; see `MessageLog.read`. Raises LogCorrupt, LogUnavailable."""
        if origin is None:
            entry = await asyncio.to_thread(self._store.entry, index)
        else:
            entry = await asyncio.to_thread(self._store.entry_elsewhere, origin, index)
        if entry is None:
            raise LogCorrupt(f"there is no entry {index}")
        return entry

    async def read_text(self, digest: bytes) -> bytes:
        """The text with this SHA-256. Raises LogCorrupt if there is none, LogUnavailable."""
        text = await asyncio.to_thread(self._store.text, digest)
        if text is None:
            raise LogCorrupt(f"no text has the digest {digest.hex()}")
        return text

    async def names_attachments(self, stored: bytes) -> bool:
        """Whether an entry names attachments that are stored under this digest.

        It looks at every leaf. Raises LogCorrupt, LogUnavailable.
        """
        return await asyncio.to_thread(self._store.names_attachments, stored)

    async def close(self) -> None:
        """Write what is queued, publish a last checkpoint, release every file."""
        if self._is_closed:
            return
        self._is_closed = True
        self._writer.hand_over(asyncio.get_running_loop())
        # A disk that never answers must not hold the process.
        await run_aside(self._shut, "log-close")

    def _publish(self) -> None:
        while not self._is_stopping.is_set():
            self._writer.has_news.wait()
            self._writer.has_news.clear()
            self._publish_once()
            self._is_stopping.wait(PUBLISH_SECONDS)

    def _publish_once(self) -> None:
        size = self._store.size
        if self._store.is_fenced or size == self._publisher.published_size:
            return
        try:
            self._publisher.publish(size)
        except (OSError, LogUnavailable, LogCorrupt) as error:
            # Entries are safe without it; the next commit, or the next start, tries again.
            self._publish_failure = str(error)
            return
        self._publish_failure = ""
        self._published_at = time.monotonic()

    def _shut(self) -> None:
        self._writer.drain()
        self._is_stopping.set()
        self._writer.has_news.set()
        self._publisher_thread.join()
        self._publish_once()
        self._resources.close()
