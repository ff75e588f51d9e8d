"""Be the national population database: a SOAP 1.1 service over the invented population.

It takes what its WSDL says and nothing else, checks who calls, and answers from SQLite.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import unicodedata
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Self

from lxml import etree

from adapters.population.citizen_record import NAMESPACE, collection, empty_collection
from bus.kit.clock import epoch_milliseconds
from bus.kit.contract import BusError, parse_xml
from bus.kit.invented_nation import InventedNation
from bus.kit.schema_files import schema_file
from bus.kit.simulator import (
    REQUEST_BYTES_MAX,
    HttpReply,
    HttpRequest,
    SimulatedAgency,
    open_to_read,
    text_reply,
)

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
WSDL_FILE = schema_file("dancu/agency/dancuquocgia.wsdl")
SERVICE_PATH = "/dancuquocgia"
TIMESTAMP_AGE_MILLISECONDS_MAX = 300_000

_MA_TICH_HOP = MappingProxyType(
    {
        "TraCuuThongTinCongDan": "037",
        "XacThucThongTinCongDan": "003",
        "XacMinhThongTinNhanThan": "033",
    }
)


@dataclass(frozen=True, slots=True)
class CallerAccount:
    """The account that the agency gave to the hub."""

    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A valid request: its operation and its fields; NgayThangNamSinh stands as its text."""

    operation: str
    fields: Mapping[str, str]

    def names(self, citizen: sqlite3.Row) -> bool:
        given = self.fields["HoVaTen"]
        return given in (_upper(citizen["full_name"]), _plain(citizen["full_name"]))

    def matches_birth_of(self, citizen: sqlite3.Row) -> bool:
        # Where one side knows the year only, the years are compared.
        given, known = self.fields["NgayThangNamSinh"], str(citizen["birth"])
        length = min(len(given), len(known))
        return given[:length] == known[:length]


class _SoapFault(Exception):
    """The agency says no: a fault code of SOAP 1.1 §4.4.1 and a sentence."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class PopulationAgency(SimulatedAgency):
    """The population database on one port."""

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        url: str,
        account: CallerAccount,
        clock: Callable[[], int],
        as_of: date,
    ) -> None:
        """`url` is the address that callers sign; `clock` gives milliseconds since 1970;
        `as_of` is the day of the data."""
        super().__init__()
        database.row_factory = sqlite3.Row
        self._database = database
        self._url = url
        self._account = account
        self._clock = clock
        self._as_of = as_of
        wsdl = parse_xml(WSDL_FILE.read_bytes(), bytes_max=REQUEST_BYTES_MAX)
        schema = wsdl.find(".//{http://www.w3.org/2001/XMLSchema}schema")
        assert schema is not None
        self._schema = etree.XMLSchema(schema)
        address = wsdl.find(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
        assert address is not None
        address.set("location", url)
        self._wsdl = etree.tostring(wsdl, xml_declaration=True, encoding="UTF-8")

    @classmethod
    def open(cls, nation: InventedNation, folder: Path, settings: Mapping[str, str]) -> Self:
        return cls(
            open_to_read(nation.people),
            url=settings["url"],
            account=CallerAccount(settings["username"], settings["secret"]),
            clock=epoch_milliseconds,
            as_of=nation.as_of,
        )

    @classmethod
    def sample_requests(cls, nation: InventedNation, folder: Path) -> Mapping[str, bytes]:
        with closing(open_to_read(nation.people)) as database:
            name, birth = database.execute(
                "SELECT full_name, birth FROM citizens WHERE personal_number = ?",
                (nation.citizen,),
            ).fetchone()
        return {
            operation: _request(operation, nation.citizen, name, birth)
            for operation in _MA_TICH_HOP
        }

    def is_service_call(self, request: HttpRequest) -> bool:
        return request.path == SERVICE_PATH and request.method == "POST"

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path != SERVICE_PATH:
            return text_reply(404, "no such service")
        if request.method == "GET" and "wsdl" in request.query:
            return HttpReply(200, "text/xml; charset=utf-8", self._wsdl)
        if request.method != "POST":
            return text_reply(405, "POST")
        if not self._is_caller_known(request.headers):
            return text_reply(401, "Unauthorized")
        try:
            return _soap_reply(200, self._result(self._read(request.body)))
        except _SoapFault as fault:
            return _soap_reply(500, _fault_element(fault))

    def wrong_answer(self) -> HttpReply:
        element = etree.Element(f"{{{NAMESPACE}}}CongdanCollection", nsmap={"dc": NAMESPACE})
        etree.SubElement(element, f"{{{NAMESPACE}}}KhongCoTrongLuocDo").text = "?"
        return _soap_reply(200, element)

    def refusal(self) -> HttpReply:
        return _soap_reply(
            500, _fault_element(_SoapFault("Server", "Đơn vị không được phép khai thác"))
        )

    def _is_caller_known(self, headers: Mapping[str, str]) -> bool:
        timestamp = headers.get("timestamp", "")
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
            return False
        if abs(self._clock() - int(timestamp)) > TIMESTAMP_AGE_MILLISECONDS_MAX:
            return False
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            given = b64decode(encoded, validate=True)
        except Base64Error:
            return False
        account = self._account
        text = f"{self._url}{account.username}{timestamp}{account.secret}"
        proof = f"{account.username}:{hashlib.sha256(text.encode()).hexdigest()}"
        return scheme == "Basic" and hmac.compare_digest(proof.encode(), given)

    def _read(self, body: bytes) -> _Asked:
        try:
            envelope = parse_xml(body, bytes_max=REQUEST_BYTES_MAX)
        except BusError as error:
            raise _SoapFault("Client", "not well-formed") from error
        element = (
            envelope.find(f"{{{SOAP}}}Body/*") if envelope.tag == f"{{{SOAP}}}Envelope" else None
        )
        if element is None:
            raise _SoapFault("Client", "no SOAP 1.1 Body")
        operation = etree.QName(element).localname
        if operation not in _MA_TICH_HOP or not self._schema.validate(element):
            raise _SoapFault("Client", "Dữ liệu đầu vào không đúng định dạng")
        fields = {
            etree.QName(child).localname: (child[0] if len(child) else child).text or ""
            for child in element
        }
        if fields["MaTichHop"] != _MA_TICH_HOP[operation]:
            raise _SoapFault("Client", "Mã tích hợp không hợp lệ")
        return _Asked(operation, fields)

    def _result(self, asked: _Asked) -> etree._Element:
        citizen = self._find(asked)
        match asked.operation:
            case "TraCuuThongTinCongDan":
                if citizen is None or not (
                    asked.names(citizen) and asked.matches_birth_of(citizen)
                ):
                    return empty_collection(self._as_of)
                return collection(citizen, self._by_number, self._as_of)
            case "XacThucThongTinCongDan":
                is_right = citizen is not None and asked.names(citizen)
                is_right = is_right and citizen is not None and asked.matches_birth_of(citizen)
                return _booleans("KetQuaXacThuc", TonTai=is_right)
            case _:
                return _booleans(
                    "KetQuaXacMinh",
                    TonTai=citizen is not None,
                    TrungHoVaTen=citizen is not None and asked.names(citizen),
                    TrungNgayThangNamSinh=citizen is not None and asked.matches_birth_of(citizen),
                )

    def _find(self, asked: _Asked) -> sqlite3.Row | None:
        if "SoDinhDanh" in asked.fields:
            return self._by_number(asked.fields["SoDinhDanh"])
        return self._first("old_number", asked.fields["SoCMND"])

    def _by_number(self, personal_number: str) -> sqlite3.Row | None:
        return self._first("personal_number", personal_number)

    def _first(self, column: str, value: str) -> sqlite3.Row | None:
        query = f"SELECT * FROM citizens WHERE {column} = ?"  # noqa: S608 - one of two constants
        found: sqlite3.Row | None = self._database.execute(query, (value,)).fetchone()
        return found


def _request(operation: str, personal_number: str, name: str, birth: str) -> bytes:
    """A question about a citizen, as the hub takes it."""
    element = etree.Element(f"{{{NAMESPACE}}}{operation}", nsmap={"p": NAMESPACE})
    fields = {
        "MaYeuCau": "MC-H41-2026-000001",
        "MaDVC": "H41.MOTCUA",
        "MaCanBo": "CB-H41-0117",
        "SoDinhDanh": personal_number,
        "HoVaTen": name,
    }
    for field_name, text in fields.items():
        etree.SubElement(element, f"{{{NAMESPACE}}}{field_name}").text = text
    birth_element = etree.SubElement(element, f"{{{NAMESPACE}}}NgayThangNamSinh")
    part = "Nam" if len(birth) == 4 else "NgayThangNam"
    etree.SubElement(birth_element, f"{{{NAMESPACE}}}{part}").text = birth
    return etree.tostring(element, encoding="UTF-8", xml_declaration=False)


def _booleans(name: str, **statements: bool) -> etree._Element:
    element = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap={"dc": NAMESPACE})
    for statement, is_true in statements.items():
        etree.SubElement(element, f"{{{NAMESPACE}}}{statement}").text = str(is_true).lower()
    return element


def _fault_element(fault: _SoapFault) -> etree._Element:
    element = etree.Element(f"{{{SOAP}}}Fault", nsmap={"soap": SOAP})
    etree.SubElement(element, "faultcode").text = f"soap:{fault.code}"
    etree.SubElement(element, "faultstring").text = fault.sentence
    return element


def _soap_reply(status: int, content: etree._Element) -> HttpReply:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(content)
    body = etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
    return HttpReply(status, "text/xml; charset=utf-8", body)


def _upper(name: str) -> str:
    return unicodedata.normalize("NFC", name).upper()


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFD", _upper(name).replace("Đ", "D"))
    return "".join(letter for letter in letters if letter.isalnum())
