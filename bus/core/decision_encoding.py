"""Write decisions as bytes and read them again: between processes, in a row, in a queue.

One form, of version 2 (1 knew no recipients, and lay nowhere); numbers are big-endian:

    version (1 byte) | kind (1) | numbers of the kind | a length (4) for each field | the fields
    | CRC-32 of all before (4), where they are stored or go over a line

Numbers of an accepted message: when it was signed and when it was decided, in microseconds since
1970 (UTC), and seconds as a double. Of a refused one: when it was signed, what is known of it (bit
0: facts, bit 1: a proved sender). Texts are UTF-8; identifiers stand with all their parts. The sum
finds what a disk or a line did to the bytes; who must not change them is kept away by other means.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import BytesIO
from zlib import crc32

from bus.core.decision import Accepted, Decision, MessageFacts, Refused, SenderProof
from bus.core.errors import BusError, ServiceFault, all_errors
from bus.core.identifiers import (
    IDENTIFIERS_KEPT_MAX,
    MemberId,
    ServiceId,
    SubsystemId,
    service_id,
    subsystem_id,
)
from bus.core.routing import Recipient
from signing.wss.sign import CanonicalParts

VERSION = 2
_KIND_ACCEPTED = 1
_KIND_REFUSED = 2
_START = struct.Struct(">BB")
_ACCEPTED = struct.Struct(">BBqqd22I")
_REFUSED = struct.Struct(">BBqB14I")
_SUM = struct.Struct(">I")
_PLACE_BYTES = 2
_HAS_FACTS = 1
_HAS_PROOF = 2
_ANY = "surrogatepass"
"""Whatever a text of Python holds comes back: one that quotes somebody else's is no exception."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ERROR_OF_CODE = {error.code: error for error in all_errors()}


class DecisionUnreadable(ValueError):
    """Bytes are no decision in a form that this program knows."""


def encode_decision(decision: Decision, *, is_summed: bool = True) -> bytes:
    """A decision as bytes; without a sum for whoever reads them in memory, at once.

    Raises TypeError: it refuses by a fault of an agency's service, which is no decision about a
    message.
    """
    if isinstance(decision, Refused):
        head, fields = _encode_refused(decision)
    else:
        head, fields = _encode_accepted(decision, decision.payload)
    return _joined(head, fields, is_summed=is_summed)


def encode_without_payload(decision: Accepted) -> bytes:
    """A decision as bytes, as if its payload were empty: for whoever has that elsewhere."""
    return _joined(*_encode_accepted(decision, b""), is_summed=True)


def _joined(head: bytes, fields: tuple[bytes, ...], *, is_summed: bool) -> bytes:
    content = b"".join((head, *fields))
    return content + _SUM.pack(crc32(content)) if is_summed else content


def _encode_accepted(decision: Accepted, payload: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    facts, proof, blocks = decision.facts, decision.proof, decision.answer_blocks
    fields = (
        _client_bytes(facts.client),
        _service_bytes(facts.service),
        facts.message_id.encode("utf-8", _ANY),
        facts.user_id.encode("utf-8", _ANY),
        facts.issue.encode("utf-8", _ANY),
        facts.version.encode("utf-8", _ANY),
        facts.digest,
        proof.certificate_digest,
        proof.certificate,
        proof.signature_digest,
        _service_bytes(decision.service),
        decision.purpose.encode("utf-8", _ANY),
        decision.legal_basis.encode("utf-8", _ANY),
        decision.adapter.encode("utf-8", _ANY),
        decision.idempotency_key.encode("utf-8", _ANY),
        payload,
        blocks.canonical,
        blocks.references,
        decision.rules_digest,
        _places_bytes(decision.signed_attachments),
        decision.action.encode("utf-8", _ANY),
        b"\n".join(map(_recipient_bytes, decision.recipients)),
    )
    head = _ACCEPTED.pack(
        VERSION,
        _KIND_ACCEPTED,
        (proof.created - _EPOCH) // _MICROSECOND,
        (decision.decided_at - _EPOCH) // _MICROSECOND,
        decision.timeout_seconds,
        *map(len, fields),
    )
    return head, fields


def decode_decision(content: bytes, *, is_summed: bool = True) -> Decision:
    """The decision that bytes say. Raises DecisionUnreadable, for any bytes but such."""
    end = len(content) - _SUM.size if is_summed else len(content)
    if end < _START.size:
        raise DecisionUnreadable(f"{len(content)} bytes are no decision")
    version, kind = _START.unpack_from(content)
    if version != VERSION:
        raise DecisionUnreadable(f"a decision of version {version}; this program knows {VERSION}")
    if is_summed and _SUM.unpack_from(content, end)[0] != crc32(memoryview(content)[:end]):
        raise DecisionUnreadable("the sum is another: the bytes were changed")
    if kind not in (_KIND_ACCEPTED, _KIND_REFUSED):
        raise DecisionUnreadable(f"a decision of kind {kind}")
    read = _decode_accepted if kind == _KIND_ACCEPTED else _decode_refused
    try:
        return read(content, end)
    except DecisionUnreadable:
        raise
    except (struct.error, ValueError, OverflowError) as error:
        raise DecisionUnreadable(f"a decision out of its form: {type(error).__name__}") from error


def _decode_accepted(content: bytes, end: int) -> Accepted:
    _, _, created, decided_at, timeout_seconds, *lengths = _ACCEPTED.unpack_from(content)
    (
        client,
        asked,
        message_id,
        user_id,
        issue,
        version,
        digest,
        certificate_digest,
        certificate,
        signature_digest,
        service,
        purpose,
        legal_basis,
        adapter,
        idempotency_key,
        payload,
        canonical,
        references,
        rules_digest,
        places,
        action,
        recipients,
    ) = _fields(content, _ACCEPTED.size, lengths, end)
    return Accepted(
        MessageFacts(
            _client(client),
            _service(asked),
            message_id.decode("utf-8", _ANY),
            user_id.decode("utf-8", _ANY),
            issue.decode("utf-8", _ANY),
            version.decode("utf-8", _ANY),
            digest,
        ),
        SenderProof(certificate_digest, certificate, signature_digest, _moment(created)),
        _service(service),
        purpose.decode("utf-8", _ANY),
        legal_basis.decode("utf-8", _ANY),
        adapter.decode("utf-8", _ANY),
        timeout_seconds,
        idempotency_key.decode("utf-8", _ANY),
        payload,
        CanonicalParts(canonical, references),
        rules_digest,
        _moment(decided_at),
        _places(places),
        action.decode("utf-8", _ANY),
        tuple(map(_recipient, recipients.split(b"\n"))) if recipients else (),
    )


def _encode_refused(refused: Refused) -> tuple[bytes, tuple[bytes, ...]]:
    if isinstance(refused.error, ServiceFault):
        raise TypeError("a service's own fault is no decision about a message")
    facts, proof = refused.facts, refused.proof
    known = (_HAS_FACTS if facts else 0) | (_HAS_PROOF if proof else 0)
    fields = (
        *(text.encode("utf-8", _ANY) for text in refused.reason),
        *(_facts_fields(facts) if facts else (b"",) * 7),
        *(
            (proof.certificate_digest, proof.certificate, proof.signature_digest)
            if proof
            else (b"",) * 3
        ),
    )
    created = (proof.created - _EPOCH) // _MICROSECOND if proof else 0
    head = _REFUSED.pack(VERSION, _KIND_REFUSED, created, known, *map(len, fields))
    return head, fields


def _facts_fields(facts: MessageFacts) -> Iterator[bytes]:
    yield _client_bytes(facts.client)
    yield _service_bytes(facts.service)
    for text in (facts.message_id, facts.user_id, facts.issue, facts.version):
        yield text.encode("utf-8", _ANY)
    yield facts.digest


def _decode_refused(content: bytes, end: int) -> Refused:
    _, _, created, known, *lengths = _REFUSED.unpack_from(content)
    fields = _fields(content, _REFUSED.size, lengths, end)
    code, detail, public_detail, subject = (one.decode("utf-8", _ANY) for one in fields[:4])
    client, service, message_id, user_id, issue, version, digest = fields[4:11]
    facts = proof = None
    if known & _HAS_FACTS:
        facts = MessageFacts(
            _client(client),
            _service(service),
            message_id.decode("utf-8", _ANY),
            user_id.decode("utf-8", _ANY),
            issue.decode("utf-8", _ANY),
            version.decode("utf-8", _ANY),
            digest,
        )
    if known & _HAS_PROOF:
        certificate_digest, certificate, signature_digest = fields[11:]
        proof = SenderProof(certificate_digest, certificate, signature_digest, _moment(created))
    return Refused(_error(code, detail, public_detail, subject), facts, proof)


def _error(code: str, detail: str, public_detail: str, subject: str) -> BusError:
    of_code = _ERROR_OF_CODE.get(code)
    if of_code is None or issubclass(of_code, ServiceFault):
        raise DecisionUnreadable("it refuses by a code that this program does not refuse by")
    return of_code(detail, public_detail=public_detail, subject=subject)


def _fields(content: bytes, start: int, lengths: list[int], end: int) -> list[bytes]:
    if start + sum(lengths) != end:
        raise DecisionUnreadable("its fields do not fill it")
    reading = BytesIO(content)
    reading.seek(start)
    return list(map(reading.read, lengths))


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


def _places_bytes(places: tuple[int, ...]) -> bytes:
    return b"".join(place.to_bytes(_PLACE_BYTES, "big") for place in places) if places else b""


def _places(content: bytes) -> tuple[int, ...]:
    if not content:
        return ()
    starts = range(0, len(content), _PLACE_BYTES)
    return tuple(int.from_bytes(content[start : start + _PLACE_BYTES], "big") for start in starts)


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def _client_bytes(client: SubsystemId) -> bytes:
    return "/".join((*_member_parts(client.member), client.subsystem_code)).encode()


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def _client(content: bytes) -> SubsystemId:
    instance, member_class, member_code, subsystem_code = content.decode().split("/")
    return subsystem_id(instance, member_class, member_code, subsystem_code)


def _recipient_bytes(recipient: Recipient) -> bytes:
    return b"%s/%s" % (_client_bytes(recipient.subsystem), recipient.adapter.encode())


def _recipient(content: bytes) -> Recipient:
    subsystem, _, adapter = content.rpartition(b"/")
    return Recipient(_client(subsystem), adapter.decode())


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def _service_bytes(service: ServiceId) -> bytes:
    provider = service.provider
    parts = (*_member_parts(provider.member), provider.subsystem_code)
    return "/".join((*parts, service.service_code, service.service_version)).encode()


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def _service(content: bytes) -> ServiceId:
    instance, member_class, member_code, *rest = content.decode().split("/")
    subsystem_code, service_code, service_version = rest
    return service_id(
        instance, member_class, member_code, subsystem_code, service_code, service_version
    )


def _member_parts(member: MemberId) -> tuple[str, str, str]:
    return member.instance, member.member_class, member.member_code
