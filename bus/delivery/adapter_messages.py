"""Say a message that may pass in the words of the adapter contract: a query, or a submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from bus.core.decision import Accepted
from bus.kit.contract import Query, Submission
from bus.protocols.orders import Order
from signing.attachments import Attachment


def query_of(
    accepted: Accepted, beside: Sequence[Attachment], timeout_seconds: float | None = None
) -> Query:
    """What is asked; `beside` came beside the message. None: its service's time is left whole."""
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
        timeout_seconds=accepted.timeout_seconds if timeout_seconds is None else timeout_seconds,
        attachments=accepted.attachments_signed(beside),
        header_blocks=accepted.answer_blocks.canonical,
        soap_action=accepted.action,
    )


def submission_of(order: Order, *, is_redelivered: bool) -> Submission:
    """What is delivered by an order."""
    query = query_of(order.accepted, order.attachments)
    said = {one.name: getattr(query, one.name) for one in fields(Query)}
    said["idempotency_key"] = order.idempotency_key
    return Submission(
        **said,
        recipient=order.accepted.recipients[0].subsystem,
        attempt=order.attempt,
        may_be_repeated=is_redelivered or order.attempt > 1,
    )
