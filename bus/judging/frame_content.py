"""What stands in the frames between the hub and a process that judges: tasks there, decisions back.

Nothing that the process sends can do more to the hub than say a decision: it is read by lengths
alone, and what it accepts must be what the hub's own rules have a grant for.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from bus.core.authorisation import find_grant, find_service
from bus.core.decision import Accepted, Decision
from bus.core.decision_encoding import DecisionUnreadable, decode_decision, encode_decision
from bus.core.errors import BusError
from bus.core.pipeline import Rules
from bus.core.registry import RecipientRule, Service
from bus.core.routing import Recipient, recipients_of

_TASK = struct.Struct(">QqI")
_DECISION = struct.Struct(">QI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
Task = tuple[int, int, bytes]
"""Number of the request, policy time in microseconds since 1970 (UTC), the bytes."""


class FrameBroken(ValueError):
    """A frame's content does not have its form."""


def task_of(number: int, raw: bytes, now: datetime) -> Task:
    """What the other process needs to judge a request."""
    return number, (now - _EPOCH) // _MICROSECOND, raw


def tasks_to_bytes(tasks: list[Task]) -> bytes:
    """Many tasks as one frame's content: number, time, length and bytes of each."""
    parts = []
    for number, microseconds, raw in tasks:
        parts.append(_TASK.pack(number, microseconds, len(raw)))
        parts.append(raw)
    return b"".join(parts)


def tasks_from_bytes(content: bytes) -> list[tuple[int, datetime, bytes]]:
    """Tasks as the hub, our own parent process, wrote them. Raises FrameBroken."""
    tasks, place = [], 0
    while place < len(content):
        number, microseconds, length = _read(_TASK, content, place)
        place += _TASK.size
        raw = _piece(content, place, length)
        tasks.append((number, _EPOCH + microseconds * _MICROSECOND, raw))
        place += length
    return tasks


def decisions_to_bytes(rules_digest: bytes, decisions: list[tuple[int, Decision]]) -> bytes:
    """Many decisions as one frame's content, with the digest of the rules they were made by."""
    parts = [bytes((len(rules_digest),)), rules_digest]
    for number, decision in decisions:
        encoded = encode_decision(decision, is_summed=False)
        parts.append(_DECISION.pack(number, len(encoded)))
        parts.append(encoded)
    return b"".join(parts)


def decisions_from_bytes(content: bytes | memoryview) -> tuple[bytes, list[tuple[int, bytes]]]:
    """The digest of the rules, and decisions by number, each still to be read by `decision_of`.

    Raises FrameBroken.
    """
    if not content:
        raise FrameBroken("a frame without content")
    rules_digest = _piece(content, 1, content[0])
    decisions, place = [], 1 + len(rules_digest)
    while place < len(content):
        number, length = _read(_DECISION, content, place)
        place += _DECISION.size
        decisions.append((number, _piece(content, place, length)))
        place += length
    return rules_digest, decisions


def decision_of(encoded: bytes, rules: Rules) -> Decision:
    """The decision that the other process made by the same rules. Raises DecisionUnreadable."""
    decision = decode_decision(encoded, is_summed=False)
    if isinstance(decision, Accepted):
        _require_granted(decision, rules)
    return decision


def _require_granted(accepted: Accepted, rules: Rules) -> None:
    """The hub's own rules say the same of client and service."""
    client = accepted.facts.client
    try:
        service = find_service(accepted.service, rules.registry)
    except BusError as error:
        raise DecisionUnreadable("it accepts for a service that is not registered") from error
    grant = find_grant(client, service, rules.registry)
    if grant is None or (service.adapter, grant.purpose) != (accepted.adapter, accepted.purpose):
        raise DecisionUnreadable("it accepts what the rules have no grant for")
    if accepted.recipients != _recipients(accepted, service, rules):
        raise DecisionUnreadable("it goes to others than the rules let it")


def _recipients(accepted: Accepted, service: Service, rules: Rules) -> tuple[Recipient, ...]:
    """Who may get the message, where its sender named whom it goes to."""
    is_named = service.submission is not None and (
        service.submission.recipients is RecipientRule.NAMED
    )
    named = tuple(one.subsystem for one in accepted.recipients) if is_named else ()
    try:
        return recipients_of(service, named, rules.registry)
    except BusError as error:
        raise DecisionUnreadable("it goes to nobody that it may go to") from error


def _read(form: struct.Struct, content: bytes | memoryview, place: int) -> tuple[int, ...]:
    if len(content) - place < form.size:
        raise FrameBroken("a frame ends too soon")
    return form.unpack_from(content, place)


def _piece(content: bytes | memoryview, place: int, length: int) -> bytes:
    piece = bytes(content[place : place + length])
    if len(piece) < length:
        raise FrameBroken("a frame ends too soon")
    return piece
