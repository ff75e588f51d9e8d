"""Be the National Public Service Portal: sessions, and steps of dossiers that are counted once.

It remembers the key of each message: one that comes again has no second effect and gets the first
answer. What it took stands in memory; a portal that is started again has forgotten all of it.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from bus.kit.invented_nation import InventedNation
from bus.kit.simulator import HttpReply, HttpRequest, SimulatedAgency, json_reply, text_reply

SERVICE = "CapNhatTienDoHoSoMC"
CALL_PATH = "/dongbo"
LOGIN_PATH = "/login"
TAKEN_PATH = "/_taken"
"""What it took, in order: for tests and for whoever plays with a sandbox."""
FORGET_PATH = "/_forget_sessions"
TAKEN_MAX = 100_000
SESSIONS_MAX = 1000
_FIELDS = frozenset(
    {
        "MaHoSo",
        "NguoiXuLy",
        "ChucDanh",
        "ThoiDiemXuLy",
        "PhongBanXuLy",
        "NoiDungXuLy",
        "TrangThai",
        "NgayBatDau",
        "NgayKetThucTheoQuyDinh",
    }
)


class PublicServicePortal(SimulatedAgency):
    """The portal on one port."""

    def __init__(self, *, account: str, password: str) -> None:
        super().__init__()
        self._account = account
        self._password = password
        self._sessions: set[str] = set()
        self._taken: dict[str, dict[str, str]] = {}
        """By key, in the order in which they came."""

    @classmethod
    def open(cls, nation: InventedNation, folder: Path, settings: Mapping[str, str]) -> Self:
        return cls(account=settings["account"], password=settings["password"])

    def is_service_call(self, request: HttpRequest) -> bool:
        return request.path == CALL_PATH

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.method == "GET" and request.path in ("", "/"):
            return text_reply(200, "Cổng Dịch vụ công quốc gia")
        if request.path == TAKEN_PATH:
            return json_reply([{"key": key, **step} for key, step in self._taken.items()])
        if request.path == FORGET_PATH:
            self._sessions.clear()
            return text_reply(200, "forgotten")
        if request.method != "POST" or request.path not in (LOGIN_PATH, CALL_PATH):
            return text_reply(404, "no such service")
        try:
            said = json.loads(request.body)
        except ValueError:
            return text_reply(400, "no JSON")
        if not isinstance(said, dict):
            return text_reply(400, "no JSON object")
        if request.path == LOGIN_PATH:
            return self._log_in(said)
        return self._take(said, request.headers.get("x-request-id", ""))

    def wrong_answer(self) -> HttpReply:
        return json_reply({"error_code": "00", "result": "?" * 5000})

    def refusal(self) -> HttpReply:
        return json_reply({"error_code": "03", "result": "Hồ sơ không thuộc đơn vị"})

    def _log_in(self, said: Mapping[str, object]) -> HttpReply:
        given = f"{said.get('username')}:{said.get('password')}".encode()
        if not hmac.compare_digest(given, f"{self._account}:{self._password}".encode()):
            return json_reply({"error_code": "01", "result": "Sai tài khoản"}, status=401)
        if len(self._sessions) >= SESSIONS_MAX:
            self._sessions.clear()
        session = secrets.token_urlsafe(24)
        self._sessions.add(session)
        return json_reply({"error_code": "00", "session": session})

    def _take(self, said: Mapping[str, object], key: str) -> HttpReply:
        if said.get("session") not in self._sessions:
            return json_reply({"error_code": "401", "result": "Phiên làm việc đã hết"})
        if key in self._taken:
            return self._said(key)
        data = said.get("data")
        step = data[0] if isinstance(data, list) and len(data) == 1 else None
        if (
            said.get("service") != SERVICE
            or not isinstance(step, dict)
            or not step.keys() <= _FIELDS
        ):
            return json_reply({"error_code": "02", "result": "Dữ liệu không đúng cấu trúc"})
        if not key or len(self._taken) >= TAKEN_MAX:
            return json_reply({"error_code": "09", "result": "Cổng không nhận thêm"})
        self._taken[key] = {name: str(value) for name, value in step.items()}
        return self._said(key)

    def _said(self, key: str) -> HttpReply:
        number = list(self._taken).index(key) + 1 if len(self._taken) < 1000 else key[:12]
        return json_reply({"error_code": "00", "result": f"Đã cập nhật, số {number}"})
