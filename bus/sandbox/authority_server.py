"""Run the services of the sandbox's authority: `python -m bus.sandbox.authority_server …`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import uvicorn

from bus.kit.simulator import (
    REQUEST_BYTES_MAX,
    FaultMode,
    FaultSetting,
    HttpReply,
    HttpRequest,
    Receive,
    Scope,
    Send,
    read_fault,
    read_request,
    send_reply,
    text_reply,
)
from bus.sandbox.authority_files import CRL_PATH, HOST, OCSP_PATH, TIME_PATH, AuthorityFiles
from bus.sandbox.status_authority import CRL_TYPE, OCSP_REPLY_TYPE, StatusAuthority
from bus.sandbox.timestamp_authority import REPLY_TYPE, answer_timestamp_request
from signing.pki.keys import Signer

HEALTH_PATH = "/_health"
FAULT_PATH = "/_fault"

Answer = Callable[[HttpRequest, datetime], HttpReply]


@dataclass(frozen=True, slots=True)
class Route:
    """One service of the authority."""

    method: str
    path: str
    answer: Answer


class AuthorityServer:
    """An ASGI application over a table of services; a test can make it slow, down or wrong."""

    def __init__(self, routes: Mapping[str, Route], clock: Callable[[], datetime]) -> None:
        """`routes` by path."""
        self._routes = routes
        self._clock = clock
        self._fault = FaultSetting()  # owned by the event loop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        is_large = request.bytes_count > REQUEST_BYTES_MAX
        reply = text_reply(413, "too large") if is_large else await self._reply(request)
        await send_reply(send, reply)

    async def _reply(self, request: HttpRequest) -> HttpReply:
        if request.path == HEALTH_PATH:
            return text_reply(200, "ok")
        if request.path == FAULT_PATH:
            setting, reply = read_fault(request)
            self._fault = setting or self._fault
            return reply
        route = self._routes.get(request.path)
        if route is None:
            return text_reply(404, "there is no such service")
        if request.method != route.method:
            return text_reply(405, f"expected {route.method}")
        match self._fault.mode:
            case FaultMode.SLOW:
                await asyncio.sleep(self._fault.seconds)
            case FaultMode.NONE:
                pass
            case FaultMode.DOWN:
                return text_reply(503, "down for a moment")
            case _:
                return text_reply(200, "\x00<<{[ no protocol")
        return route.answer(request, self._clock())


def status_routes(authority: StatusAuthority) -> list[Route]:
    """The services that tell what is revoked."""

    def ocsp(request: HttpRequest, now: datetime) -> HttpReply:
        return HttpReply(200, OCSP_REPLY_TYPE, authority.answer(request.body, now))

    def crl(_: HttpRequest, now: datetime) -> HttpReply:
        return HttpReply(200, CRL_TYPE, authority.crl(now))

    return [Route("POST", OCSP_PATH, ocsp), Route("GET", CRL_PATH, crl)]


def time_routes(signer: Signer) -> list[Route]:
    """The service that tells what time it is, signed (RFC 3161 §3.4)."""

    def stamp(request: HttpRequest, now: datetime) -> HttpReply:
        return HttpReply(200, REPLY_TYPE, answer_timestamp_request(request.body, signer, now))

    return [Route("POST", TIME_PATH, stamp)]


def make_server(folder: Path, clock: Callable[[], datetime]) -> AuthorityServer:
    """The services of the authority whose files lie in a sandbox's folder."""
    files = AuthorityFiles(folder)
    status = StatusAuthority(files.authority(), files.responder(), files.register())
    # Further services of the authority are further routes.
    routes = [*status_routes(status), *time_routes(files.time_signer())]
    return AuthorityServer({route.path: route for route in routes}, clock)


@click.command()
@click.option(
    "--dir",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of the sandbox.",
)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
def main(folder: Path, port: int) -> None:
    """Serve the authority on 127.0.0.1 until it is told to end."""
    uvicorn.run(
        make_server(folder, lambda: datetime.now(UTC)),
        host=HOST,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
