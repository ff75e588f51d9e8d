"""Do work on what came from outside beside the event loop, where it is large enough to be felt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

INLINE_BYTES_MAX = 64 * 1024
"""Work on so many bytes takes less than a thread costs: some tens of microseconds."""

Made = TypeVar("Made")


async def off_loop(byte_count: int, work: Callable[[], Made]) -> Made:
    """What `work` gives that reads or writes so many bytes: packs, seals, digests, signs."""
    if byte_count <= INLINE_BYTES_MAX:
        return work()
    return await asyncio.to_thread(work)
