"""Carry signed messages and questions about services from an access point to its hub over HTTP."""

from __future__ import annotations

from bus.access_point.settings import HubAddress
from bus.client.hub_reply import is_soap
from bus.core.envelope import SoapVersion
from bus.core.errors import (
    AnswerInvalid,
    HubAnswerUnreadable,
    HubConnectionFailed,
    HubTimeout,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest
from bus.http.spool import Spool
from bus.protocols.mime.write import XOP_NAMESPACE, RelatedMessage, write_related
from bus.protocols.soap_xroad.names import CONTENT_TYPES
from bus.protocols.soap_xroad.read_answer import ANSWER_BYTES_MAX
from bus.runtime.deadline import Deadline
from signing.attachments import Attachment

_DESCRIPTION_SECONDS_MAX = 10.0


class HubLink:
    """The way to one hub. Safe to use from several threads."""

    def __init__(self, hub: HubAddress, spool: Spool) -> None:
        """`spool` holds attachments of answers.

        Raises FileNotFoundError if the hub's authority file names no file.
        """
        self._hub = hub
        self._http = AgencyHttp(
            authority_file=hub.authority_file, reply_bytes_max=ANSWER_BYTES_MAX, spool=spool
        )

    def send(
        self,
        signed: bytes,
        version: SoapVersion,
        attachments: tuple[Attachment, ...],
        soap_action: str = "",
    ) -> AgencyReply:
        """Send a signed message and what stands beside it; give what comes back, unverified.

        `soap_action` is its sender's own. Raises HubConnectionFailed, HubTimeout,
        HubAnswerUnreadable.
        """
        message: bytes | RelatedMessage = signed
        content_type = CONTENT_TYPES[version]
        if attachments:
            soap_type = content_type.partition(";")[0]
            is_xop = XOP_NAMESPACE in signed
            message = write_related(signed, attachments, soap_type=soap_type, is_xop=is_xop)
            content_type = message.content_type
        headers = {"Content-Type": content_type, "SOAPAction": f'"{soap_action}"'}
        post = AgencyRequest("POST", self._hub.url, headers=headers, body=message)
        reply = self._exchange(post, self._hub.answer_seconds_max)
        if not is_soap(reply):
            raise HubAnswerUnreadable(public_detail=f"HTTP status {reply.status}")
        return reply

    def get(self, target: str, accept: str = "") -> AgencyReply:
        """What the hub says to a GET of path and query.

        Raises HubConnectionFailed, HubTimeout, HubAnswerUnreadable.
        """
        headers = {"Accept": accept} if accept else {}
        request = AgencyRequest("GET", f"{self._hub.url}{target}", headers=headers)
        return self._exchange(request, _DESCRIPTION_SECONDS_MAX)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def _exchange(self, request: AgencyRequest, seconds_max: float) -> AgencyReply:
        deadline = Deadline.after(seconds_max)
        try:
            try:
                return self._http.send(request, deadline)
            except RecipientUnavailable:
                # A connection that was kept may have been closed just now. The same bytes count
                # once at the hub: sent again they do no harm, whatever became of the first.
                return self._http.send(request, deadline)
        except AnswerInvalid as error:
            # Parts that cannot be taken apart, of the hub's own reply: no agency is to blame.
            raise HubAnswerUnreadable(error.code) from error
        except RecipientTimeout as error:
            raise HubTimeout(error.detail) from error
        except RecipientUnavailable as error:
            raise HubConnectionFailed(error.detail) from error
