"""The door over HTTP: what it takes, what it tells, and where it draws lines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.doors.soap import HttpDoor
from bus.http.body_room import BodyRoom
from bus.protocols.reply import RETRY_AFTER_SECONDS

LIMITS = Limits(envelope_bytes_max=100, exchanges_at_once_max=1)
SERVICE = "VN/GOV/G01/dancu/TraCuu/v1"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int = 200
    body: bytes = b"<answer/>"
    is_retryable: bool = False
    content_type: str = "text/xml; charset=utf-8"
    related: None = None
    retry_after_seconds: int = RETRY_AFTER_SECONDS


@dataclass(slots=True)
class Hub:
    """Answers anything, and remembers what it was given."""

    limits: Limits = LIMITS
    taken: list[bytes] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    refused: list[errors.BusError] = field(default_factory=list)
    refused_in: list[SoapVersion | None] = field(default_factory=list)
    gate: asyncio.Event | None = None
    body_room: BodyRoom = field(default_factory=lambda: BodyRoom(LIMITS))
    answer_with: Answer = Answer()

    async def answer(
        self,
        raw: bytes,
        attachments: tuple[object, ...] = (),
        *,
        soap_version: SoapVersion | None = None,
        soap_action: str = "",
    ) -> Answer:
        self.taken.append(raw)
        self.actions.append(soap_action)
        if self.gate is not None:
            await self.gate.wait()
        return self.answer_with

    async def refuse_unread(
        self,
        error: errors.BusError,
        *,
        raw: bytes = b"",
        attachments: tuple[object, ...] = (),
        soap_version: SoapVersion | None = None,
    ) -> Answer:
        self.refused.append(error)
        self.refused_in.append(soap_version)
        return Answer(500, b"<fault/>")

    async def troubles(self) -> tuple[str, ...]:
        return ()

    def describe(self, service: str, *, is_soap_1_2: bool = False) -> bytes | None:
        wsdl = b"<wsdl12/>" if is_soap_1_2 else b"<wsdl/>"
        return wsdl if service == SERVICE else None

    def clients(self, instance: str, *, is_json: bool) -> bytes | None:
        if instance not in ("", "VN"):
            return None
        return b"{}" if is_json else b"<clientList/>"

    def services(self) -> Mapping[str, str]:
        return {SERVICE: "Tra cứu", "A/B/C/D/E/F": "Khác"}


Reply = tuple[int, dict[bytes, bytes], bytes]


async def ask(
    door: HttpDoor,
    *pieces: bytes | None,
    method: str = "POST",
    path: str = "/",
    query: bytes = b"",
    is_whole: bool = True,
    **headers: bytes,
) -> Reply:
    """One request; a piece that is None stands for the end of the connection.

    A request that is not whole is followed by silence.
    """
    given = {"content_type": b"text/xml", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(name.replace("_", "-").encode(), text) for name, text in given.items()],
    }
    incoming: list[dict[str, object]] = [
        {"type": "http.disconnect"}
        if piece is None
        else {
            "type": "http.request",
            "body": piece,
            "more_body": not is_whole or at + 1 < len(pieces),
        }
        for at, piece in enumerate(pieces or (b"",))
    ]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        if not incoming:
            await asyncio.Event().wait()  # a sender that says no more, and does not go
        return incoming.pop(0)

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await door(scope, receive, send)  # type: ignore[arg-type]
    start, end = sent
    return start["status"], dict(start["headers"]), end["body"]  # type: ignore[return-value,call-overload]


def told(*pieces: bytes | None, hub: Hub | None = None, **request: object) -> Reply:
    return asyncio.run(ask(HttpDoor(hub or Hub()), *pieces, **request))  # type: ignore[arg-type]


def test_a_request_in_pieces_is_put_together() -> None:
    hub = Hub()

    status, headers, body = told(b"<a>", b"", b"</a>", hub=hub)

    assert (status, body) == (200, b"<answer/>")
    assert headers[b"content-type"] == b"text/xml; charset=utf-8"
    assert headers[b"content-length"] == b"9"
    assert hub.taken == [b"<a></a>"]


@pytest.mark.parametrize(
    "content_type",
    [
        b"text/xml",
        b"TEXT/XML",
        b"text/xml; charset=utf-8",
        b'text/xml;charset="UTF-8"',
        b"text/xml; action=x",
        b"text/xml; charset=us-ascii",
        b"text/xml;charset=UTF-8;",
        b"application/soap+xml",
        b'application/soap+xml; charset=utf-8; action="urn:x"',
    ],
)
def test_xml_in_utf_8_is_taken(content_type: bytes) -> None:
    assert told(b"<a/>", content_type=content_type)[0] == 200


@pytest.mark.parametrize(
    "content_type",
    [
        b"",
        b"text/plain",
        b"blah",
        b"application/xml",
        b"text/xmlx",
        b"text/xml; charset=utf-16",
        b"text/xml; charset=utf-7",
        b"text/xml; charset=iso-8859-1",
        b"text/xml; charset=utf-8; charset=utf-16",
    ],
)
def test_another_content_type_is_refused(content_type: bytes) -> None:
    hub = Hub()

    told(b"<a/>", hub=hub, content_type=content_type)

    assert [type(error) for error in hub.refused] == [errors.ContentTypeInvalid]


@pytest.mark.parametrize(
    "action",
    [b"", b'""', b'"urn:x"', b' "http://x/y?a=%20#b" ', b'"TraCuu"', b'"tra-c\xe1\xbb\xa9u"'],
)
def test_a_quoted_soap_action_is_taken(action: bytes) -> None:
    assert told(b"<a/>", soapaction=action)[0] == 200


@pytest.mark.parametrize(
    "action", [b"urn:x", b'"', b'"a" "b"', b'"a\x01"', b'"a b"', b'"<a>"', b'"%zz"', b"''"]
)
def test_another_soap_action_is_refused(action: bytes) -> None:
    hub = Hub()

    told(b"<a/>", hub=hub, soapaction=action)

    assert [type(error) for error in hub.refused] == [errors.SoapActionInvalid]


def test_what_is_too_large_is_read_to_its_end_and_not_kept() -> None:
    hub = Hub()

    told(b"x" * 60, b"x" * 60, b"x" * 60, hub=hub)

    assert [str(error) for error in hub.refused] == ["more than 100 bytes"]
    assert hub.taken == []


def test_what_never_ends_is_not_read_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bus.http.body.BODY_DRAIN_BYTES_MAX", 200)
    hub = Hub()

    told(*[b"x" * 150] * 9, hub=hub)

    assert [type(error) for error in hub.refused] == [errors.TooLarge]


def test_a_connection_that_ends_within_the_request_is_refused() -> None:
    hub = Hub()

    told(b"<a>", None, hub=hub)

    assert [str(error) for error in hub.refused] == ["the connection ended within the request"]


def test_a_sender_that_says_no_more_is_not_waited_for() -> None:
    hub = Hub(limits=Limits(request_read_seconds_max=0))

    told(b"<a>", hub=hub, is_whole=False)

    assert [str(error) for error in hub.refused] == ["the request did not arrive in time"]


def test_above_its_bound_the_hub_asks_for_patience() -> None:
    async def story() -> tuple[Reply, Reply]:
        gate = asyncio.Event()
        hub: Any = Hub(gate=gate)
        door = HttpDoor(hub)
        first = asyncio.create_task(ask(door, b"<a/>"))
        await asyncio.sleep(0)
        second = await ask(door, b"<b/>")
        gate.set()
        return await first, second

    first, second = asyncio.run(story())

    assert first[0] == 200
    assert second[0] == 503
    assert second[1][b"retry-after"] == b"2"


def test_a_body_for_which_there_is_no_room_is_not_read_on() -> None:
    hub = Hub(body_room=BodyRoom(Limits(bodies_bytes_max=1, envelope_bytes_max=100)))
    other = hub.body_room.open()
    other.hold(hub.body_room.bytes_max - 10)

    status, headers, _ = told(b"x" * 8, b"x" * 8, b"never read", hub=hub)

    assert (status, headers[b"retry-after"]) == (503, b"2")
    assert (hub.taken, hub.refused) == ([], [])
    assert hub.body_room.bytes == hub.body_room.bytes_max - 10
    other.hold(0)
    assert told(b"x" * 8, b"x" * 8, hub=hub)[0] == 200
    assert hub.body_room.bytes == 0


def test_a_body_that_says_that_it_will_not_fit_is_not_begun() -> None:
    limits = Limits(bodies_bytes_max=1, envelope_bytes_max=10**6)
    hub = Hub(limits=limits, body_room=BodyRoom(limits))
    hub.body_room.open().hold(hub.body_room.large_bytes_max - 10**5)

    status, _, _ = told(None, hub=hub, content_length=b"900000")
    small, _, _ = told(b"<a/>", hub=hub, content_length=b"4")

    assert (status, small) == (503, 200)
    assert hub.taken == [b"<a/>"]


def test_bodies_that_still_come_in_keep_nobody_who_is_done_from_being_answered() -> None:
    async def story() -> Reply:
        hub: Any = Hub()
        door = HttpDoor(hub)
        silent = [asyncio.create_task(ask(door, b"<a>", is_whole=False)) for _ in range(3)]
        await asyncio.sleep(0)
        reply = await ask(door, b"<a/>")
        for one in silent:
            one.cancel()
        return reply

    assert asyncio.run(story())[0] == 200


def test_a_fault_that_may_pass_says_when_to_come_back() -> None:
    hub = Hub(answer_with=Answer(503, b"<fault/>", is_retryable=True))

    status, headers, _ = told(b"<a/>", hub=hub)

    assert (status, headers[b"retry-after"]) == (503, b"2")


def test_get_tells_health_services_and_their_descriptions() -> None:
    assert told(method="GET", path="/health")[2] == b"ready\n"
    assert told(method="GET", path="/services")[2] == (
        f"A/B/C/D/E/F\tKhác\n{SERVICE}\tTra cứu\n".encode()
    )
    for query in (b"wsdl", b"WSDL"):
        assert told(method="GET", path=f"/services/{SERVICE}", query=query)[2] == b"<wsdl/>"


@pytest.mark.parametrize("path", ["/health", "/services", f"/services/{SERVICE}"])
def test_by_head_everything_is_told_but_the_body(path: str) -> None:
    got = told(method="GET", path=path, query=b"wsdl")
    status, headers, body = told(method="HEAD", path=path, query=b"wsdl")

    assert (status, headers, body) == (200, got[1], b"")
    assert headers[b"content-length"] == str(len(got[2])).encode()


def test_a_description_has_a_port_of_the_soap_version_that_is_asked_for() -> None:
    path = f"/services/{SERVICE}"

    assert told(method="GET", path=path, query=b"wsdl&soap=1.2")[2] == b"<wsdl12/>"
    assert told(method="GET", path=path, query=b"wsdl&soap=1.1")[2] == b"<wsdl/>"


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        (b"", b"text/xml; charset=utf-8", b"<clientList/>"),
        (b"*/*", b"text/xml; charset=utf-8", b"<clientList/>"),
        (b"text/xml", b"text/xml; charset=utf-8", b"<clientList/>"),
        (b"application/json", b"application/json", b"{}"),
        (b"text/html, Application/JSON;q=0.9", b"application/json", b"{}"),
    ],
)
def test_the_clients_of_the_nation_are_listed_in_xml_or_json(
    accept: bytes, content_type: bytes, body: bytes
) -> None:
    for query in (b"", b"xRoadInstance=VN"):
        status, headers, told_body = told(
            method="GET", path="/listClients", query=query, accept=accept
        )

        assert (status, headers[b"content-type"], told_body) == (200, content_type, body)


def test_the_clients_of_another_instance_are_not_known_here() -> None:
    assert told(method="GET", path="/listClients", query=b"xRoadInstance=XX")[0] == 404


def test_what_is_refused_by_its_head_is_refused_in_the_version_that_the_head_names() -> None:
    hub = Hub()

    for content_type in (
        b"application/soap+xml; charset=utf-16",
        b"text/xml; charset=utf-16",
        b"text/plain",
        b"; ;",
    ):
        told(b"<a/>", hub=hub, content_type=content_type)

    assert hub.refused_in == [SoapVersion.SOAP_1_2, SoapVersion.SOAP_1_1, None, None]


def test_a_description_may_be_asked_for_as_older_x_road_servers_take_it() -> None:
    query = (
        b"xRoadInstance=VN&memberClass=GOV&memberCode=G01&subsystemCode=dancu"
        b"&serviceCode=TraCuu&version=v1"
    )

    assert told(method="GET", path="/wsdl", query=query)[2] == b"<wsdl/>"


def test_a_description_that_there_is_not_is_not_found() -> None:
    for path, query in (("/services/VN/X", b"wsdl"), ("/wsdl", b"serviceCode=X")):
        assert told(method="GET", path=path, query=query)[0] == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/x"), ("DELETE", "/")])
def test_another_method_is_refused(method: str, path: str) -> None:
    hub = Hub()

    assert told(hub=hub, method=method, path=path)[0] == 500
    assert [type(error) for error in hub.refused] == [errors.HttpMethodInvalid]


def test_what_is_not_http_is_left_alone() -> None:
    async def story() -> None:
        await HttpDoor(Hub())({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ""),
        ({"soapaction": b'""'}, ""),
        ({"soapaction": b' "urn:x#a"'}, "urn:x#a"),
        ({"content_type": b'application/soap+xml; action="urn:x"'}, "urn:x"),
        ({"content_type": b'application/soap+xml; Action="urn:x"', "soapaction": b'"a"'}, "a"),
        ({"content_type": b'application/soap+xml; action="no URI"'}, ""),
    ],
)
def test_the_action_of_the_head_goes_along(headers: dict[str, bytes], expected: str) -> None:
    hub = Hub()

    told(b"<a/>", hub=hub, **headers)

    assert hub.actions == [expected]
