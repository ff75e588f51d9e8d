"""Let devices sign on threads of their own, for a bounded time: the event loop waits for none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bus.runtime.daemon_threads import DaemonThreads
from signing.errors import KeyUnavailableError

SIGNING_SECONDS_MAX = 10.0
"""A device that takes longer over a signature counts as out of reach."""
_THREADS = 4

_threads = DaemonThreads(_THREADS, "signing")
"""Of the process, as devices are; started with the first signature that needs one."""


async def sign_aside(write: Callable[[], bytes]) -> bytes:
    """What `write` writes and has signed by a device.

    Raises KeyUnavailableError: the device cannot be reached, or takes too long. What it signs then
    is thrown away.
    """
    signed = asyncio.wrap_future(_threads.submit(write))
    try:
        async with asyncio.timeout(SIGNING_SECONDS_MAX):
            return await signed
    except TimeoutError as error:
        message = f"the device gave no signature within {SIGNING_SECONDS_MAX:g} s"
        raise KeyUnavailableError(message) from error
