"""The simulated population database keeps to its contract: description, account, schema."""

from __future__ import annotations

import hashlib
import sqlite3
from base64 import b64encode
from pathlib import Path

import pytest
from lxml import etree

import schemas
from adapters.population.simulator import CallerAccount, PopulationAgency
from bus.kit.simulator import HttpReply, HttpRequest
from bus.sandbox.sandbox_data import read_nation
from tests.adapters.running_agencies import sample_requests

URL = "http://127.0.0.1:9/dancuquocgia"
NOW = 1_800_000_000_000
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


@pytest.fixture
def agency(data_dir: Path) -> PopulationAgency:
    nation = read_nation(data_dir)
    database = sqlite3.connect(nation.people)
    account = CallerAccount("hub", "secret")
    return PopulationAgency(
        database, url=URL, account=account, clock=lambda: NOW, as_of=nation.as_of
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


def look_up(data_dir: Path) -> bytes:
    return sample_requests(data_dir)["VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"]


def fault_of(reply: HttpReply) -> str:
    return etree.fromstring(reply.body).findtext(".//faultstring") or ""


def test_the_wsdl_is_the_packaged_one_with_the_agencys_own_address(
    agency: PopulationAgency,
) -> None:
    request = HttpRequest("GET", "/dancuquocgia", {"wsdl": ""}, {}, b"")
    served = etree.fromstring(agency.answer(request).body)
    address = served.find(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
    assert address is not None
    assert address.get("location") == URL
    packaged = etree.parse(schemas.FOLDER / "dancu/agency/dancuquocgia.wsdl")
    operations = "//*[local-name()='portType']/*/@name"
    assert served.xpath(operations) == packaged.xpath(operations)


def test_a_signed_request_is_answered(agency: PopulationAgency, data_dir: Path) -> None:
    reply = agency.answer(signed(envelope(look_up(data_dir))))
    assert reply.status == 200
    found = etree.fromstring(reply.body).find(".//{*}CongdanCollection")
    assert found is not None
    assert found.get("SoCongDan") == "1"


@pytest.mark.parametrize(
    "wrong", [{"timestamp": NOW - 301_000}, {"timestamp": NOW + 301_000}, {"secret": "other"}]
)
def test_a_caller_who_cannot_prove_the_secret_now_gets_401(
    agency: PopulationAgency, data_dir: Path, wrong: dict[str, object]
) -> None:
    request = signed(envelope(look_up(data_dir)), **wrong)  # type: ignore[arg-type]
    assert agency.answer(request).status == 401


@pytest.mark.parametrize(
    "headers", [{}, {"timestamp": "x"}, {"timestamp": str(NOW), "authorization": "Basic ??"}]
)
def test_a_caller_without_proof_gets_401(agency: PopulationAgency, headers: dict[str, str]) -> None:
    request = HttpRequest("POST", "/dancuquocgia", {}, headers, b"")
    assert agency.answer(request).status == 401


def test_what_the_agencys_own_schema_forbids_is_a_fault(
    agency: PopulationAgency, data_dir: Path
) -> None:
    body = envelope(look_up(data_dir)).replace(b"NgayThangNam>", b"NgaySai>")
    reply = agency.answer(signed(body))
    assert reply.status == 500
    assert fault_of(reply) == "Dữ liệu đầu vào không đúng định dạng"


def test_the_integration_code_of_another_operation_is_a_fault(
    agency: PopulationAgency, data_dir: Path
) -> None:
    reply = agency.answer(signed(envelope(look_up(data_dir), "003")))
    assert fault_of(reply) == "Mã tích hợp không hợp lệ"


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<!DOCTYPE a><a/>"])
def test_what_is_no_soap_is_a_fault(agency: PopulationAgency, body: bytes) -> None:
    assert agency.answer(signed(body)).status == 500
