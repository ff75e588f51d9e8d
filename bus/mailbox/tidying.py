"""Remove receipts that lay ready for too long, from time to time, as long as the hub runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from bus.core.errors import BusError
from bus.mailbox.receipts import SenderReceipts
from bus.runtime.telemetry import places_of

TIDY_SECONDS = 3600.0

_log = structlog.get_logger()


class ReceiptTidying:
    """Owns a task of one event loop."""

    def __init__(
        self, receipts: SenderReceipts, size: Callable[[], int], clock: Callable[[], datetime]
    ) -> None:
        """`size` gives the entries of the log."""
        self.receipts = receipts
        self._size = size
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, and go on until it is closed."""
        self._task = asyncio.create_task(self._run(), name="receipts")

    async def _run(self) -> None:
        while True:
            try:
                removed = await self.receipts.tidy(self._size(), self._clock())
                if removed:
                    _log.info("receipts.removed", count=removed)
            except BusError as error:
                _log.warning("receipts.not-removed", code=error.code)
            except Exception as error:  # a mistake of ours: receipts lie there for longer
                _log.error("receipts.broken", error=type(error).__name__, places=places_of(error))
            await asyncio.sleep(TIDY_SECONDS)

    async def close(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
