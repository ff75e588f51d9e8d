"""Be the document systems of all provinces: one process, a register for each member code.

They forget: a document that comes again is registered again, under another number, as a system does
that knows no keys. Only whoever asks first finds out that it is there.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from lxml import etree

from bus.kit.contract import parse_xml
from bus.kit.invented_nation import InventedNation
from bus.kit.simulator import (
    CLOSED_PATH,
    REQUEST_BYTES_MAX,
    HttpReply,
    HttpRequest,
    SimulatedAgency,
    json_reply,
    text_reply,
)

EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
REGISTER_PATH = "/_register"
"""What all of them have, in order: for tests and for whoever plays with a sandbox."""
ENTRIES_MAX = 100_000
_CALL = re.compile(r"/([A-Z0-9.]{1,35})/v1/([A-Za-z]+)\Z")


class DocumentOffices(SimulatedAgency):
    """Every document system on one port."""

    def __init__(self, *, system_id: str, secret_key: str) -> None:
        super().__init__()
        self._account = f"{system_id}:{secret_key}"
        self._closed: set[str] = set()
        self._register: list[dict[str, str]] = []

    @classmethod
    def open(cls, nation: InventedNation, folder: Path, settings: Mapping[str, str]) -> Self:
        return cls(system_id=settings["system_id"], secret_key=settings["secret_key"])

    def is_service_call(self, request: HttpRequest) -> bool:
        return _CALL.match(request.path) is not None

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path == REGISTER_PATH:
            return json_reply(self._register)
        if request.path == CLOSED_PATH:
            return self._set_closed(request)
        call = _CALL.match(request.path)
        if call is None:
            return text_reply(404, "no such service")
        office, name = call.groups()
        if office in self._closed:
            return text_reply(503, "closed for a while")
        given = f"{request.headers.get('x-systemid')}:{request.headers.get('x-secretkey')}"
        if not hmac.compare_digest(given.encode("latin-1"), self._account.encode()):
            return _error("15", "Sai SystemId hoặc SecretKey")
        if (request.method, name) == ("POST", "sendEdoc"):
            return self._take(office, request)
        if (request.method, name) == ("GET", "syncReceivedEdocList"):
            return self._list(office, request.query.get("docId", ""))
        if (request.method, name) == ("GET", "getAgenciesList"):
            return _done([{"code": office}])
        return text_reply(404, "no such call")

    def wrong_answer(self) -> HttpReply:
        return _done({"DocId": "?" * 5000})

    def refusal(self) -> HttpReply:
        return _error("23", "Đơn vị nhận đã bị khóa")

    def _take(self, office: str, request: HttpRequest) -> HttpReply:
        try:
            root = parse_xml(request.body, bytes_max=REQUEST_BYTES_MAX)
        except Exception:  # whatever is wrong with it, the sender is told the same
            return _error("10", "Tệp không hợp lệ")
        header = root.find(f".//{{{EDXML}}}MessageHeader")
        if root.tag != f"{{{EDXML}}}edXML" or header is None:
            return _error("22", "edXML không đúng quy định")
        if len(self._register) >= ENTRIES_MAX:
            return _error("20", "Lỗi hệ thống")
        entry = {
            "office": office,
            "DocId": f"{office}-{len(self._register) + 1}",
            "senderDocId": _text(header, "DocumentId"),
            "to": _text(header, "To", "OrganId"),
            "subject": _text(header, "Subject"),
        }
        self._register.append(entry)
        return _done(entry)

    def _list(self, office: str, document: str) -> HttpReply:
        return _done(
            [
                one
                for one in self._register
                if (one["office"], one["senderDocId"]) == (office, document)
            ]
        )

    def _set_closed(self, request: HttpRequest) -> HttpReply:
        try:
            wanted = json.loads(request.body)
            office, is_closed = str(wanted["office"]), wanted["closed"] is True
        except (ValueError, KeyError, TypeError):
            return text_reply(400, "expected office and closed")
        (self._closed.add if is_closed else self._closed.discard)(office)
        return json_reply({"closed": sorted(self._closed)})


def _text(header: etree._Element, *path: str) -> str:
    return header.findtext("/".join(f"{{{EDXML}}}{part}" for part in path), "")


def _done(data: object) -> HttpReply:
    return json_reply({"status": "OK", "ErrorCode": "0", "ErrorDesc": "", "data": data})


def _error(code: str, words: str) -> HttpReply:
    return json_reply({"status": "FAIL", "ErrorCode": code, "ErrorDesc": words, "data": None})
