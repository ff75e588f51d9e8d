"""Say decisions in plain values that cross a process border, and read them again."""

from __future__ import annotations

import marshal
from datetime import UTC, datetime, timedelta
from typing import Any

from lxml import etree

from bus.core.authorisation import AuthorisedMessage, find_grant, find_service
from bus.core.decision import Accepted, Decision
from bus.core.envelope import Envelope, SoapVersion
from bus.core.errors import BusError, all_errors
from bus.core.identifiers import MemberId, ServiceId, service_id, subsystem_id
from bus.core.pipeline import Refusal, Rules
from bus.core.routing import route
from bus.core.validation import ValidMessage, schema_of
from bus.core.verification import VerifiedEnvelope
from signing.wss.sign import CanonicalParts

_LEFT_BEHIND = etree.Element("left-behind")
"""Stands where a node was, in a message that was judged in another process."""
_ERROR_OF_CODE = {error.code: error for error in all_errors()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Task = tuple[int, int, bytes]
"""Number of the request, policy time in microseconds since 1970 (UTC), the bytes."""


def task_of(number: int, raw: bytes, now: datetime) -> Task:
    """What the other process needs to judge a request."""
    return number, (now - _EPOCH) // _MICROSECOND, raw


def tasks_to_bytes(tasks: list[Task]) -> bytes:
    """Many tasks as one frame's content."""
    return marshal.dumps(tasks)


def tasks_from_bytes(content: bytes) -> list[tuple[int, datetime, bytes]]:
    """Tasks as the hub, our own parent process, wrote them."""
    tasks: list[Task] = marshal.loads(content)  # noqa: S302 - written by our own parent process
    return [
        (number, _EPOCH + microseconds * _MICROSECOND, raw) for number, microseconds, raw in tasks
    ]


def decisions_to_bytes(rules_digest: bytes, decisions: list[tuple[int, Decision]]) -> bytes:
    """Many decisions as one frame's content, with the digest of the rules they were made by."""
    plain = [(number, _plain(decision)) for number, decision in decisions]
    return marshal.dumps((rules_digest, plain))


def decisions_from_bytes(content: bytes | memoryview) -> tuple[bytes, list[tuple[int, Any]]]:
    """The digest of the rules, and decisions by number, each still to be read by `decision_of`.

    Raises ValueError, TypeError, EOFError: it does not have its form.
    """
    rules_digest, decisions = marshal.loads(content)  # noqa: S302 - our own child process
    return rules_digest, [(number, plain) for number, plain in decisions]


def decision_of(plain: Any, raw: bytes, rules: Rules) -> Decision:
    """The decision that the other process made about `raw`, by the same rules."""
    is_accepted, envelope_values, verified_values, rest = plain
    envelope = _envelope(envelope_values, raw) if envelope_values else None
    verified = _verified(verified_values, envelope) if verified_values and envelope else None
    if not is_accepted:
        code, detail, public_detail, subject = rest
        error: BusError = _ERROR_OF_CODE[code](detail, public_detail=public_detail, subject=subject)
        return Refusal(error, envelope, verified)
    assert verified is not None
    assert envelope is not None
    service_parts, payload, canonical, references = rest
    service = find_service(service_id(*service_parts), rules.registry)
    grant = find_grant(envelope.client, service, rules.registry)
    assert grant is not None  # the other process found it by the same rules
    authorised = AuthorisedMessage(verified, service, grant)
    message = route(ValidMessage(authorised, schema_of(service, rules.schemas)))
    return Accepted(message, payload, CanonicalParts(canonical, references))


def _plain(decision: Decision) -> Any:
    if isinstance(decision, Refusal):
        error = decision.error
        reason = (error.code, error.detail, error.public_detail, error.subject)
        envelope = _plain_envelope(decision.envelope)
        return False, envelope, _plain_verified(decision.verified), reason
    authorised = decision.message.valid.authorised
    rest = (
        _service_parts(authorised.service.id),
        decision.payload,
        decision.answer_blocks.canonical,
        decision.answer_blocks.references,
    )
    verified = authorised.verified
    return True, _plain_envelope(verified.envelope), _plain_verified(verified), rest


def _plain_envelope(envelope: Envelope | None) -> Any:
    if envelope is None:
        return None
    client = envelope.client
    return (
        (*_member_parts(client.member), client.subsystem_code),
        _service_parts(envelope.service),
        envelope.message_id,
        envelope.user_id,
        envelope.issue,
        envelope.protocol_version,
        envelope.digest,
        envelope.soap_version.value,
    )


def _envelope(values: Any, raw: bytes) -> Envelope:
    client, service, message_id, user_id, issue, protocol_version, digest, version = values
    return Envelope(
        raw=raw,
        digest=digest,
        client=subsystem_id(*client),
        service=service_id(*service),
        message_id=message_id,
        user_id=user_id,
        issue=issue,
        protocol_version=protocol_version,
        routing_blocks=(),
        security=None,
        body=_LEFT_BEHIND,
        payload=_LEFT_BEHIND,
        soap_version=SoapVersion(version),
    )


def _plain_verified(verified: VerifiedEnvelope | None) -> Any:
    if verified is None:
        return None
    return (
        verified.certificate_digest,
        verified.certificate,
        verified.signature_digest,
        (verified.created - _EPOCH) // _MICROSECOND,
    )


def _verified(values: Any, envelope: Envelope) -> VerifiedEnvelope:
    certificate_digest, certificate, signature_digest, created = values
    return VerifiedEnvelope(
        envelope=envelope,
        sender=envelope.client.member,
        certificate_digest=certificate_digest,
        certificate=certificate,
        signature_digest=signature_digest,
        created=_EPOCH + created * _MICROSECOND,
        canonical_parts={},
    )


def _member_parts(member: MemberId) -> tuple[str, str, str]:
    return member.instance, member.member_class, member.member_code


def _service_parts(service: ServiceId) -> tuple[str, ...]:
    provider = service.provider
    return (
        *_member_parts(provider.member),
        provider.subsystem_code,
        service.service_code,
        service.service_version,
    )
