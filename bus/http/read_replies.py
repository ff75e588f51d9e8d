"""Count what each thread has read of what agencies replied.

libxml2 keeps the names that it has read for the life of a thread (bus.runtime.recycled_threads):
who runs adapters on threads must know when one has read much.
"""

from __future__ import annotations

import threading

_local = threading.local()


def count_read(byte_count: int) -> None:
    """So many bytes more came to this thread."""
    _local.byte_count = bytes_read_here() + byte_count


def bytes_read_here() -> int:
    """How many bytes came to this thread since it began."""
    found: int = getattr(_local, "byte_count", 0)
    return found
