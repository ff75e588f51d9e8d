"""The simulated agencies keep to their own contracts: description, account, schema, faults."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from base64 import b64encode
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lxml import etree

import schemas
from adapters.business_registry.simulator import BusinessRegistryAgency, ClientAccount
from adapters.population.simulator import CallerAccount, PopulationAgency
from bus.kit.simulator import (
    REQUEST_BYTES_MAX,
    FaultMode,
    HttpReply,
    HttpRequest,
    SimulatedAgency,
)
from bus.sandbox.agency_server import main
from bus.sandbox.people import POPULATION_FILE, SNAPSHOT_DAY
from bus.sandbox.sandbox_data import build_data, sample_requests

URL = "http://127.0.0.1:9/dancuquocgia"
NOW = 1_800_000_000_000
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@pytest.fixture(scope="module")
def nation_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agencies")
    build_data(folder)
    return folder


@pytest.fixture
def population(nation_dir: Path) -> PopulationAgency:
    database = sqlite3.connect(nation_dir / POPULATION_FILE)
    account = CallerAccount("hub", "secret")
    return PopulationAgency(
        database, url=URL, account=account, clock=lambda: NOW, as_of=SNAPSHOT_DAY
    )


def signed(body: bytes, *, timestamp: int = NOW, secret: str = "secret") -> HttpRequest:
    proof = hashlib.sha256(f"{URL}hub{timestamp}{secret}".encode()).hexdigest()
    authorization = f"Basic {b64encode(f'hub:{proof}'.encode()).decode()}"
    headers = {"timestamp": str(timestamp), "authorization": authorization}
    return HttpRequest("POST", "/dancuquocgia", {}, headers, body)


def envelope(payload: bytes, ma_tich_hop: str = "037") -> bytes:
    """A hub-facing sample as the agency takes it: with MaTichHop and the name in upper case."""
    element = etree.fromstring(payload)
    name = element.find("{*}HoVaTen")
    assert name is not None
    name.text = (name.text or "").upper()
    code = etree.Element(f"{{{etree.QName(element).namespace}}}MaTichHop")
    code.text = ma_tich_hop
    element.insert(2, code)
    root = etree.Element(f"{{{SOAP}}}Envelope")
    etree.SubElement(root, f"{{{SOAP}}}Body").append(element)
    return etree.tostring(root)


def look_up(nation_dir: Path) -> bytes:
    return sample_requests(nation_dir)["VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"]


def fault_of(reply: HttpReply) -> str:
    return etree.fromstring(reply.body).findtext(".//faultstring") or ""


def test_the_wsdl_is_the_packaged_one_with_the_agencys_own_address(
    population: PopulationAgency,
) -> None:
    request = HttpRequest("GET", "/dancuquocgia", {"wsdl": ""}, {}, b"")
    served = etree.fromstring(population.answer(request).body)
    address = served.find(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
    assert address.get("location") == URL
    packaged = etree.parse(schemas.FOLDER / "dancu/agency/dancuquocgia.wsdl")
    operations = "//*[local-name()='portType']/*/@name"
    assert served.xpath(operations) == packaged.xpath(operations)


def test_a_signed_request_is_answered(population: PopulationAgency, nation_dir: Path) -> None:
    reply = population.answer(signed(envelope(look_up(nation_dir))))
    assert reply.status == 200
    found = etree.fromstring(reply.body).find(".//{*}CongdanCollection")
    assert found.get("SoCongDan") == "1"


@pytest.mark.parametrize(
    "wrong", [{"timestamp": NOW - 301_000}, {"timestamp": NOW + 301_000}, {"secret": "other"}]
)
def test_a_caller_who_cannot_prove_the_secret_now_gets_401(
    population: PopulationAgency, nation_dir: Path, wrong: dict[str, object]
) -> None:
    request = signed(envelope(look_up(nation_dir)), **wrong)  # type: ignore[arg-type]
    assert population.answer(request).status == 401


@pytest.mark.parametrize(
    "headers", [{}, {"timestamp": "x"}, {"timestamp": str(NOW), "authorization": "Basic ??"}]
)
def test_a_caller_without_proof_gets_401(
    population: PopulationAgency, headers: dict[str, str]
) -> None:
    request = HttpRequest("POST", "/dancuquocgia", {}, headers, b"")
    assert population.answer(request).status == 401


def test_what_the_agencys_own_schema_forbids_is_a_fault(
    population: PopulationAgency, nation_dir: Path
) -> None:
    body = envelope(look_up(nation_dir)).replace(b"NgayThangNam>", b"NgaySai>")
    reply = population.answer(signed(body))
    assert reply.status == 500
    assert fault_of(reply) == "Dữ liệu đầu vào không đúng định dạng"


def test_the_integration_code_of_another_operation_is_a_fault(
    population: PopulationAgency, nation_dir: Path
) -> None:
    reply = population.answer(signed(envelope(look_up(nation_dir), "003")))
    assert fault_of(reply) == "Mã tích hợp không hợp lệ"


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<!DOCTYPE a><a/>"])
def test_what_is_no_soap_is_a_fault(population: PopulationAgency, body: bytes) -> None:
    assert population.answer(signed(body)).status == 500


def test_a_token_ends_after_its_life(nation_dir: Path) -> None:
    seconds = 0.0
    agency = BusinessRegistryAgency(
        sqlite3.connect(nation_dir / "enterprises.sqlite"),
        account=ClientAccount("hub", "secret"),
        monotonic_seconds=lambda: seconds,
    )
    headers = {"authorization": f"Basic {b64encode(b'hub:secret').decode()}"}
    body = b"grant_type=client_credentials"
    given = json.loads(agency.answer(HttpRequest("POST", "/token", {}, headers, body)).body)
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    path = "/apiCSDLDKDN/1.0/danhSachHoSoTrongNgay"
    request = HttpRequest("GET", path, {"from_ts": "00:00", "to_ts": "23:59"}, bearer, b"")
    assert json.loads(agency.answer(request).body)["Status"] == 1
    seconds = given["expires_in"] + 1
    assert agency.answer(request).status == 401


def test_every_fault_mode_has_a_name_that_a_test_may_post() -> None:
    expected = {"none", "slow", "down", "wrong-answer", "garbage", "refuse"}
    assert expected == {mode.value for mode in FaultMode}


def test_an_agency_without_data_says_what_is_missing(tmp_path: Path) -> None:
    arguments = ["--agency", "population", "--data", str(tmp_path), "--port", "9"]
    environment = {"AGENCY_ACCOUNT": "hub", "AGENCY_SECRET": "secret"}
    result = CliRunner().invoke(main, arguments, env=environment)
    assert result.exit_code == 1
    assert "population.sqlite" in result.output


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"mode": "broken"}', b'{"mode": "slow", "seconds": []}']
)
def test_a_fault_that_does_not_exist_is_not_taken(
    population: PopulationAgency, body: bytes
) -> None:
    assert call(population, "/_fault", body)[0] == 400
    assert call(population, "/_fault", b'{"mode": "down"}')[0] == 200
    assert call(population, "/dancuquocgia", b"")[0] == 503
    assert call(population, "/_health", b"")[0] == 200


def test_a_request_above_the_bound_is_refused(population: PopulationAgency) -> None:
    assert call(population, "/dancuquocgia", b"x" * (REQUEST_BYTES_MAX + 1))[0] == 413


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
