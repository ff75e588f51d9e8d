"""Settle the memory of a process that has started, and give back what it does not use."""

from __future__ import annotations

import ctypes
import gc

_COLLECTOR_THRESHOLDS = (20_000, 20, 20)
"""Objects made before the youngest ones are looked at, and so on (gc.set_threshold)."""


MAPPED_BYTES_MIN = 1024 * 1024
"""A block of so many bytes, as the body of a large message, is mapped by itself, and given back to
the system when it is freed."""
_KEPT_BYTES_MAX = 8 * 1024 * 1024
"""So much free memory at the end of the heap is kept for what comes next."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Of mallopt(3)."""


def settle_memory() -> None:
    """Keep the collector of cycles off what lives as long as the process, and the heap small.

    An exchange makes hundreds of objects and hardly a cycle; with the default thresholds the
    collector walks through everything that was loaded at start again and again. And glibc takes
    large blocks from the heap once it has seen a few: what lies behind them keeps them there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES_MIN)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES_MAX)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


def give_back_memory() -> None:
    """Give memory that is free in this process back to the system, where the C library can (glibc).

    What was freed in small pieces is kept otherwise: after one large message, for good.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
