"""Plan what each recipient of an accepted message is owed, before it is recorded. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from bus.core.decision import Accepted
from bus.core.deliveries import Delivery, DeliveryState, NewDelivery
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.registry import SubmissionRule
from bus.core.routing import Recipient, delivery_digest


def planned_deliveries(
    accepted: Accepted, rule: SubmissionRule, pseudonyms: Pseudonyms, now: datetime
) -> tuple[NewDelivery, ...]:
    """What the recipients of a message are owed, by position: no attempt has been made."""
    return tuple(_planned(accepted, one, rule, pseudonyms, now) for one in accepted.recipients)


def _planned(
    accepted: Accepted,
    recipient: Recipient,
    rule: SubmissionRule,
    pseudonyms: Pseudonyms,
    now: datetime,
) -> NewDelivery:
    facts = accepted.facts
    is_ordered = rule.is_ordered and facts.issue.strip()
    return NewDelivery(
        recipient=str(recipient.subsystem),
        service=str(accepted.service),
        delivery=Delivery(
            state=DeliveryState.WAITING if recipient.adapter else DeliveryState.OFFERED,
            attempt=0,
            attempt_max=rule.retry.attempts_max,
            doubt=False,
            due=now,
            expires=now + timedelta(seconds=rule.retry.expires_after_seconds),
            key=delivery_digest(facts.client, facts.message_id, recipient.subsystem),
        ),
        is_urgent=rule.is_urgent,
        conversation=pseudonyms.conversation_key(
            str(facts.client), str(recipient.subsystem), facts.issue.strip()
        )
        if is_ordered
        else None,
    )
