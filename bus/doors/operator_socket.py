"""Take what operators ask of a running hub at a socket in its log's folder.

Whoever may open that file is an operator: the folder's rights say who, and the system says who
asks. No address is listened on, and no token lies about. One line of JSON in, one line out.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from pathlib import Path

import structlog

from bus.delivery.operating import Operating
from bus.log.files import OPERATOR_SOCKET
from bus.operations.operator_requests import answer_operator
from bus.runtime.telemetry import places_of
from bus.runtime.unix_sockets import bind_private

REQUEST_BYTES_MAX = 64 * 1024
REQUEST_SECONDS_MAX = 10.0
AT_ONCE_MAX = 8
"""Operators that are answered at one time; further ones wait."""
_PEER = struct.Struct("3i")

_log = structlog.get_logger()


class OperatorSocket:
    """The socket of one hub; used from one event loop."""

    def __init__(self, folder: Path, operating: Operating) -> None:
        self._path = folder / OPERATOR_SOCKET
        self._operating = operating
        self._server: asyncio.Server | None = None
        self._room = asyncio.Semaphore(AT_ONCE_MAX)

    async def open(self) -> None:
        """Listen. A hub that cannot, works without: it says so."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()  # of a hub that was killed: this one holds the folder's lock
            bind_private(listener, self._path)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=listener, limit=REQUEST_BYTES_MAX
            )
        except OSError as error:
            listener.close()
            _log.warning("operators.no-socket", path=str(self._path), error=type(error).__name__)

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._room:
                async with asyncio.timeout(REQUEST_SECONDS_MAX):
                    request = await reader.readuntil(b"\n")
                answer = await answer_operator(self._operating, request, who=_peer_of(writer))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError, TimeoutError):
            pass  # nobody is there to be told
        except Exception as error:  # a mistake of ours: whoever asked sees the line's end
            _log.error("operators.broken", error=type(error).__name__, places=places_of(error))
        finally:
            writer.close()


def _peer_of(writer: asyncio.StreamWriter) -> str:
    """Who asks, as the system knows: no name that somebody gave."""
    peer = writer.get_extra_info("socket")
    content = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, _ = _PEER.unpack(content)
    return f"uid {user}"
