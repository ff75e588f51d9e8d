"""What HTTP allows to be said twice or in two ways is refused, and the next request is answered."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from bus.protocols.soap_xroad.read_answer import read_answer
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.hub.served_door import LOOPBACK, served
from tests.nation import SmallNation, request

XML = b"Content-Type: text/xml; charset=utf-8\r\n"


@dataclass(frozen=True, slots=True)
class Trick:
    """Bytes on the line, and what comes back: statuses, and the code of the last fault."""

    make: Callable[[bytes], bytes]
    statuses: tuple[int, ...]
    code: str = ""


def post(
    raw: bytes, *lines: bytes, line: bytes = b"POST / HTTP/1.1", body: bytes | None = None
) -> bytes:
    """A request that closes its connection."""
    head = line + b"\r\nHost: hub\r\nConnection: close\r\n" + b"".join(lines)
    return head + b"\r\n" + (raw if body is None else body)


def length(raw: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(raw)


def chunked(raw: bytes, size: bytes | None = None, end: bytes = b"0\r\n\r\n") -> bytes:
    return (size or b"%x" % len(raw)) + b"\r\n" + raw + b"\r\n" + end


CHUNKED = b"Transfer-Encoding: chunked\r\n"

TRICKS = {
    # two lengths
    "two lengths that differ": Trick(
        lambda raw: post(raw, XML, length(raw), b"Content-Length: 5\r\n"), (400,)
    ),
    "the same length twice": Trick(lambda raw: post(raw, XML, length(raw), length(raw)), (400,)),
    "a length and chunks": Trick(
        lambda raw: post(raw, XML, length(raw), CHUNKED, body=chunked(raw)), (400,)
    ),
    "a length with a sign": Trick(
        lambda raw: post(raw, XML, b"Content-Length: +%d\r\n" % len(raw)), (400,)
    ),
    "a negative length": Trick(lambda raw: post(raw, XML, b"Content-Length: -1\r\n"), (400,)),
    "a length in hexadecimal": Trick(
        lambda raw: post(raw, XML, b"Content-Length: 0x%x\r\n" % len(raw)), (400,)
    ),
    "two lengths in one line": Trick(
        lambda raw: post(raw, XML, b"Content-Length: %d, %d\r\n" % (len(raw), len(raw))), (400,)
    ),
    "a length beyond all numbers": Trick(
        lambda raw: post(raw, XML, b"Content-Length: %s\r\n" % (b"9" * 30)), (400,)
    ),
    "a space before the colon": Trick(
        lambda raw: post(raw, XML, b"Content-Length : %d\r\n" % len(raw)), (400,)
    ),
    "a folded length": Trick(
        lambda raw: post(raw, XML, b"Content-Length:\r\n %d\r\n" % len(raw)), (400,)
    ),
    # chunks
    "good chunks": Trick(lambda raw: post(raw, XML, CHUNKED, body=chunked(raw)), (200,)),
    "chunks with an extension": Trick(
        lambda raw: post(raw, XML, CHUNKED, body=chunked(raw, size=b"%x;a=b" % len(raw))),
        (200,),
    ),
    "chunks with trailers": Trick(
        lambda raw: post(
            raw, XML, CHUNKED, body=chunked(raw, end=b"0\r\nContent-Type: text/plain\r\n\r\n")
        ),
        (500,),
        "envelope.content-type",
    ),
    "a negative chunk": Trick(
        lambda raw: post(raw, XML, CHUNKED, body=chunked(raw, size=b"-%x" % len(raw))), (400,)
    ),
    "a chunk of 2^64 bytes and one": Trick(
        lambda raw: post(raw, XML, CHUNKED, body=chunked(raw, size=b"10000000000000001")), (400,)
    ),
    "a chunk that is longer than it says": Trick(
        lambda raw: post(raw, XML, CHUNKED, body=chunked(raw, size=b"5")), (400,)
    ),
    "chunks by line feeds alone": Trick(
        lambda raw: post(raw, XML, CHUNKED, body=chunked(raw).replace(b"\r\n", b"\n")), (400,)
    ),
    "chunked twice": Trick(lambda raw: post(raw, XML, CHUNKED, CHUNKED, body=chunked(raw)), (400,)),
    "chunked, then something else": Trick(
        lambda raw: post(raw, XML, b"Transfer-Encoding: chunked, identity\r\n", body=chunked(raw)),
        (400,),
    ),
    "an unknown transfer encoding": Trick(
        lambda raw: post(raw, XML, b"Transfer-Encoding: xchunked\r\n", body=chunked(raw)), (400,)
    ),
    # heads
    "two content types, ours first": Trick(
        lambda raw: post(raw, XML, b"Content-Type: application/json\r\n", length(raw)),
        (500,),
        "envelope.content-type",
    ),
    "two content types, ours last": Trick(
        lambda raw: post(raw, b"Content-Type: application/json\r\n", XML, length(raw)),
        (500,),
        "envelope.content-type",
    ),
    "multipart and plain": Trick(
        lambda raw: post(raw, b"Content-Type: multipart/related; boundary=b\r\n", XML, length(raw)),
        (500,),
        "envelope.content-type",
    ),
    "plain and multipart": Trick(
        lambda raw: post(raw, XML, b"Content-Type: multipart/related; boundary=b\r\n", length(raw)),
        (500,),
        "envelope.content-type",
    ),
    "two charsets": Trick(
        lambda raw: post(
            raw, b"Content-Type: text/xml; charset=utf-8; charset=utf-16\r\n", length(raw)
        ),
        (500,),
        "envelope.content-type",
    ),
    "two SOAPActions": Trick(
        lambda raw: post(raw, XML, b'SOAPAction: "a"\r\n', b'SOAPAction: "b"\r\n', length(raw)),
        (500,),
        "envelope.soap-action",
    ),
    "a compressed body": Trick(
        lambda raw: post(raw, XML, b"Content-Encoding: gzip\r\n", length(raw)),
        (500,),
        "envelope.content-type",
    ),
    "a line feed alone between heads": Trick(
        lambda raw: post(raw, XML, b"X-A: b\nX-C: d\r\n", length(raw)), (400,)
    ),
    "a zero byte in a head": Trick(
        lambda raw: post(raw, XML, b"X-A: b\0c\r\n", length(raw)), (400,)
    ),
    "a head without colon": Trick(lambda raw: post(raw, XML, b"X-A\r\n", length(raw)), (400,)),
    "a head of 1 MB": Trick(
        lambda raw: post(raw, XML, b"X-A: %s\r\n" % (b"a" * 1_000_000), length(raw)), (431,)
    ),
    "100,000 heads": Trick(
        lambda raw: post(raw, XML, b"X-A: b\r\n" * 100_000, length(raw)), (431,)
    ),
    "an address of 1 MB": Trick(
        lambda raw: post(raw, XML, length(raw), line=b"POST /%s HTTP/1.1" % (b"a" * 1_000_000)),
        (431,),
    ),
    # request lines
    "no version": Trick(lambda raw: post(raw, XML, length(raw), line=b"POST /"), (200,)),
    "version 3": Trick(lambda raw: post(raw, XML, length(raw), line=b"POST / HTTP/3.0"), (400,)),
    "a method of nobody": Trick(
        lambda raw: post(raw, XML, length(raw), line=b"STEAL / HTTP/1.1"), (400,)
    ),
    "a method in small letters": Trick(
        lambda raw: post(raw, XML, length(raw), line=b"post / HTTP/1.1"), (400,)
    ),
    "TRACE": Trick(lambda raw: post(b"", line=b"TRACE / HTTP/1.1"), (500,), "envelope.http-method"),
    "CONNECT": Trick(lambda raw: post(b"", line=b"CONNECT hub:80 HTTP/1.1"), (400,)),
    "two requests in one": Trick(
        lambda raw: (
            post(raw, XML, length(raw)).replace(b"Connection: close\r\n", b"")
            + post(raw, XML, length(raw))
        ),
        (200, 200),
    ),
    "a request in a body that says it is shorter": Trick(
        lambda raw: (
            post(b"", XML, b"Content-Length: 0\r\n").replace(b"Connection: close\r\n", b"")
            + post(raw, XML, length(raw))
        ),
        (500, 200),
    ),
    "TLS on a plain door": Trick(lambda _: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", (400,)),
}


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHub]:
    with opened(nation, tmp_path_factory.mktemp("tricks")) as one:
        yield one


def talk(port: int, sent: bytes) -> bytes:
    """Everything that comes back until the connection ends."""
    with socket.create_connection((LOOPBACK, port), timeout=HANG_SECONDS_MAX) as line:
        back = bytearray()
        try:
            line.sendall(sent)
            while piece := line.recv(65536):
                back += piece
        except (ConnectionError, TimeoutError):
            pass
        return bytes(back)


def statuses(back: bytes) -> tuple[int, ...]:
    return tuple(int(one) for one in re.findall(rb"HTTP/1\.1 (\d{3}) ", back))


def last_body(back: bytes) -> bytes:
    return back.rpartition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_gets_one_answer_and_the_next_request_its_own(
    name: str, nation: SmallNation, hub: OpenHub
) -> None:
    trick = TRICKS[name]

    async def story(running: RunningHub) -> None:
        async with served(running) as port:
            raw = request(nation, f"trick {name}")
            back = await asyncio.to_thread(talk, port, trick.make(raw))

            assert statuses(back) == trick.statuses, back[:300]
            if trick.code:
                answer = read_answer(last_body(back))
                assert answer.fault is not None
                assert answer.fault.code == trick.code

            good = request(nation, f"after {name}")
            after = await asyncio.to_thread(talk, port, post(good, XML, length(good)))
            assert statuses(after) == (200,)

    hub.tell(story)
