"""Whatever a sender or an agency chooses, no diagnostic holds it: the hub, an access point, at any
level. A mark is put into every place of a message, one at a time."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from lxml import etree

from bus.core import errors
from bus.core.xml import parse_xml
from bus.http.client import AgencyReply
from bus.kit.contract import Answer, Query
from bus.kit.soap_reply import read_reply
from tests.access_point.running_access_point import (
    RunningAccessPoint,
    ServedHub,
    plain_request,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.hub.running_hub import OpenHub, RunningHub, call, opened
from tests.nation import ANSWER, SAMPLE, SmallNation, payload, request

MARK = "Zx001099012345"
"""Letters and digits, so that it can stand anywhere: in a name, a header, a code."""


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenHub]:
    with opened(nation, tmp_path_factory.mktemp("words"), judge_process=False) as running:
        yield running


def marked(raw: bytes) -> Iterator[bytes]:
    """The message with the mark in each of its places."""
    tree = parse_xml(raw, bytes_max=len(raw))
    count = len(list(tree.iter(etree.Element)))
    for place in range(count):
        for change in (_text, _name, _namespace, _attribute, _child, _values, _tail):
            changed = copy.deepcopy(tree)
            change(list(changed.iter(etree.Element))[place])
            yield etree.tostring(changed)
    yield raw.replace(b"<", f"<!DOCTYPE {MARK}><".encode(), 1)
    yield f"<?{MARK}?>".encode() + raw
    yield f"<?xml version='1.0' encoding='{MARK}'?>".encode() + raw
    yield raw + f"</{MARK}>".encode()
    yield raw.replace(b"/", f"&{MARK};/".encode(), 1)
    yield raw.replace(b">", f"><{MARK}:a/>".encode(), 1)
    yield raw.replace(b">", f"><a {MARK}>".encode(), 1)
    yield MARK.encode()


def _text(element: etree._Element) -> None:
    element.text = MARK


def _tail(element: etree._Element) -> None:
    element.tail = MARK


def _name(element: etree._Element) -> None:
    element.tag = f"{{{etree.QName(element).namespace or 'urn:x'}}}{MARK}"


def _namespace(element: etree._Element) -> None:
    element.tag = f"{{urn:{MARK}}}{etree.QName(element).localname}"


def _attribute(element: etree._Element) -> None:
    element.set(f"{{urn:{MARK}}}{MARK}", MARK)
    element.set("Id", MARK)
    element.set(MARK, MARK)


def _values(element: etree._Element) -> None:
    for name in element.attrib:
        element.set(name, MARK)


def _child(element: etree._Element) -> None:
    etree.SubElement(element, MARK, {MARK: MARK}).text = MARK


def faults() -> Iterator[bytes]:
    for soap in (
        "http://schemas.xmlsoap.org/soap/envelope/",
        "http://www.w3.org/2003/05/soap-envelope",
    ):
        for inner in (
            f"<faultcode>{MARK}</faultcode><faultstring>line 1: {MARK}</faultstring>",
            f"<faultcode>s:{MARK}</faultcode><faultstring>{MARK}</faultstring><detail>{MARK}</detail>",
            f"<s:Code><s:Value>{MARK}</s:Value></s:Code><s:Reason><s:Text>{MARK}</s:Text></s:Reason>",
        ):
            yield (
                f"<s:Envelope xmlns:s='{soap}'><s:Header/><s:Body><s:Fault>{inner}</s:Fault>"
                "</s:Body></s:Envelope>"
            ).encode()


HEADERS: list[list[tuple[bytes, bytes]]] = [
    [(b"content-type", value), (b"soapaction", action)]
    for value in (
        b"text/" + MARK.encode(),
        b"text/xml; charset=" + MARK.encode(),
        b"text/xml; " + MARK.encode() + b"=1",
        b"multipart/related; boundary=b; type=" + MARK.encode(),
        b"multipart/" + MARK.encode() + b"; boundary=b",
        b"multipart/related; boundary=b; start=" + MARK.encode(),
    )
    for action in (b'""', MARK.encode(), b'"urn:' + MARK.encode() + b'"')
] + [[(b"content-type", b"text/xml"), (MARK.lower().encode(), MARK.encode())]]


def parts() -> Iterator[bytes]:
    """Multipart bodies with the mark in the places of MIME."""
    for head in (
        f"Content-Type: text/{MARK}",
        f"Content-Type: text/xml; charset={MARK}",
        f"Content-Type: text/xml\r\n{MARK}: {MARK}",
        f"Content-Type: text/xml\r\nContent-ID: <{MARK}>",
        f"Content-Type: text/xml\r\nContent-ID: {MARK} {MARK}",
        f"Content-Type: text/xml\r\nContent-Transfer-Encoding: {MARK}",
        f"Content-Type: text/xml\r\n{MARK}",
        f"Content-Type: text/xml\r\nContent-Disposition: attachment; filename={MARK}\x00",
    ):
        for body in (MARK, "<a/>"):
            part = f"--b\r\n{head}\r\n\r\n{body}\r\n"
            yield f"{part}{part}--b--\r\n".encode()


def silent(told: list[Any], of_what: object) -> None:
    assert told, "there must be diagnostics, or this proves nothing"
    assert MARK.lower() not in repr(told).lower(), (of_what, told)


# --- the hub --------------------------------------------------------------------------------------


def test_of_a_message_nothing_that_its_sender_chose_is_told(
    nation: SmallNation, hub: OpenHub
) -> None:
    messages = [*marked(request(nation)), *faults()]

    async def story(running: RunningHub) -> None:
        for raw in messages:
            with structlog.testing.capture_logs() as told:
                await running.post(raw)
            # An id is what diagnostics are found by: alone of all it is told.
            told = [{k: v for k, v in one.items() if k != "message_id"} for one in told]
            assert MARK not in repr(told), (raw, told)

    hub.tell(story)


def test_of_a_proved_message_neither(nation: SmallNation, hub: OpenHub) -> None:
    bodies = list(marked(SAMPLE))
    requests = [
        *(
            request(nation, f"w-{number}", body=body)
            for number, body in enumerate(bodies)
            if _is_sendable(body)
        ),
        request(nation, "w-user", user_id=MARK),
        request(nation, "w-issue", issue=MARK),
    ]
    assert len(requests) > 15

    async def story(running: RunningHub) -> None:
        codes = set()
        for raw in requests:
            with structlog.testing.capture_logs() as told:
                await running.post(raw)
            codes |= {one.get("code") for one in told}
            assert MARK not in repr(told), (raw, told)
        assert "payload.schema" in codes

    hub.tell(story)


def _is_sendable(body: bytes) -> bool:
    try:
        parse_xml(body, bytes_max=len(body))
    except errors.BusError:
        return False
    return True


def test_of_the_head_and_of_parts_neither(hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        for method in ("POST", MARK.upper()):
            for headers in HEADERS:
                for body in parts():
                    with structlog.testing.capture_logs() as told:
                        await call(running.door, method, "/", body, headers=headers)
                    silent(told, (method, headers, body))

    hub.tell(story)


# --- agencies -------------------------------------------------------------------------------------


def _replies() -> Iterator[AgencyReply]:
    for fault in faults():
        for status in (200, 500):
            yield AgencyReply(status, fault, "text/xml")
    for content_type in (f"text/{MARK}", f"text/xml; charset={MARK}", MARK):
        yield AgencyReply(200, next(faults()).replace(b"Fault", b"Other"), content_type)
        yield AgencyReply(200, MARK.encode(), content_type)
    yield AgencyReply(404, MARK.encode(), f"text/{MARK}")


def test_of_what_an_agency_says_neither(nation: SmallNation, hub: OpenHub) -> None:
    replies = list(_replies())
    answers = [body for body in marked(ANSWER) if _is_sendable(body)]

    def from_reply(reply: AgencyReply) -> Callable[[Query], Answer]:
        return lambda _: Answer(read_reply(reply).payload)

    def raising(error: Exception) -> Callable[[Query], Answer]:
        def script(_: Query) -> Answer:
            raise error

        return script

    scripts = [
        *(from_reply(reply) for reply in replies),
        *((lambda _, body=body: Answer(payload(body))) for body in answers),
        raising(errors.RecipientRefused("refused in the answer", public_detail=MARK)),
        raising(errors.RecipientRefused(public_detail=f"line 1 {MARK}")),
        raising(errors.PayloadRejected(public_detail=MARK)),
        raising(errors.PayloadRejected(MARK)),
        raising(errors.ServiceFault(MARK, MARK, actor=MARK)),
        raising(ValueError(MARK)),
        raising(KeyError(MARK)),
    ]

    async def story(running: RunningHub) -> None:
        codes = set()
        for number, script in enumerate(scripts):
            running.agency.script = script
            with structlog.testing.capture_logs() as told:
                await running.post(request(nation, f"a-{number}"))
            codes |= {one.get("code") for one in told}
            assert MARK not in repr(told), (number, told)
        assert {"delivery.service-fault", "delivery.answer-invalid", "adapter.broken"} <= codes

    hub.tell(story)


# --- an access point ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(nation, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def point(
    nation: SmallNation, served: ServedHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAccessPoint]:
    settings = write_settings(nation, tmp_path_factory.mktemp("point"), served.url)
    with running_access_point(settings, served.clock) as running:
        yield running


def test_an_access_point_tells_nothing_of_it_either(
    served: ServedHub, point: RunningAccessPoint
) -> None:
    for raw in (*marked(plain_request("p-1")), *faults()):
        with structlog.testing.capture_logs() as told:
            point.post(raw)
        told = [{k: v for k, v in one.items() if k != "message_id"} for one in told]
        assert MARK not in repr(told), (raw, told)
    for content_type in (f"text/{MARK}", f"multipart/related; boundary=b; type={MARK}"):
        for body in parts():
            with structlog.testing.capture_logs() as told:
                point.post(body, content_type=content_type)
            silent(told, (content_type, body))


# --- the files ------------------------------------------------------------------------------------


def test_every_kind_of_error_says_whether_its_detail_is_ours() -> None:
    for kind in errors.all_errors():
        if kind is errors.ServiceFault:
            continue
        error = kind(public_detail=f"line 12, {MARK}: expected")
        assert kind.detail_is_ours or error.diagnostic in ("", "line 12"), kind


def test_a_number_is_no_line() -> None:
    assert errors.HeaderInvalid(public_detail="line 001099012345, x").diagnostic == ""
    assert errors.FaultSent(public_detail="line 12").diagnostic == ""


def test_nothing_logs_a_detail() -> None:
    calls = re.compile(r"_log\.\w+\([^()]*(?:\([^()]*\)[^()]*)*\)", re.DOTALL)
    for path in sorted(Path("bus").rglob("*.py")):
        for found in calls.findall(path.read_text()):
            assert "error.detail" not in found, (path, found)
            assert "public_detail" not in found, (path, found)
