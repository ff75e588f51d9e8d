"""Ask an agency for the answer to a message, hold it to its schema, have it signed in its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from bus.core.authorisation import find_service
from bus.core.decision import Accepted
from bus.core.errors import AdapterBroken
from bus.core.pipeline import Rules
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.validation import schema_of, validate_answer
from bus.exchange.messages import IncomingRequest, Outcome
from bus.exchange.signing import signed_aside, signed_here
from bus.kit.contract import Answer, Query
from bus.kit.made_attachments import is_whole
from bus.protocols.mime.signed_part import signed_part
from signing.pki.keys import SignerInTime
from signing.wss.sign import AttachmentPart

Made = TypeVar("Made")
_Finished = tuple[Answer, datetime, bytes | Callable[[], bytes]]
"""An answer that may pass, when, and its message: signed, or what has it signed by a device."""


class AgencyCall(Protocol):
    """The way to one agency's adapter."""

    def place(self) -> AbstractContextManager[None]:
        """Room for one query while it is in work. Raises AgencyBusy, here or when entered."""
        ...

    async def call(self, query: Query, finish: Callable[[Answer], Made]) -> Made:
        """What `finish` makes of the agency's answer, within the query's time.

        It is made where the answer was read, if that is beside the event loop. Raises a BusError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answering:
    """Agencies, and the keys that they answer by."""

    agencies: Mapping[str, AgencyCall]
    """By adapter id."""
    signers: Mapping[str, SignerInTime] = field(repr=False)
    """Of the answering agencies, by member id."""
    wire: WireProtocol
    rules: Rules
    clock: Callable[[], datetime]

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """Room for a message at its agency. Raises AgencyBusy, here or when entered."""
        return self.agencies[accepted.adapter].place()

    async def ask(self, accepted: Accepted, request: IncomingRequest) -> Outcome:
        """The signed answer to a message. Raises a BusError."""
        finish = partial(self._finish, accepted)
        query = _query(accepted, request)
        answer, time, made = await self.agencies[accepted.adapter].call(query, finish)
        body = made if isinstance(made, bytes) else await signed_aside(made)
        return Outcome(body, time, answer.attachments)

    def _finish(self, accepted: Accepted, answer: Answer) -> _Finished:
        """The answer as it is told, where it may pass: on the thread that read it.

        Raises AnswerInvalid, AdapterBroken, SigningUnavailable.
        """
        service = find_service(accepted.service, self.rules.registry)
        schema = schema_of(service, self.rules.schemas)
        content = validate_answer(answer.element, service, schema, answer.attachments)
        time = self.clock()
        signer = self.signers[str(accepted.service.provider.member)].at(time)
        parts = _signed_parts(answer) if answer.attachments else ()
        write = partial(self.wire.answer, accepted, content, signer, time, attachments=parts)
        # A device has threads and a time of its own.
        return answer, time, write if signer.waits else signed_here(write)


def _query(accepted: Accepted, request: IncomingRequest) -> Query:
    facts = accepted.facts
    return Query(
        service=accepted.service,
        client=facts.client,
        message_id=facts.message_id,
        idempotency_key=accepted.idempotency_key,
        user_id=facts.user_id,
        issue=facts.issue,
        purpose=accepted.purpose,
        payload=accepted.payload,
        timeout_seconds=accepted.timeout_seconds,
        attachments=accepted.attachments_signed(request.attachments),
        header_blocks=accepted.answer_blocks.canonical,
        soap_action=accepted.action,
    )


def _signed_parts(answer: Answer) -> tuple[AttachmentPart, ...]:
    """What is signed of an answer's attachments, which are read.

    Raises AdapterBroken: one is not what it says.
    """
    # What is signed, recorded and sent must be one and the same content.
    if not all(is_whole(one) for one in answer.attachments):
        raise AdapterBroken("the content of an attachment is not what it says")
    return tuple(signed_part(one, covers_comments=False) for one in answer.attachments)
