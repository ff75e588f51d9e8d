"""A door that trusts whoever reaches it takes nothing of web pages, under whatever name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from bus.http.own_hosts import GuardedDoor, OwnHosts

OURS = OwnHosts.of("127.0.0.1", url="http://access.h41.example:8081", more=["door.internal"])
Headers = list[tuple[bytes, bytes]]


def asked(
    headers: Headers,
    *,
    method: str = "POST",
    version: str = "1.1",
    hosts: OwnHosts = OURS,
    is_tls: bool = False,
    server: tuple[str, int] | None = ("127.0.0.1", 8081),
) -> tuple[int, bytes]:
    """Status and words of a request with these headers; 200: it came through."""
    sent: list[dict[str, Any]] = []

    async def application(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"through"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the body of a refused request is not read")

    scope: Any = {
        "type": "http",
        "method": method,
        "http_version": version,
        "headers": headers,
        "server": server,
    }
    door = GuardedDoor(application, hosts, door="access-point", is_tls=is_tls)
    asyncio.run(door(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8081",
        "127.0.0.1",
        "127.8.8.8:8081",
        "localhost:8081",
        "LocalHost:9000",
        "localhost.:8081",
        "[::1]:8081",
        "[::1]",
        "[0:0:0:0:0:0:0:1]:8081",
        "access.h41.example:8081",
        "ACCESS.H41.example",
        "access.h41.example.",
        "door.internal:1",
    ],
)
def test_names_of_ours_are_served(host: str) -> None:
    assert asked([(b"host", host.encode())]) == (200, b"through")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8081",
        "evil.example",
        "localhost.evil.example:8081",
        "127.0.0.1.evil.example",
        "xlocalhost",
        "access.h41.example.evil.example",
        "203.0.113.9:8081",
        "[2001:db8::1]:8081",
        "2130706433:8081",
        "0x7f.1:8081",
        "localhost..:8081",
        "a.localhost:8081",
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS", "HEAD"])
def test_any_other_name_is_refused_with_words(host: str, method: str) -> None:
    status, words = asked([(b"host", host.encode())], method=method)

    assert status == 403
    assert b"Host" in words
    assert b"evil" not in words


@pytest.mark.parametrize(
    "hosts",
    [
        [b""],
        [b"localhost", b"evil.example"],
        [b"localhost", b"localhost"],
        [b"user@localhost"],
        [b"localhost:80:80"],
        [b"localhost/x"],
        [b"localhost, evil.example"],
        [b"[::1"],
        [b"[::1%25lo]:8081"],
        [b"local host"],
        [b"localhost:x"],
        ["đơn.example".encode()],
        [],
    ],
)
def test_a_host_that_can_be_read_in_two_ways_is_refused(hosts: list[bytes]) -> None:
    assert asked([(b"host", one) for one in hosts])[0] == 400


def test_http_1_0_may_leave_the_host_out() -> None:
    assert asked([], version="1.0")[0] == 200
    assert asked([(b"host", b"evil.example")], version="1.0")[0] == 403


@pytest.mark.parametrize(
    "origin", [b"http://evil.example:8081", b"null", b"http://127.0.0.1:8081", b""]
)
@pytest.mark.parametrize("is_tls", [False, True])
def test_whatever_has_an_origin_is_of_a_web_page(origin: bytes, is_tls: bool) -> None:
    headers = [(b"host", b"127.0.0.1:8081"), (b"origin", origin)]

    assert asked(headers, is_tls=is_tls)[0] == 403
    assert asked(headers, is_tls=is_tls, method="GET")[0] == 403


@pytest.mark.parametrize("site", [b"same-origin", b"same-site", b"cross-site", b"none", b""])
def test_what_a_browser_fetches_is_refused_but_for_an_address_that_was_typed(site: bytes) -> None:
    headers = [(b"host", b"127.0.0.1:8081"), (b"sec-fetch-site", site)]

    assert asked(headers)[0] == 403
    assert asked(headers, method="GET")[0] == (200 if site == b"none" else 403)


def test_other_marks_of_a_fetch_are_enough() -> None:
    headers = [(b"host", b"127.0.0.1:8081"), (b"sec-fetch-mode", b"no-cors")]

    assert asked(headers, method="GET")[0] == 403


def test_the_address_that_a_connection_came_to_is_ours() -> None:
    anywhere = OwnHosts.of("0.0.0.0")
    reached = ("10.1.2.3", 8081)

    assert asked([(b"host", b"10.1.2.3:8081")], hosts=anywhere, server=reached)[0] == 200
    assert asked([(b"host", b"10.1.2.4:8081")], hosts=anywhere, server=reached)[0] == 403
    assert asked([(b"host", b"10.1.2.3:8081")], hosts=anywhere, server=None)[0] == 403


def test_over_tls_the_certificate_has_proved_the_name() -> None:
    assert asked([(b"host", b"door.example:8443")], is_tls=True)[0] == 200


def test_diagnostics_name_the_mark_and_not_the_page() -> None:
    with capture_logs() as logs:
        asked([(b"host", b"evil.example")])

    (event,) = logs
    assert event["event"] == "door.web-request-refused"
    assert event["mark"] == "host"
    assert "evil" not in str(logs)


def test_what_is_no_http_goes_through() -> None:
    seen = []

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    door = GuardedDoor(application, OURS, door="x")
    asyncio.run(door({"type": "lifespan"}, nothing, nothing))

    assert seen == ["lifespan"]
