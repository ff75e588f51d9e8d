"""Name Unix sockets however deep their folder lies: their names have room for a hundred letters."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path by its folder's descriptor."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def bind_private(listener: socket.socket, path: Path) -> None:
    """Bind to a path that only this user may connect to. Raises OSError."""
    with _short(path) as short:
        before = os.umask(0o177)
        try:
            listener.bind(short)
        finally:
            os.umask(before)


def connect(path: Path, timeout_seconds: float) -> socket.socket:
    """A connection to the socket at a path. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_seconds)
        with _short(path) as short:
            connection.connect(short)
    except OSError:
        connection.close()
        raise
    return connection
