"""What crosses between the hub and a process that judges: frames, and the number of the message
that is being judged.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import tempfile
from collections.abc import Callable

LENGTH = struct.Struct(">I")
"""Before each frame: the length of its content in bytes."""
FRAME_BYTES_MAX = 256 * 1024 * 1024
"""Longest frame that a judging process may send: a canonical payload can be some times the bytes
that it has in a message of the largest size."""
_NUMBER = struct.Struct("=Q")


def framed(content: bytes) -> bytes:
    """A frame."""
    return LENGTH.pack(len(content)) + content


class Board:
    """Memory that hub and process share: where the process writes the number of the message that it
    begins, so that the hub knows it whatever happens to the process.
    """

    def __init__(self, fd: int) -> None:
        """Map a descriptor that `make_board` gave, which may be closed then."""
        self._memory = mmap.mmap(fd, _NUMBER.size)

    @property
    def begun(self) -> int:
        """The message that was begun last; 0: none."""
        number: int = _NUMBER.unpack_from(self._memory)[0]
        return number

    def begin(self, number: int) -> None:
        """Say which message is judged from now on. A write to memory, no call to the system."""
        _NUMBER.pack_into(self._memory, 0, number)

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()


def make_board() -> int:
    """A descriptor of memory without a name, for `Board` at both ends. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("judging")
    else:  # not on Linux
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, _NUMBER.size)
    return fd


class FrameProtocol(asyncio.Protocol):
    """Cuts what arrives into frames."""

    def __init__(
        self,
        take: Callable[[memoryview], None],
        *,
        when_broken: Callable[[], None],
        when_ended: Callable[[], None],
    ) -> None:
        """`take` gets each frame's content, which lives as long as the call. The others are told
        of a frame that is longer than any, and of the connection's end."""
        self._take = take
        self._when_broken = when_broken
        self._when_ended = when_ended
        self._buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if length > FRAME_BYTES_MAX:
                self._buffer.clear()
                self._when_broken()
                return
            end = LENGTH.size + length
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as whole, whole[LENGTH.size : end] as content:
                self._take(content)
            del self._buffer[:end]

    def connection_lost(self, exc: Exception | None) -> None:
        self._when_ended()
