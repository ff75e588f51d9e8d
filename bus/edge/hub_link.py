"""Carry signed messages and questions about services from an access point to its hub over HTTP."""

from __future__ import annotations

from bus.core.errors import (
    HubAnswerUnreadable,
    HubAway,
    HubSilent,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.edge.access_point_settings import HubAddress
from bus.kit.agency_http import AgencyHttp, AgencyReply, AgencyRequest
from bus.kit.clock import Deadline
from bus.protocols.soap_xroad.read_answer import ANSWER_BYTES_MAX

_POST_HEADERS = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
_DESCRIPTION_SECONDS_MAX = 10.0


class HubLink:
    """The way to one hub. Safe to use from several threads."""

    def __init__(self, hub: HubAddress) -> None:
        """Raises FileNotFoundError if the hub's authority file names no file."""
        self._hub = hub
        self._http = AgencyHttp(authority_file=hub.authority_file, reply_bytes_max=ANSWER_BYTES_MAX)

    def send(self, signed: bytes) -> bytes:
        """Send a signed message and give what comes back, unverified.

        Raises HubAway, HubSilent, HubAnswerUnreadable.
        """
        post = AgencyRequest("POST", self._hub.url, headers=_POST_HEADERS, body=signed)
        reply = self._exchange(post, self._hub.answer_seconds_max)
        if not reply.body.lstrip().startswith(b"<"):
            raise HubAnswerUnreadable(f"HTTP status {reply.status}, no SOAP message")
        return reply.body

    def get(self, target: str, accept: str = "") -> AgencyReply:
        """What the hub says to a GET of path and query. Raises HubAway, HubSilent."""
        headers = {"Accept": accept} if accept else {}
        request = AgencyRequest("GET", f"{self._hub.url}{target}", headers=headers)
        return self._exchange(request, _DESCRIPTION_SECONDS_MAX)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def _exchange(self, request: AgencyRequest, seconds_max: float) -> AgencyReply:
        try:
            return self._http.send(request, Deadline.after(seconds_max))
        except RecipientTimeout as error:
            raise HubSilent(error.detail) from error
        except RecipientUnavailable as error:
            raise HubAway(error.detail) from error
