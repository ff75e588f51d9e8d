"""Settle the memory of a process that has started."""

from __future__ import annotations

import gc

_COLLECTOR_THRESHOLDS = (20_000, 20, 20)
"""Objects made before the youngest ones are looked at, and so on (gc.set_threshold)."""


def settle_memory() -> None:
    """Keep the collector of cycles off what lives as long as the process.

    An exchange makes hundreds of objects and hardly a cycle; with the default thresholds the
    collector walks through everything that was loaded at start again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)
