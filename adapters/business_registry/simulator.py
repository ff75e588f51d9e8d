"""Be the national business registry: a REST service with OAuth2 over the invented enterprises."""

from __future__ import annotations

import hmac
import re
import secrets
import sqlite3
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import parse_qs, unquote_plus

from adapters.business_registry.invented_enterprises import ENTERPRISES_FILE, build_enterprises
from adapters.business_registry.invented_requests import invented_requests
from bus.kit.invented_nation import InventedNation
from bus.kit.simulator import (
    HttpReply,
    HttpRequest,
    SimulatedAgency,
    json_reply,
    open_to_read,
    text_reply,
)

TOKEN_PATH = "/token"  # noqa: S105 - a path
SERVICE_PREFIX = "/apiCSDLDKDN/1.0/"
TOKEN_LIFE_SECONDS = 600
SPAN_DAYS_MAX = 5
ROWS_MAX = 500
_DOCUMENTS = "taiLieuHoSo"
_FORGET_TOKENS_PATH = "/_forget_tokens"
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")
_NUMBER = re.compile(r"[0-9]{1,7}\Z")

_MAIN_INFORMATION = (
    "ENTERPRISE_ID, ENTERPRISE_GDT_CODE, IMP_BUSINESS_CODE, ENTERPRISE_TYPE_ID,"
    " ENTERPRISE_TYPE_NAME, NAME, SHORT_NAME, NAME_F, FOUNDING_DATE, LAST_AMEND_DATE,"
    " NUMBER_CHANGES, ENTERPRISE_STATUS, LEGAL_NAMES, CAPITAL_AMOUNT"
)
_ADDRESS = (
    "CityID, CityName, DistrictID, DistrictName, WardID, WardName, StreetNumber, AddressFullText"
)
_DOSSIER = (
    "IN_JOURNAL_NO, DOCUMENT_TYPE, ENTERPRISE_CODE, SITE_ID, RECEIPT_DATE, PLAN_DATE,"
    " PROCESS_STATUS, PROCESSED_DATE, REGISTRATION_DATE, SUPPLEMENT_DATE, SUBMISSION_TYPE,"
    " CONTACT_FULL_NAME, CONTACT_ADDRESS, CONTACT_ID_NO, CONTACT_PHONE, CONTACT_EMAIL"
)
_GROUPS = MappingProxyType(
    {
        "BusinessActivity": ("CODE, NAME, IS_MAIN", "activities"),
        "Member": ("MEMBER_NAME, AMOUNT, RATIO_PERCENT, COUNTRY", "members"),
        "Representatives": ("FULL_NAME", "representatives"),
    }
)

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ClientAccount:
    """The account that the agency gave to the hub."""

    client_id: str
    client_secret: str = field(repr=False)


class _Refusal(Exception):
    """Status 0 with this message."""


class BusinessRegistryAgency(SimulatedAgency):
    """The business registry on one port."""

    def __init__(
        self,
        database: sqlite3.Connection,
        *,
        account: ClientAccount,
        monotonic_seconds: Callable[[], float],
    ) -> None:
        super().__init__()
        database.row_factory = sqlite3.Row
        self._database = database
        self._account = account
        self._monotonic_seconds = monotonic_seconds
        self._token_ends: dict[str, float] = {}  # owned by the event loop
        self._calls: Mapping[str, Callable[[Query], Mapping[str, object]]] = {
            "chiTietDoanhNghiep": self._enterprise,
            "danhSachHoSoTrongNgay": self._dossiers_of_the_day,
            "danhSachHoSo": self._dossiers_of_days,
            "tinhTrangHoSo": self._dossier,
        }

    @classmethod
    def open(cls, nation: InventedNation, folder: Path, settings: Mapping[str, str]) -> Self:
        return cls(
            open_to_read(folder / ENTERPRISES_FILE),
            account=ClientAccount(settings["client_id"], settings["client_secret"]),
            monotonic_seconds=time.monotonic,
        )

    @classmethod
    def make_data(cls, nation: InventedNation, folder: Path) -> None:
        build_enterprises(nation, folder)

    @classmethod
    def sample_requests(cls, nation: InventedNation, folder: Path) -> Mapping[str, bytes]:
        with closing(open_to_read(folder / ENTERPRISES_FILE)) as database:
            return invented_requests(nation, database)

    def is_service_call(self, request: HttpRequest) -> bool:
        return request.path.startswith(SERVICE_PREFIX)

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path == TOKEN_PATH:
            return self._give_token(request)
        if request.path == _FORGET_TOKENS_PATH:
            self._token_ends.clear()
            return text_reply(200, "forgotten")
        if request.path == SERVICE_PREFIX + _DOCUMENTS:
            return self._take_document(request)
        call = self._calls.get(request.path.removeprefix(SERVICE_PREFIX))
        if call is None or not self.is_service_call(request) or request.method != "GET":
            return text_reply(404, "no such service")
        if not self._is_token_good(request.headers.get("authorization", "")):
            return json_reply({"error": "invalid_token"}, status=401)
        try:
            return json_reply({"Status": 1, "Message": "", **call(request.query)})
        except _Refusal as refusal:
            return json_reply({"Status": 0, "Message": str(refusal), "DataCount": 0})

    def wrong_answer(self) -> HttpReply:
        return json_reply({"Status": 1, "MainInformation": {"NAME": "?"}, "Data": [{"NAME": "?"}]})

    def refusal(self) -> HttpReply:
        return json_reply({"Status": 0, "Message": "Đơn vị không được phép khai thác"})

    def takes_files(self, request: HttpRequest) -> bool:
        return request.path == SERVICE_PREFIX + _DOCUMENTS

    def _take_document(self, request: HttpRequest) -> HttpReply:
        """Take one document of a dossier; the same one again has the same number."""
        if request.method != "POST":
            return text_reply(405, "documents come by POST")
        if not self._is_token_good(request.headers.get("authorization", "")):
            return json_reply({"error": "invalid_token"}, status=401)
        number, name = request.query.get("in_journal_no", ""), request.query.get("ten", "")
        try:
            self._dossier({"in_journal_no": number})
        except _Refusal as refusal:
            return json_reply({"Status": 0, "Message": str(refusal)})
        taken = {
            "Ten": name,
            "SoByte": request.bytes_count,
            "SHA256": request.sha256,
            "SoTiepNhan": f"TN-{request.sha256[:12]}",
            "BienNhan": f"BIÊN NHẬN\r\nHồ sơ {number}\r\n{name}: {request.bytes_count} byte\r\n",
        }
        return json_reply({"Status": 1, "Message": "", "TaiLieu": taken})

    def _give_token(self, request: HttpRequest) -> HttpReply:
        wanted = parse_qs(request.body.decode("latin-1")).get("grant_type")
        if request.method != "POST" or wanted != ["client_credentials"]:
            return json_reply({"error": "unsupported_grant_type"}, status=400)
        if not self._is_client_known(request.headers.get("authorization", "")):
            return json_reply({"error": "invalid_client"}, status=401)
        token = secrets.token_urlsafe(24)
        now = self._monotonic_seconds()
        self._token_ends = {known: end for known, end in self._token_ends.items() if end > now} | {
            token: now + TOKEN_LIFE_SECONDS
        }
        return json_reply(
            {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFE_SECONDS}
        )

    def _is_client_known(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        try:
            given = unquote_plus(b64decode(encoded, validate=True).decode())
        except (Base64Error, UnicodeDecodeError):
            return False
        expected = f"{self._account.client_id}:{self._account.client_secret}"
        return scheme == "Basic" and hmac.compare_digest(expected.encode(), given.encode())

    def _is_token_good(self, authorization: str) -> bool:
        token = authorization.removeprefix("Bearer ")
        return self._token_ends.get(token, 0.0) > self._monotonic_seconds()

    def _enterprise(self, query: Query) -> Mapping[str, object]:
        code = query.get("msdn", "")
        by_code = "FROM enterprises WHERE ENTERPRISE_GDT_CODE = ?"
        main = self._rows(f"SELECT {_MAIN_INFORMATION} {by_code}", code)
        if not main:
            raise _Refusal("Không tìm thấy doanh nghiệp")
        groups = {
            group: self._rows(
                f"SELECT {columns} FROM {table} WHERE enterprise = ? ORDER BY rowid",  # noqa: S608
                code,
            )
            for group, (columns, table) in _GROUPS.items()
        }
        address = self._rows(f"SELECT {_ADDRESS} {by_code}", code)
        return {"DataCount": 1, "MainInformation": main[0], "HOAdress": address[0], **groups}

    def _dossiers_of_the_day(self, query: Query) -> Mapping[str, object]:
        # The invented nation stands still: its day is that of the last dossier received.
        first, last = query.get("from_ts", ""), query.get("to_ts", "")
        if not (_TIME_OF_DAY.match(first) and _TIME_OF_DAY.match(last)):
            raise _Refusal("from_ts và to_ts phải có dạng HH:mm")
        today = self._rows("SELECT max(substr(received, 1, 10)) AS day FROM dossiers")[0]["day"]
        return self._dossiers(f"{today} {first}", f"{today} {last}", query)

    def _dossiers_of_days(self, query: Query) -> Mapping[str, object]:
        first, last = _day(query.get("from_date", "")), _day(query.get("to_date", ""))
        if not timedelta(0) <= last - first < timedelta(days=SPAN_DAYS_MAX):
            raise _Refusal(f"Khoảng thời gian tối đa {SPAN_DAYS_MAX} ngày")
        return self._dossiers(f"{first} 00:00", f"{last} 23:59", query)

    def _dossiers(self, first: str, last: str, query: Query) -> Mapping[str, object]:
        between = "FROM dossiers WHERE received BETWEEN ? AND ?"
        count = self._rows(f"SELECT count(*) AS rows_all {between}", first, last)[0]["rows_all"]
        rows = self._rows(
            f"SELECT {_DOSSIER} {between} ORDER BY received, IN_JOURNAL_NO LIMIT ? OFFSET ?",
            first,
            last,
            min(_number(query.get("limit", "100")), ROWS_MAX),
            _number(query.get("offset", "0")),
        )
        return {"DataCount": count, "Data": rows}

    def _dossier(self, query: Query) -> Mapping[str, object]:
        by_number = f"SELECT {_DOSSIER} FROM dossiers WHERE IN_JOURNAL_NO = ?"  # noqa: S608
        rows = self._rows(by_number, query.get("in_journal_no", ""))
        if not rows:
            raise _Refusal("Không tìm thấy hồ sơ")
        return {"DataCount": 1, "Data": rows}

    def _rows(self, query: str, *values: str | int) -> list[dict[str, object]]:
        return [dict(row) for row in self._database.execute(query, values)]


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise _Refusal("Ngày phải có dạng dd/MM/yyyy") from None


def _number(text: str) -> int:
    if not _NUMBER.match(text):
        raise _Refusal("offset và limit phải là số")
    return int(text)
