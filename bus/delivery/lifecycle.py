"""Decide what becomes of one delivery: attempts, doubt, retries, expiry, dead letters.

A delivery is what one recipient is owed of one accepted message. It is open until its closing
entry; every rule of its life is a pure function here, and each caller writes what comes out in
one transaction. The rules, and why:

 (1) An attempt is on disk, with its deadline, before it leaves: `begin_attempt`.
 (2) Whoever begins an attempt after its deadline does nothing, so that a new one may follow.
 (3) Doubt: an attempt has ended of which nobody knows whether the recipient acted. With doubt, a
     delivery is never closed as refused or expired; it becomes a dead letter that says so.
 (4) Only the first closing counts: what comes later is noted, and changes nothing.
 (5) That the recipient acted closes a delivery whenever it is told, dead letters too.
 (6) What lies in a mailbox is held by one fetcher at a time. Whoever held it and said nothing may
     have acted: that is an attempt in doubt, and it lies there again.

tests/delivery/test_lifecycle_model.py walks every interleaving of these with a broker that loses,
doubles and redelivers, and with hubs and workers that die.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bus.core.deliveries import AttemptEnd, AttemptOutcome, Delivery, DeliveryState
from bus.core.registry import RetryPolicy

_JITTER_STEPS = 2**32


class Closing(StrEnum):
    """How a delivery was closed for good."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    EXPIRED = "expired"


class DeadReason(StrEnum):
    """Why a delivery was given up."""

    GIVEN_UP = "given-up"
    """Attempts or time are used up, and the recipient did not act."""
    IN_DOUBT = "in-doubt"
    """It would be closed otherwise, but an attempt is in doubt."""


def retry_delay(policy: RetryPolicy, attempt: int, key: bytes) -> timedelta:
    """From the end of attempt number `attempt` (1, 2 …) to the next.

    The same for the same key, which is random enough: no randomness is asked for.
    """
    # The exponent is bounded before the power is: a float would run over.
    steps = min(attempt - 1, 64)
    seconds = min(policy.first_seconds * policy.factor**steps, policy.cap_seconds)
    digest = hashlib.sha256(key + attempt.to_bytes(8, "big")).digest()
    luck = int.from_bytes(digest[:4], "big") / _JITTER_STEPS * 2 - 1
    return timedelta(seconds=seconds * (1 + luck * policy.jitter))


# --- what is to be written --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Closed:
    """A closing entry, and the row goes."""

    closing: Closing
    doubt: bool = False
    """The recipient acted, and may have acted before that, too."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """An attempt entry, and the row waits for its next attempt."""

    delivery: Delivery


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A closing entry with the reason, and the row is kept as a dead letter."""

    delivery: Delivery
    reason: DeadReason


@dataclass(frozen=True, slots=True)
class Noted:
    """An entry that says what came too late; the row, if there is one, may keep a doubt."""

    delivery: Delivery | None


Change = Closed | Reopened | GivenUp | Noted


def begin_attempt(delivery: Delivery, deadline: datetime) -> Delivery:
    """Rule (1): the row to be on disk before the attempt leaves."""
    assert delivery.state is DeliveryState.WAITING
    return Delivery(  # every delivery comes this way: `replace` takes three times as long
        DeliveryState.OUT,
        delivery.attempt + 1,
        delivery.attempt_max,
        delivery.doubt,
        delivery.due,
        delivery.expires,
        delivery.key,
        deadline,
    )


def offer(delivery: Delivery) -> Delivery:
    """The row of what its recipient fetches, once nothing keeps it waiting."""
    assert delivery.state is DeliveryState.WAITING
    return replace(delivery, state=DeliveryState.OFFERED)


def hand_out(delivery: Delivery, deadline: datetime) -> Delivery:
    """Rule (6): the row to be on disk before somebody who fetched it gets it."""
    assert delivery.state is DeliveryState.OFFERED
    return replace(
        delivery, state=DeliveryState.HELD, attempt=delivery.attempt + 1, deadline=deadline
    )


def send_again(delivery: Delivery) -> Delivery:
    """The row before the same attempt is sent once more, since its confirmation was lost."""
    assert delivery.state is DeliveryState.OUT
    return replace(delivery, doubt=True)


def not_sent(delivery: Delivery, due: datetime) -> Delivery:
    """The row of an attempt that nobody took, and so nobody made: it is not counted."""
    assert delivery.state is DeliveryState.OUT
    return replace(
        delivery,
        state=DeliveryState.WAITING,
        attempt_max=delivery.attempt_max + 1,
        due=due,
        deadline=None,
    )


def settle(
    delivery: Delivery | None,
    outcome: AttemptOutcome,
    policy: RetryPolicy,
    now: datetime,
    *,
    is_last: bool = False,
    is_repeatable: bool = True,
) -> Change:
    """What an attempt's outcome does to a delivery; None: it is closed.

    `is_last`: a further attempt would end the same way. Unless `is_repeatable`, a recipient that
    may have acted is not asked again.
    """
    # (4)
    if delivery is None:
        return Noted(None)
    # (5)
    if outcome.end is AttemptEnd.DELIVERED:
        return Closed(Closing.DELIVERED, doubt=delivery.doubt or outcome.is_redelivered)
    if delivery.state is DeliveryState.DEAD:
        return Noted(delivery)
    # (3) Whoever had the attempt before may have acted.
    doubt = delivery.doubt or outcome.is_redelivered
    if outcome.end is AttemptEnd.REFUSED:
        if doubt:
            return give_up(replace(delivery, doubt=True))
        return Closed(Closing.REFUSED)
    doubt = doubt or outcome.end is AttemptEnd.UNKNOWN
    if delivery.state is not DeliveryState.OUT or delivery.attempt != outcome.attempt:
        return Noted(replace(delivery, doubt=doubt))
    gives_up = is_last or (doubt and not is_repeatable)
    patience = outcome.retry_after
    return _after_failure(replace(delivery, doubt=doubt), policy, now, patience, gives_up=gives_up)


def reap(
    delivery: Delivery, policy: RetryPolicy, now: datetime, *, is_repeatable: bool = True
) -> Change | None:
    """What becomes of an attempt, or of what was fetched, of which nothing was heard by its
    deadline; None: not yet."""
    is_out = delivery.state in (DeliveryState.OUT, DeliveryState.HELD)
    if not is_out or not _has_passed(delivery.deadline, now):
        return None
    doubted = replace(delivery, doubt=True)
    return _after_failure(doubted, policy, now, None, gives_up=not is_repeatable)


def expire(delivery: Delivery, now: datetime) -> Change | None:
    """What becomes of a delivery whose time is up; None: it is not, or an attempt is out."""
    if delivery.state is DeliveryState.DEAD or delivery.expires > now:
        return None
    is_out = delivery.state in (DeliveryState.OUT, DeliveryState.HELD)
    if is_out and not _has_passed(delivery.deadline, now):
        return None
    if delivery.doubt or is_out:
        return give_up(replace(delivery, doubt=True))
    return Closed(Closing.EXPIRED)


def give_up(delivery: Delivery) -> GivenUp:
    """The dead letter of what nobody tries any more: it says whether an attempt is in doubt."""
    reason = DeadReason.IN_DOUBT if delivery.doubt else DeadReason.GIVEN_UP
    return GivenUp(replace(delivery, state=DeliveryState.DEAD, deadline=None), reason)


def resend(delivery: Delivery, policy: RetryPolicy, now: datetime) -> Delivery:
    """The row of a dead letter that an operator sends again: under the same key, doubt kept."""
    assert delivery.state is DeliveryState.DEAD
    return replace(
        delivery,
        state=DeliveryState.WAITING,
        attempt_max=delivery.attempt + policy.attempts_max,
        due=now,
        expires=now + timedelta(seconds=policy.expires_after_seconds),
    )


def resubmit(delivery: Delivery, key: bytes, policy: RetryPolicy, now: datetime) -> Delivery:
    """The row of a dead letter that an operator sends as another message, under another key: what
    the recipient did of the first does not keep it from acting on this. Doubt is kept."""
    return replace(resend(delivery, policy, now), key=key)


def _after_failure(
    delivery: Delivery,
    policy: RetryPolicy,
    now: datetime,
    retry_after: timedelta | None,
    *,
    gives_up: bool,
) -> Change:
    is_fetched = delivery.state is DeliveryState.HELD
    delay = retry_delay(policy, delivery.attempt, delivery.key)
    # Whoever fetches comes when it wants to.
    due = now if is_fetched else now + max(delay, retry_after or delay)
    if gives_up or delivery.attempt >= delivery.attempt_max or due >= delivery.expires:
        return give_up(delivery)
    state = DeliveryState.OFFERED if is_fetched else DeliveryState.WAITING
    return Reopened(replace(delivery, state=state, due=due, deadline=None))


def _has_passed(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
