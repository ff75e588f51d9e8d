"""A relay before a server whose lines can be cut or held, as a network does it."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Relay:
    """Takes connections on a port of its own and carries them on, until it is told otherwise."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self._may_connect = True
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hold_answers(self) -> None:
        """What the server says is not heard any more."""
        self._may_answer.clear()

    def cut(self, *, may_connect: bool = True) -> None:
        """Every line is cut; new ones may come, or not."""
        self._may_connect = may_connect
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._may_answer.set()

    def mend(self) -> None:
        """New lines may come."""
        self._may_connect = True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._may_connect:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()  # nobody is there
            return
        self._writers |= {writer, far_writer}
        for source, target, is_answer in (
            (reader, far_writer, False),
            (far_reader, writer, True),
        ):
            task = asyncio.create_task(self._copy(source, target, is_answer=is_answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while content := await source.read(65536):
                if is_answer:
                    await self._may_answer.wait()
                target.write(content)
                await target.drain()
        target.close()
