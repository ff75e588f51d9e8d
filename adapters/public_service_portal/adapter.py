"""Tell the National Public Service Portal what became of one-stop dossiers, over its JSON service.

The portal gives a session to whoever logs in; each call carries it. It knows a message again by its
idempotency key, so that one that comes twice is one step of the dossier.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

from lxml import etree

from bus.kit.agency_http import AgencyHttp, AgencyReply, AgencyRequest, agency_address, check_status
from bus.kit.clock import Deadline
from bus.kit.contract import (
    AccountRefused,
    Adapter,
    AdapterSettings,
    Delivered,
    Disposition,
    PayloadRejected,
    RecipientTimeout,
    Rejected,
    Submission,
    SubsystemId,
)
from bus.kit.rest_agency import read_json_object

NAMESPACE = "urn:lienthong:dich-vu-cong:1.0"
SERVICE = "CapNhatTienDoHoSoMC"
SESSION_ENDED = "401"
"""GAP: no public source names the error code of a session that has ended."""
_DONE = frozenset({"0", "00"})
_CODE_CHARACTERS_MAX = 20
_TEXT_CHARACTERS_MAX = 200


class PublicServicePortalAdapter(Adapter):
    """The portal as an agency of the hub."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self._url = agency_address(settings["url"]).rstrip("/")
        self._http = AgencyHttp()
        self._session = ""  # guarded by _lock
        self._lock = threading.Lock()

    def deliver(self, submission: Submission) -> Disposition:
        if submission.service.service_code != SERVICE:
            raise PayloadRejected(f"{submission.service.service_code} is no service of this agency")
        deadline = Deadline.after(submission.timeout_seconds)
        element = submission.element()
        session = self._logged_in(deadline)
        said = self._told(element, submission, session, deadline)
        if _code(said) == SESSION_ENDED:
            # The portal may end a session before its time; once, a fresh one is tried.
            self._forget(session)
            session = self._logged_in(deadline)
            said = self._told(element, submission, session, deadline)
        if _code(said) == SESSION_ENDED:
            self._forget(session)
            raise AccountRefused("the portal ends every session at once")
        if _code(said) not in _DONE:
            return Rejected(_code(said), _line(said.get("result")))
        return Delivered(_answer(element, said))

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        reply = self._http.send(AgencyRequest("GET", self._url), Deadline.after(timeout_seconds))
        if reply.status >= 500:
            check_status(reply.status)

    def close(self) -> None:
        self._http.close()

    def _told(
        self,
        element: etree._Element,
        submission: Submission,
        session: str,
        deadline: Deadline,
    ) -> Mapping[str, object]:
        call = {
            "session": session,
            "madonvi": submission.client.member.member_code,
            "service": SERVICE,
            "isUpdating": "True",
            "data": [{_name(child): child.text or "" for child in element}],
        }
        headers = {"X-Request-ID": submission.idempotency_key}
        return self._post("/dongbo", call, headers, deadline)

    def _logged_in(self, deadline: Deadline) -> str:
        # The others wait for one login rather than make their own, each within its own time.
        if not self._lock.acquire(timeout=deadline.remaining_seconds()):
            raise RecipientTimeout("no session in time")
        try:
            if not self._session:
                account = {
                    "username": self.settings["account"],
                    "password": self.settings["password"],
                }
                given = self._post("/login", account, {}, deadline).get("session")
                if not isinstance(given, str) or not given:
                    raise AccountRefused("the portal gives no session")
                self._session = given
            return self._session
        finally:
            self._lock.release()

    def _forget(self, session: str) -> None:
        with self._lock:
            if self._session == session:
                self._session = ""

    def _post(
        self, path: str, content: object, headers: Mapping[str, str], deadline: Deadline
    ) -> Mapping[str, object]:
        request = AgencyRequest(
            "POST",
            self._url + path,
            headers={**headers, "Content-Type": "application/json", "Accept": "application/json"},
            body=json.dumps(content, ensure_ascii=False).encode(),
        )
        reply: AgencyReply = self._http.send(request, deadline)
        check_status(reply.status)
        return read_json_object(reply)


def _answer(element: etree._Element, said: Mapping[str, object]) -> etree._Element:
    root = etree.Element(f"{{{NAMESPACE}}}{SERVICE}Response", nsmap={"dv": NAMESPACE})
    dossier = element.findtext(f"{{{NAMESPACE}}}MaHoSo", "")
    etree.SubElement(root, f"{{{NAMESPACE}}}MaHoSo").text = dossier
    etree.SubElement(root, f"{{{NAMESPACE}}}error_code").text = _code(said)
    if result := _line(said.get("result")):
        etree.SubElement(root, f"{{{NAMESPACE}}}result").text = result
    return root


def _code(said: Mapping[str, object]) -> str:
    return "".join(str(said.get("error_code", "")).split())[:_CODE_CHARACTERS_MAX]


def _line(text: object) -> str:
    """An agency's own words, on one line."""
    return " ".join(text.split())[:_TEXT_CHARACTERS_MAX] if isinstance(text, str) else ""


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname
