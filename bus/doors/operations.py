"""Tell operators how the hub is, at a door of their own: an ASGI application."""

from __future__ import annotations

import json
from typing import Protocol

from bus.http.asgi import Receive, Scope, Send
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.hub_status import HubStatus
from bus.operations.metrics import metrics_page

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


class ObservedHub(Protocol):
    """What this door needs of the hub."""

    metrics: ExchangeMetrics

    async def troubles(self) -> tuple[str, ...]:
        """Why the hub can take no message now; empty: a probe went through just now."""
        ...

    def status(self) -> HubStatus:
        """How the hub is now, with the troubles that were found last."""
        ...


class OperationsDoor:
    """`/status` for `lienthong status`, `/metrics` for Prometheus, `/health` for a supervisor.

    It changes nothing and shows no message, key or secret; but what it shows is not for strangers.
    """

    def __init__(self, hub: ObservedHub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request (ASGI 3)."""
        if scope["type"] != "http":
            return
        code, content_type, page = await self._reply(scope)
        body = b"" if scope["method"] == "HEAD" else page
        headers = [
            (b"content-type", content_type.encode("ascii")),
            (b"content-length", str(len(page)).encode("ascii")),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _reply(self, scope: Scope) -> tuple[int, str, bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, _TEXT, b"Only GET is served here.\n"
        match scope["path"]:
            case "/status":
                await self._hub.troubles()
                values = self._hub.status().as_json()
                return 200, _JSON, (json.dumps(values, ensure_ascii=False) + "\n").encode()
            case "/metrics":
                await self._hub.troubles()
                page = metrics_page(self._hub.status(), self._hub.metrics, _accepted(scope))
                return 200, page.content_type, page.body
            case "/health":
                # 503 while the hub can take no message, and why.
                troubles = await self._hub.troubles()
                words = "".join(f"not ready: {trouble}\n" for trouble in troubles)
                if troubles:
                    return 503, _TEXT, words.encode()
                # What is accepted waits meanwhile: it takes messages all the same.
                trouble = self._hub.status().deliveries.trouble
                aside = f"no order leaves to workers elsewhere: {trouble}\n" if trouble else ""
                return 200, _TEXT, f"ready\n{aside}".encode()
            case _:
                return 404, _TEXT, b"There are /status, /metrics and /health.\n"


def _accepted(scope: Scope) -> str:
    """What its Accept says, in one line."""
    lines = (value for name, value in scope["headers"] if name == b"accept")
    return b",".join(lines).decode("latin-1")
