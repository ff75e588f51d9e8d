"""Carry plain requests of an agency's own systems to the hub under the agency's signature.

The order is the promise. The signed bytes are on disk before they leave, so that a repeated
request is the same message to the hub; the hub's receipt is on disk before the answer is handed
over; an answer that is not proved is kept and never handed over.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bus.access_point.answer_signers import AnswerSigners
from bus.access_point.door import Asked
from bus.access_point.hub_link import HubLink
from bus.access_point.store import ExchangeName, ExchangeStore
from bus.client.hub_client import AnswerRejected
from bus.core import errors
from bus.core.attachments import message_digest
from bus.core.envelope import SoapVersion
from bus.core.faults import Fault, fault_of
from bus.core.identifiers import MESSAGE_ID_CHARACTERS_MAX, SubsystemId
from bus.core.limits import Limits
from bus.core.registry import FaultStyle
from bus.doors.descriptions import ServiceDescription
from bus.http.body_room import BodyRoom
from bus.http.client import AgencyReply
from bus.http.spool import Spool
from bus.protocols.reply import HTTP_OK, Reply, reply_with_attachments
from bus.protocols.soap_xroad.names import CONTENT_TYPES, likely_version
from bus.protocols.soap_xroad.parse_beside import parse_with_attachments
from bus.protocols.soap_xroad.plain import (
    PlainRequest,
    fault_to_client,
    plain_answer,
    plain_fault,
    read_plain,
    sign_plain,
)
from bus.protocols.soap_xroad.read_answer import read_answer
from bus.protocols.soap_xroad.relocate import relocate_wsdl
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAcceptance,
    VerifiedAnswer,
    VerifiedFault,
    verify_reply,
)
from bus.protocols.soap_xroad.write import SigningTime
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import Resources
from bus.runtime.telemetry import places_of
from signing.errors import SignatureError
from signing.pki.keys import SignerInTime

Verified = VerifiedAnswer | VerifiedFault | VerifiedAcceptance
"""What came back, proved to be the hub's, or the agency's."""
VALID_FOR = timedelta(minutes=5)
"""How long a signed request holds, and how long a repeated one is the same message."""
_OWN_ID_MAX = MESSAGE_ID_CHARACTERS_MAX - len(".") - len(str(uuid.UUID(int=0)))
_OLD_WSDL = "/wsdl"
"""Where clients of older X-Road servers ask for a WSDL."""
_ABOUT_SERVICES = frozenset({"/services", "/listClients"})
_TEXT = "text/plain; charset=utf-8"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class System:
    """A system that may ask, ready to be signed for."""

    id: SubsystemId
    signer: SignerInTime = field(repr=False)
    certificate_digests: frozenset[bytes]
    """SHA-256 of each certificate that it may show."""


@dataclass(frozen=True, slots=True)
class AccessPointDependencies:
    """Everything that an access point needs; put together by `open_access_point`."""

    systems: Mapping[SubsystemId, System]
    is_tls: bool
    link: HubLink
    known: KnownHub
    signers: AnswerSigners | None
    """Who knows which certificates are revoked; None: nobody is asked."""
    store: ExchangeStore
    limits: Limits
    spool: Spool
    style: FaultStyle
    renews_message_ids: bool
    public_url: str
    """What stands in descriptions of services as the address to post to."""
    clock: Callable[[], datetime] = read_clock
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())


class AccessPoint:
    """An access point that is open. Safe to use from several threads."""

    def __init__(self, dependencies: AccessPointDependencies, resources: Resources) -> None:
        """Use `open_access_point`."""
        self._resources = resources
        self.limits = dependencies.limits
        self.spool = dependencies.spool
        self.body_room = BodyRoom(dependencies.limits)
        self.is_tls = dependencies.is_tls
        self._dependencies = dependencies
        self._verifying = threading.Lock()
        """A TrustStore is used by one thread at a time."""

    def answer(self, asked: Asked) -> Reply:
        """The plain reply to a plain request. For any bytes: a reply."""
        version, message_id = likely_version(asked.raw), ""
        try:
            limits = self._dependencies.limits
            request = read_plain(asked.raw, asked.charset, limits, asked.attachments)
            version, message_id = request.envelope.soap_version, request.envelope.message_id
            system = self._system_of(request, asked)
            return self._exchange(request, system, asked.soap_action)
        except errors.BusError as error:
            return self._refused(error, asked, version, message_id)
        except Exception as error:  # a mistake of ours: the sender gets an id, we get the place
            _log.error("access-point.broken", error=type(error).__name__, places=places_of(error))
            internal = errors.HubInternal(type(error).__name__)
            return self._refused(internal, asked, version, message_id)

    def refuse_unread(
        self, error: errors.BusError, *, soap_version: SoapVersion | None = None
    ) -> Reply:
        """The reply to a request that was not read, in the version that its head names."""
        return self._refused(error, Asked(b""), soap_version or SoapVersion.SOAP_1_1)

    def describe(self, target: str, accept: str) -> ServiceDescription | None:
        """What the hub says to a GET of path and query; None: it is not about services.

        Descriptions name this access point as the address to post to.
        Raises HubConnectionFailed, HubTimeout, HubAnswerUnreadable.
        """
        path, _, query = target.partition("?")
        is_wsdl = path == _OLD_WSDL or query.lower().startswith("wsdl")
        # The path is put behind the hub's address: it must not lead anywhere else.
        if not path.startswith("/") or not (is_wsdl or path in _ABOUT_SERVICES):
            return None
        reply = self._dependencies.link.get(target, accept)
        if reply.status != HTTP_OK or not is_wsdl:
            return ServiceDescription(reply.status, reply.body, reply.content_type or _TEXT)
        try:
            wsdl = relocate_wsdl(reply.body, self._dependencies.public_url)
        except (errors.NotWellFormed, errors.ForbiddenXml, errors.TooLarge) as error:
            raise errors.HubAnswerUnreadable(error.detail) from error
        return ServiceDescription(HTTP_OK, wsdl, CONTENT_TYPES[SoapVersion.SOAP_1_1])

    async def close(self) -> None:
        """Close every connection and the store; whatever fails is told, the rest is closed."""
        await self._resources.close()

    def _system_of(self, request: PlainRequest, asked: Asked) -> System:
        client = request.envelope.client
        system = self._dependencies.systems.get(client)
        if system is None:
            raise errors.ClientNotServed(public_detail=str(client))
        # TLS took the certificate, which is one of those that any system here may show; the
        # pin says which system. X-Road: Server.ClientProxy.SslAuthenticationFailed.
        if (
            self._dependencies.is_tls
            and asked.peer_certificate_sha256 not in system.certificate_digests
        ):
            raise errors.ClientNotAuthenticated(public_detail=str(client))
        return system

    # --- the exchange --------------------------------------------------------------------------

    def _exchange(self, request: PlainRequest, system: System, soap_action: str) -> Reply:
        name = ExchangeName(str(system.id), request.envelope.message_id, request.digest)
        signed = self._signed(request, system, name)
        # If we stop from here on, a repeated request finds these very bytes, and the hub gives
        # the first answer to them.
        envelope = request.envelope
        answer = self._dependencies.link.send(
            signed, envelope.soap_version, envelope.attachments, soap_action
        )
        verified = self._verified(request, name, signed, answer)
        self._keep_receipt(name, verified)
        if isinstance(verified, VerifiedFault):
            return self._hub_fault(verified.fault, request)
        _log.info("access-point.answered", client=name.client, message_id=name.message_id)
        content_type = CONTENT_TYPES[envelope.soap_version]
        body = plain_answer(request, verified.payload)
        beside = verified.attachments if isinstance(verified, VerifiedAnswer) else ()
        return reply_with_attachments(Reply(HTTP_OK, body, content_type=content_type), beside)

    def _signed(self, request: PlainRequest, system: System, name: ExchangeName) -> bytes:
        dependencies = self._dependencies
        now = dependencies.clock()
        kept = dependencies.store.find_request(name, now)
        if kept is not None:
            _log.info("access-point.repeated", client=name.client, message_id=name.message_id)
            return kept
        try:
            signed = sign_plain(
                request,
                system.signer.at(now),
                SigningTime(now, VALID_FOR),
                message_id=self._fresh_id(request),
            )
        except SignatureError as error:
            raise errors.SigningFailed(str(error)) from error
        return dependencies.store.keep_request(name, signed, now=now, expires=now + VALID_FOR)

    def _fresh_id(self, request: PlainRequest) -> str:
        """An id that was not used before, for systems that use theirs again; empty: theirs."""
        if not self._dependencies.renews_message_ids:
            return ""
        return f"{request.envelope.message_id[:_OWN_ID_MAX]}.{self._dependencies.new_id()}"

    def _verified(
        self, request: PlainRequest, name: ExchangeName, signed: bytes, answer: AgencyReply
    ) -> Verified:
        dependencies = self._dependencies
        now = dependencies.clock()
        try:
            sent = parse_with_attachments(request.envelope.attachments)(
                signed, Limits(envelope_bytes_max=len(signed))
            )
            with self._verifying:
                verified = verify_reply(
                    answer.body, sent, dependencies.known, now, answer.attachments
                )
            if dependencies.signers is not None:
                dependencies.signers.require_good(verified.certificate, now)
        except (AnswerRejected, errors.CertificateRevoked) as error:
            dependencies.store.keep_rejected(name, signed, answer.body, str(error), now)
            raise errors.HubAnswerUnproved(str(error)) from error
        except errors.RevocationUnknown as error:
            raise errors.AnswerSignerUnknown(error.detail) from error
        return verified

    def _keep_receipt(self, name: ExchangeName, verified: Verified) -> None:
        receipt = verified.receipt
        note = read_answer(verified.raw).receipt_note
        if receipt is not None and note is not None:
            self._dependencies.store.keep_receipt(name, receipt, note)

    # --- faults --------------------------------------------------------------------------------

    def _hub_fault(self, fault: Fault, request: PlainRequest) -> Reply:
        """The hub's fault, as this client reads it."""
        _log.info("access-point.refused-by-hub", code=fault.code, fault_id=fault.fault_id)
        client_fault = fault_to_client(fault, request, self._dependencies.style.spelling)
        return self._fault_reply(client_fault, request.envelope.soap_version)

    def _refused(
        self, error: errors.BusError, asked: Asked, version: SoapVersion, message_id: str = ""
    ) -> Reply:
        """Our own fault: the request went no further than here, or its answer did."""
        fault = fault_of(
            error,
            fault_id=self._dependencies.new_id(),
            message_id=message_id,
            request_digest=message_digest(asked.raw, asked.attachments),
            show_precise_faults=True,
        )
        _log.info(
            "access-point.refused",
            code=error.code,
            fault_id=fault.fault_id,
            detail=error.diagnostic,
        )
        return self._fault_reply(fault, version)

    def _fault_reply(self, fault: Fault, version: SoapVersion) -> Reply:
        style = self._dependencies.style
        return Reply(
            style.http_status,
            plain_fault(fault, style.spelling, version),
            is_retryable=fault.is_retryable,
            content_type=CONTENT_TYPES[version],
            outcome=fault.code,
        )
