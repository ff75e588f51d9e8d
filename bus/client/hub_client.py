"""Ask a hub as an agency's system does: sign, send, and believe only what is proved."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from lxml import etree

from bus.client.hub_reply import is_soap
from bus.core.envelope import Envelope, SoapVersion
from bus.core.errors import (
    AnswerInvalid,
    BusError,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.core.faults import Fault
from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.log.receipts import receipt_key_of
from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest
from bus.http.spool import Spool
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.mime.write import XOP_NAMESPACE, RelatedMessage, write_related
from bus.protocols.soap_xroad.names import CONTENT_TYPES, likely_version
from bus.protocols.soap_xroad.parse_beside import parse_with_attachments
from bus.protocols.soap_xroad.read_answer import ANSWER_BYTES_MAX, AnswerRejected
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAcceptance,
    VerifiedAnswer,
    VerifiedFault,
    verify_reply,
)
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.runtime.clock import now as read_clock
from bus.runtime.deadline import Deadline
from bus.settings.trust import HubFiles, TrustSettings
from bus.trust.certificate_checks import read_trust_store
from bus.trust.key_store import read_verifying_key
from signing.attachments import Attachment
from signing.pki.keys import Signer

__all__ = [
    "AnswerRejected",
    "FaultReceived",
    "HubClient",
    "HubUnreachable",
    "KnownHub",
    "RequestUnfit",
    "VerifiedAcceptance",
    "VerifiedAnswer",
    "read_known_hub",
    "read_verifying_key",
]

ANSWER_SECONDS_MAX = 60.0
"""How long an answer may take; the hub itself answers sooner, if only with a fault."""
_SOAP_ACTION = {"SOAPAction": '""'}


class RequestUnfit(Exception):
    """What was to be sent is no request that a hub takes; the text says why. Nothing was sent."""


class HubUnreachable(Exception):
    """No answer of the hub came back: no connection, not in time, or too busy to read."""


class FaultReceived(Exception):
    """The hub refused, or the agency did; the fault is proved to be the hub's."""

    def __init__(self, verified: VerifiedFault) -> None:
        super().__init__(f"{verified.fault.code}: {verified.fault.reason}")
        self.fault: Fault = verified.fault
        self.verified = verified


@dataclass(frozen=True, slots=True)
class Labels:
    """What a request may carry beside its payload; an empty message id gets a new one."""

    message_id: str = ""
    user_id: str = ""
    issue: str = ""
    soap_version: SoapVersion = SoapVersion.SOAP_1_1
    recipients: tuple[SubsystemId, ...] = ()
    """Who is to get it, of a service that lets its senders say so."""


_NO_LABELS = Labels()
Attachments = tuple[Attachment, ...]


class HubClient:
    """One subsystem's way to the hub. Safe to use from several threads."""

    def __init__(
        self,
        hub_url: str,
        signer: Signer,
        client: SubsystemId,
        known: KnownHub,
        *,
        clock: Callable[[], datetime] = read_clock,
        answer_seconds_max: float = ANSWER_SECONDS_MAX,
        spool: Spool | None = None,
    ) -> None:
        """`known` is what the hub is held to: anchors, its member, the key of its receipts.

        `spool` holds attachments of answers; without it, files of the system's own folder do.
        """
        self._hub_url = hub_url
        self._signer = signer
        self._client = client
        self.known = known
        self._clock = clock
        self._answer_seconds_max = answer_seconds_max
        spool = spool or Spool(None, bytes_max=Limits().spool_bytes_max)
        self._http = AgencyHttp(reply_bytes_max=ANSWER_BYTES_MAX, spool=spool)

    def call(
        self,
        service: ServiceId,
        payload: etree._Element,
        labels: Labels = _NO_LABELS,
        attachments: Attachments = (),
    ) -> VerifiedAnswer:
        """Sign, send, verify.

        Raises RequestUnfit (nothing was sent), FaultReceived (a proved fault), AnswerRejected
        (what came back is not proved), HubUnreachable.
        """
        request = self.sign(service, payload, labels, attachments)
        return self.exchange(request, attachments)

    def sign(
        self,
        service: ServiceId,
        payload: etree._Element,
        labels: Labels = _NO_LABELS,
        attachments: Attachments = (),
    ) -> bytes:
        """A signed request; the same bytes may be sent again and count once.

        With attachments it is the SOAP part of a request, to be sent with the very same ones.
        Raises RequestUnfit: the labels, or the payload, cannot stand in a request.
        """
        header = RequestHeader(
            client=self._client,
            service=service,
            message_id=labels.message_id or str(uuid.uuid4()),
            user_id=labels.user_id,
            issue=labels.issue,
            recipients=labels.recipients,
        )
        parts = [signed_part(one) for one in attachments]
        time = SigningTime(self._clock())
        try:
            request = write_request(
                header,
                payload,
                self._signer,
                time,
                soap_version=labels.soap_version,
                attachments=parts,
            )
        except UnicodeEncodeError as error:
            raise RequestUnfit("a label holds what is no letter: half of a character") from error
        except BusError as error:
            raise RequestUnfit(f"{error.public_reason} {error.public_detail}".strip()) from error
        _read_own(request, attachments)
        return request

    def exchange(self, request: bytes, attachments: Attachments = ()) -> VerifiedAnswer:
        """Send a signed request and verify what comes back; raises as `call`."""
        return _answered(self.exchange_any(request, attachments))

    def submit(
        self,
        service: ServiceId,
        payload: etree._Element,
        labels: Labels = _NO_LABELS,
        attachments: Attachments = (),
    ) -> VerifiedAcceptance:
        """Sign and send what is delivered afterwards; the hub's acceptance, proved.

        Raises as `call`; AnswerRejected, too, if it was answered at once.
        """
        told = self.exchange_any(self.sign(service, payload, labels, attachments), attachments)
        if not isinstance(told, VerifiedAcceptance):
            raise AnswerRejected("it was answered at once: nothing will be delivered")
        return told

    def exchange_any(
        self, request: bytes, attachments: Attachments = ()
    ) -> VerifiedAnswer | VerifiedAcceptance:
        """Send a signed request of either mode and verify what comes back; raises as `call`."""
        envelope = _read_own(request, attachments)
        reply = self._send(request, attachments)
        return self._verify(envelope, reply.body, reply.attachments)

    def send(self, request: bytes) -> bytes:
        """Send bytes and give what comes back, unverified. Raises HubUnreachable."""
        return self._send(request, ()).body

    def verify(self, request: bytes, answer: bytes) -> VerifiedAnswer:
        """Verify an answer to a request. Raises RequestUnfit, FaultReceived, AnswerRejected."""
        return _answered(self._verify(_read_own(request, ()), answer, ()))

    def _send(self, request: bytes, attachments: Attachments) -> AgencyReply:
        reply = self._post(request, attachments)
        if not is_soap(reply):
            raise HubUnreachable(f"{self._hub_url}: HTTP status {reply.status}, no SOAP message")
        return reply

    def _verify(
        self, envelope: Envelope, answer: bytes, answer_attachments: Attachments
    ) -> VerifiedAnswer | VerifiedAcceptance:
        verified = verify_reply(answer, envelope, self.known, self._clock(), answer_attachments)
        if isinstance(verified, VerifiedFault):
            raise FaultReceived(verified)
        return verified

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def _post(self, request: bytes, attachments: Attachments) -> AgencyReply:
        message: bytes | RelatedMessage = request
        content_type = CONTENT_TYPES[likely_version(request)]
        if attachments:
            message = write_related(
                request,
                attachments,
                soap_type=content_type.partition(";")[0],
                is_xop=XOP_NAMESPACE in request,
            )
            content_type = message.content_type
        headers = {**_SOAP_ACTION, "Content-Type": content_type}
        post = AgencyRequest("POST", self._hub_url, headers=headers, body=message)
        try:
            return self._http.send(post, Deadline.after(self._answer_seconds_max))
        except (RecipientUnavailable, RecipientTimeout, AnswerInvalid) as error:
            raise HubUnreachable(f"{self._hub_url}: {error.detail or error}") from error


def _answered(told: VerifiedAnswer | VerifiedAcceptance) -> VerifiedAnswer:
    if isinstance(told, VerifiedAcceptance):
        raise AnswerRejected("it is no answer: the message was accepted, to be delivered later")
    return told


def _read_own(request: bytes, attachments: Attachments) -> Envelope:
    """A request as a hub reads it; how large it may be is the hub's to say. Raises RequestUnfit."""
    limits = Limits()
    limits = replace(limits, envelope_bytes_max=max(limits.envelope_bytes_max, len(request)))
    try:
        return parse_with_attachments(attachments)(request, limits)
    except BusError as error:
        raise RequestUnfit(f"{error.public_reason} {error.public_detail}".strip()) from error


def read_known_hub(files: HubFiles, member: MemberId) -> KnownHub:
    """Read what a client must know of a hub. Raises ConfigurationError."""
    return KnownHub(
        trust=read_trust_store(TrustSettings(files.anchors, files.intermediates)),
        member=member,
        receipt_key=receipt_key_of(read_verifying_key(files.checkpoint_key)),
        receipt_keys_elsewhere=tuple(
            receipt_key_of(read_verifying_key(one)) for one in files.other_checkpoint_keys
        ),
    )
