"""Every simulated agency can be broken by a test, is bounded, and says what it lacks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bus.kit.load import load_simulator_class
from bus.kit.simulator import (
    REQUEST_BYTES_MAX,
    FaultMode,
    HttpReply,
    HttpRequest,
    SimulatedAgency,
    text_reply,
)
from bus.sandbox.agency_server import main
from bus.sandbox.sandbox_data import read_nation
from tests.adapters.running_agencies import MANIFESTS, SIMULATED, settings_of


@pytest.fixture(params=SIMULATED)
def agency(request: pytest.FixtureRequest, data_dir: Path) -> SimulatedAgency:
    """Each of them, opened by its manifest."""
    settings = settings_of(request.param, "http://127.0.0.1:9")
    simulator = load_simulator_class(MANIFESTS[request.param])
    return simulator.open(read_nation(data_dir), data_dir / request.param, settings)


def test_every_fault_mode_has_a_name_that_a_test_may_post() -> None:
    expected = {"none", "slow", "down", "wrong-answer", "garbage", "refuse"}
    assert expected == {mode.value for mode in FaultMode}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"mode": "broken"}', b'{"mode": "slow", "seconds": []}']
)
def test_a_fault_that_does_not_exist_is_not_taken(agency: SimulatedAgency, body: bytes) -> None:
    assert call(agency, "/_fault", body)[0] == 400
    assert call(agency, "/_fault", b'{"mode": "down"}')[0] == 200
    assert call(agency, "/_health", b"")[0] == 200


def test_what_it_says_when_it_is_wrong_or_unwilling_it_says_in_its_protocol(
    agency: SimulatedAgency,
) -> None:
    for reply in (agency.wrong_answer(), agency.refusal()):
        assert isinstance(reply, HttpReply)
        assert reply.body
        assert reply.content_type.startswith(("application/json", "text/xml"))


def test_a_request_above_the_bound_is_refused(agency: SimulatedAgency) -> None:
    assert call(agency, "/", b"x" * (REQUEST_BYTES_MAX + 1))[0] == 413


class Greeting(SimulatedAgency):
    """Says hello to everybody."""

    @classmethod
    def open(cls, *_: object) -> Greeting:
        return cls()

    def is_service_call(self, request: HttpRequest) -> bool:
        return request.path == "/hello"

    def answer(self, request: HttpRequest) -> HttpReply:
        return text_reply(200, "hello")

    def wrong_answer(self) -> HttpReply:
        return text_reply(200, "wrong")

    def refusal(self) -> HttpReply:
        return text_reply(403, "no")


@pytest.mark.parametrize(
    ("mode", "status", "said"),
    [
        ("none", 200, b"hello"),
        ("slow", 200, b"hello"),
        ("down", 503, b"down"),
        ("wrong-answer", 200, b"wrong"),
        ("refuse", 403, b"no"),
        ("garbage", 200, b"\x00"),
    ],
)
def test_a_fault_is_felt_by_who_asks_for_the_service(mode: str, status: int, said: bytes) -> None:
    agency = Greeting()
    assert call(agency, "/_fault", json.dumps({"mode": mode, "seconds": 0}).encode())[0] == 200

    got, body = call(agency, "/hello", b"")

    assert (got, body[: len(said)]) == (status, said)
    assert call(agency, "/elsewhere", b"")[1] == b"hello"


@pytest.mark.parametrize("adapter", SIMULATED)
def test_an_agency_without_a_nation_says_what_is_missing(tmp_path: Path, adapter: str) -> None:
    environment = {"AGENCY_SETTINGS": json.dumps(settings_of(adapter, "http://127.0.0.1:9"))}

    result = CliRunner().invoke(main, arguments(adapter, tmp_path), env=environment)

    assert result.exit_code == 1
    assert "people.sqlite" in result.output


@pytest.mark.parametrize("settings", ["", "[]", "{"])
def test_settings_that_are_none_are_refused(tmp_path: Path, settings: str) -> None:
    asked = arguments(SIMULATED[0], tmp_path)

    result = CliRunner().invoke(main, asked, env={"AGENCY_SETTINGS": settings})

    assert result.exit_code == 2
    assert "settings" in result.output


def arguments(adapter: str, data: Path) -> list[str]:
    folder = MANIFESTS[adapter].folder
    return ["--adapter", str(folder), "--data", str(data), "--port", "9"]


def call(agency: SimulatedAgency, path: str, body: bytes) -> tuple[int, bytes]:
    """One request through the ASGI interface: status and body."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []}
    asyncio.run(agency(scope, receive, send))
    return sent[0]["status"], sent[1]["body"]
