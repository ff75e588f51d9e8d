"""Run the floor under load: the same exchange with nothing but what no hub can leave out."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httptools
import uvloop
from cryptography.exceptions import InvalidSignature
from lxml import etree

from bus.bench.citizen_answer import CITIZEN_ANSWER
from bus.bench.floor_exchange import FloorExchange
from bus.bench.floor_store import FloorStore, FloorWriter, Stored
from bus.bench.programs import listen, say_last_words, say_ready, stop_at_end_of_input
from bus.runtime.clock import now
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer

MODULE = "bus.bench.floor_program"
SWITCH_SECONDS = 0.0005
"""How long the loop may keep the interpreter from the writing thread; measured to be best."""
_REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"


class FloorConnection(asyncio.Protocol):
    """One connection: HTTP requests in, answers out."""

    def __init__(
        self, answer: Callable[[bytes, datetime], bytes], put: Callable[[Stored], None]
    ) -> None:
        self._answer = answer
        self._put = put
        self._chunks: list[bytes] = []
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_body(self, chunk: bytes) -> None:
        """httptools: a part of the body has come."""
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """httptools: the request is whole."""
        raw = b"".join(self._chunks)
        self._chunks.clear()
        try:
            answer = self._answer(raw, now())
        except (InvalidSignature, ValueError, KeyError, etree.XMLSyntaxError):
            self._transport.write(_REFUSED)
            return
        self._put(Stored(raw, answer, self._report))

    def _report(self, answer: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: %d\r\n"
        self._transport.write(head % len(answer) + b"\r\n" + answer)


def run_floor(serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a program of the floor on the fastest loop that there is, without a collector."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # Nothing here makes cycles: the collector would only look in vain.
    gc.disable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    say_last_words()


async def serve_floor(
    answer: Callable[[bytes, datetime], bytes], put: Callable[[Stored], None], store: FloorWriter
) -> None:
    """Take requests until the input ends; say of `store`, when asked, what is on disk."""
    with listen() as listening:
        ended = asyncio.Event()
        server = await asyncio.get_running_loop().create_server(
            lambda: FloorConnection(answer, put), sock=listening
        )

        def counts() -> dict[str, int]:
            return {"entries": store.stored, "commits": store.commits}

        stop_at_end_of_input(ended.set, counts)
        say_ready(listening)
        await ended.wait()
        server.close()


def main(key_file: str, certificate_file: str, database: str) -> None:
    """Serve until the input ends."""
    signer = read_signer(SignerFiles(Path(key_file), Path(certificate_file)))
    exchange = FloorExchange(signer, CITIZEN_ANSWER)
    run_floor(lambda: _serve(exchange, Path(database)))


async def _serve(exchange: FloorExchange, database: Path) -> None:
    # Without its end, the writer's thread would keep this process for ever.
    with closing(FloorStore(database)) as store:
        await serve_floor(exchange.answer, store.put, store)


if __name__ == "__main__":
    main(*sys.argv[1:])
