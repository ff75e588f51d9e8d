"""Bring documents to the document systems of provinces, as edXML over the provincial axis' REST.

One adapter for all of them: each system answers below one address under the code of its member.
They take no idempotency key, so that a copy would be registered twice: before another attempt they
are asked whether they have the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from adapters.document_offices.answers import registered
from adapters.document_offices.edxml import document_id, write_edxml
from bus.kit.agency_http import AgencyHttp, AgencyRequest, agency_address, check_status
from bus.kit.clock import Deadline
from bus.kit.contract import (
    AccountRefused,
    Adapter,
    AdapterSettings,
    Delivered,
    Disposition,
    PayloadRejected,
    RecipientUnavailable,
    Rejected,
    Retry,
    Submission,
    SubsystemId,
)
from bus.kit.rest_agency import read_json_object

SERVICE = "PhatHanhVanBan"
_DONE = "0"
_ACCOUNT = "15"
_PERMANENT = frozenset({"10", "18", "19", "21", "22", "23"})
"""Invalid file, unknown receiver, unknown sender, no good file, no good edXML, locked."""
_WORDS_CHARACTERS_MAX = 200


class DocumentOfficesAdapter(Adapter):
    """The provinces' document systems as agencies of the hub."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self._url = agency_address(settings["url"]).rstrip("/")
        self._http = AgencyHttp()

    def deliver(self, submission: Submission) -> Disposition:
        _require_carried(submission)
        content = write_edxml(submission)
        headers = {"Content-Type": "application/octet-stream", "X-Message-Type": "edoc"}
        request = AgencyRequest(
            "POST", self._at(submission.recipient, "sendEdoc"), headers=headers, body=content
        )
        said = self._said(request, Deadline.after(submission.timeout_seconds))
        code, words = str(said.get("ErrorCode", "")), _words(said)
        if code == _DONE:
            return Delivered(registered(said))
        if code == _ACCOUNT:
            raise AccountRefused("the document system does not take the hub's account")
        return Rejected(code, words) if code in _PERMANENT else Retry(reason=f"error {code[:8]}")

    def find(self, submission: Submission) -> Delivered | None:
        _require_carried(submission)
        request = AgencyRequest(
            "GET",
            self._at(submission.recipient, "syncReceivedEdocList"),
            query={"messageType": "edoc", "docId": document_id(submission.element())},
        )
        said = self._said(request, Deadline.after(submission.timeout_seconds))
        if str(said.get("ErrorCode", "")) != _DONE:
            raise RecipientUnavailable("the document system does not tell what it has")
        found = said.get("data")
        if not isinstance(found, list):
            raise RecipientUnavailable("the document system tells no list")
        # The last, where it has it twice.
        return Delivered(registered({"data": found[-1]})) if found else None

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        request = AgencyRequest("GET", self._at(recipient, "getAgenciesList"))
        self._said(request, Deadline.after(timeout_seconds))

    def close(self) -> None:
        self._http.close()

    def _at(self, recipient: SubsystemId, call: str) -> str:
        return f"{self._url}/{quote(recipient.member.member_code, safe='')}/v1/{call}"

    def _said(self, request: AgencyRequest, deadline: Deadline) -> Mapping[str, object]:
        account = {
            "X-SystemId": _as_header(self.settings["system_id"]),
            "X-SecretKey": _as_header(self.settings["secret_key"]),
            "Accept": "application/json",
        }
        headers = {**request.headers, **account}
        reply = self._http.send(
            AgencyRequest(request.method, request.url, headers, request.query, request.body),
            deadline,
        )
        check_status(reply.status)
        return read_json_object(reply)


def _require_carried(submission: Submission) -> None:
    if submission.service.service_code != SERVICE:
        raise PayloadRejected(f"{submission.service.service_code} is no service of this agency")


def _as_header(text: str) -> str:
    """Headers are bytes, which the client writes letter by letter: those of UTF-8."""
    return text.encode().decode("latin-1")


def _words(said: Mapping[str, object]) -> str:
    words = said.get("ErrorDesc")
    return " ".join(words.split())[:_WORDS_CHARACTERS_MAX] if isinstance(words, str) else ""
