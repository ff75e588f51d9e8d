"""Refuse what a web page sends to a door that trusts whoever reaches it: an ASGI application.

That only this machine reaches an address proves nothing about who asks: a browser on the machine
asks for any page that is open in it. A page whose own name is pointed at the address afterwards
(DNS rebinding) even reads the answer. No SOAP stack and no monitoring sends what gives a page
away; a name of ours cannot be taken by it.

(1) The request names its host once, and in the form of RFC 9112 §3.2.
(2) The host is ours: the address itself, a loopback address, `localhost`, or a name in the
    settings. A name says nothing over TLS, where the client has proved it by the certificate.
(3) No web page asks: no `Origin` (Fetch §3.1), and no `Sec-Fetch-*` but those of an address that
    somebody typed to look at (Fetch Metadata §2: `Sec-Fetch-Site: none`).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import urlsplit

import structlog

from bus.http.asgi import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,254})(?::[0-9]{0,5})?\Z")
_LOOKING = frozenset({"GET", "HEAD"})

_log = structlog.get_logger()


class OwnHosts:
    """The names under which a door is asked. The port does not matter: a tunnel changes it."""

    def __init__(self, *names: str) -> None:
        self._names = frozenset({"localhost", *(_plain(name) for name in names if name)})

    @classmethod
    def of(cls, listen_host: str, *, url: str = "", more: Iterable[str] = ()) -> OwnHosts:
        """Those of the address that is listened on, of an address for others, and more."""
        return cls(listen_host, urlsplit(url).hostname or "", *more)

    def have(self, name: str, reached: str) -> bool:
        """Whether a host is ours; `reached` is the address that the connection came to."""
        plain = _plain(name)
        if plain in self._names:
            return True
        try:
            address = ipaddress.ip_address(plain)
        except ValueError:
            return False
        return address.is_loopback or plain == _plain(reached)


class GuardedDoor:
    """A door that web pages do not get through."""

    def __init__(
        self, application: Application, hosts: OwnHosts, *, door: str, is_tls: bool = False
    ) -> None:
        """`door` names it in diagnostics."""
        self._application = application
        self._hosts = hosts
        self._door = door
        self._is_tls = is_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] == "http":
            status, mark, words = self._judge(scope)
            if status:
                _log.warning("door.web-request-refused", door=self._door, mark=mark)
                await _refuse(send, status, words)
                return
        await self._application(scope, receive, send)

    def _judge(self, scope: Scope) -> tuple[int, str, str]:
        """Status, what gave it away, and the words; 0: it may pass."""
        names: list[bytes] = []
        site = b""
        is_fetched = has_origin = False
        for name, value in scope["headers"]:
            if name == b"host":
                names.append(value)
            elif name == b"origin":
                has_origin = True
            elif name.startswith(b"sec-fetch-"):
                is_fetched = True
                site = value if name == b"sec-fetch-site" else site
        # (1) Only HTTP/1.0 may leave it out, which no browser speaks.
        found = _HOST.match(names[0]) if len(names) == 1 else None
        if found is None and (names or scope.get("http_version") != "1.0"):
            return 400, "host-header", "Expected one Host header with a name and a port."
        # (2)
        if found is not None and not self._is_tls:
            reached = str((scope.get("server") or ("",))[0])
            if not self._hosts.have(found[1].decode("ascii"), reached):
                return 403, "host", _NOT_OURS
        # (3)
        if has_origin:
            return 403, "origin", _NO_PAGES
        if is_fetched and not (site == b"none" and scope["method"] in _LOOKING):
            return 403, "fetch-metadata", _NO_PAGES
        return 0, "", ""


_NOT_OURS = (
    "The Host of the request is no name of this address. If it should be one, "
    "name it as `hosts` in the settings."
)
_NO_PAGES = "Requests of web pages are not taken here."


async def _refuse(send: Send, status: int, words: str) -> None:
    body = f"{words}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"connection", b"close"),  # the body is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _plain(name: str) -> str:
    """One spelling of a host: no brackets, lower case, no dot at the end, addresses shortest."""
    bare = name.strip("[]").lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare
