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

tests/delivery/test_lifecycle_model.py walks every interleaving of these with a broker that loses,
doubles and redelivers, and with hubs and workers that die.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

_JITTER_STEPS = 2**32


class DeliveryState(StrEnum):
    """Where an open delivery stands. A closed one has no row."""

    WAITING = "waiting"
    """For its time, or for room."""
    BLOCKED = "blocked"
    """Behind an open delivery of its conversation."""
    OUT = "out"
    """An attempt is on its way."""
    OFFERED = "offered"
    """In a mailbox, for the recipient to fetch."""
    HELD = "held"
    """Fetched, and hidden from others until it is acknowledged or its time is up."""
    DEAD = "dead"
    """Given up; an operator decides."""


class AttemptEnd(StrEnum):
    """How an attempt ended, as far as anybody knows."""

    DELIVERED = "delivered"
    """The recipient acted, and said so."""
    REFUSED = "refused"
    """The recipient refused for good, and did not act."""
    FAILED = "failed"
    """It failed for a while, and the recipient did not act."""
    UNKNOWN = "unknown"
    """Nobody knows whether the recipient acted: timeout, broken off, worker lost."""


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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed attempt is followed by another; `routes.yaml` says it for each service."""

    first_seconds: float = 5.0
    """Before the second attempt."""
    factor: float = 2.0
    """So many times longer before each further one."""
    cap_seconds: float = 900.0
    """At most so long between two attempts."""
    jitter: float = 0.2
    """Share by which a delay is longer or shorter, so that what failed together is spread."""
    attempts_max: int = 300
    expires_after_seconds: float = 3 * 24 * 3600.0
    """From acceptance to expiry."""

    def delay(self, attempt: int, key: bytes) -> timedelta:
        """From the end of attempt number `attempt` (1, 2 …) to the next.

        The same for the same key, which is random enough: no randomness is asked for.
        """
        # The exponent is bounded before the power is: a float would run over.
        steps = min(attempt - 1, 64)
        seconds = min(self.first_seconds * self.factor**steps, self.cap_seconds)
        digest = hashlib.sha256(key + attempt.to_bytes(8, "big")).digest()
        luck = int.from_bytes(digest[:4], "big") / _JITTER_STEPS * 2 - 1
        return timedelta(seconds=seconds * (1 + luck * self.jitter))


@dataclass(frozen=True, slots=True)
class Delivery:
    """An open delivery, or a dead letter."""

    state: DeliveryState
    attempt: int
    """Number of the last attempt; 0: none was made. A number is never used again."""
    attempt_max: int
    """Number of the last attempt that may be made."""
    doubt: bool
    """See rule (3)."""
    due: datetime
    """Not before this."""
    expires: datetime
    key: bytes
    """Names this delivery to its recipient: the same in every attempt."""
    deadline: datetime | None = None
    """Of an attempt that is out: nothing of it is acted upon after this."""


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What was told about an attempt."""

    attempt: int
    end: AttemptEnd
    is_redelivered: bool = False
    """Somebody else had this attempt before, and what came of that is not known."""
    retry_after: timedelta | None = None
    """The recipient asked for this much patience."""


# --- what is to be written --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Closed:
    """A closing entry, and the row goes."""

    closing: Closing


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
    return replace(
        delivery, state=DeliveryState.OUT, attempt=delivery.attempt + 1, deadline=deadline
    )


def send_again(delivery: Delivery) -> Delivery:
    """The row before the same attempt is sent once more, since its confirmation was lost."""
    assert delivery.state is DeliveryState.OUT
    return replace(delivery, doubt=True)


def settle(
    delivery: Delivery | None, outcome: AttemptOutcome, policy: RetryPolicy, now: datetime
) -> Change:
    """What an attempt's outcome does to a delivery; None: it is closed."""
    # (4)
    if delivery is None:
        return Noted(None)
    # (5)
    if outcome.end is AttemptEnd.DELIVERED:
        return Closed(Closing.DELIVERED)
    if delivery.state is DeliveryState.DEAD:
        return Noted(delivery)
    # (3) Whoever had the attempt before may have acted.
    doubt = delivery.doubt or outcome.is_redelivered
    if outcome.end is AttemptEnd.REFUSED:
        if doubt:
            return _give_up(replace(delivery, doubt=True), DeadReason.IN_DOUBT)
        return Closed(Closing.REFUSED)
    doubt = doubt or outcome.end is AttemptEnd.UNKNOWN
    if delivery.state is not DeliveryState.OUT or delivery.attempt != outcome.attempt:
        return Noted(replace(delivery, doubt=doubt))
    return _after_failure(replace(delivery, doubt=doubt), policy, now, outcome.retry_after)


def reap(delivery: Delivery, policy: RetryPolicy, now: datetime) -> Change | None:
    """What becomes of an attempt of which nothing was heard by its deadline; None: not yet."""
    if delivery.state is not DeliveryState.OUT or not _has_passed(delivery.deadline, now):
        return None
    return _after_failure(replace(delivery, doubt=True), policy, now, None)


def expire(delivery: Delivery, now: datetime) -> Change | None:
    """What becomes of a delivery whose time is up; None: it is not, or an attempt is out."""
    if delivery.state is DeliveryState.DEAD or delivery.expires > now:
        return None
    is_out = delivery.state in (DeliveryState.OUT, DeliveryState.HELD)
    if is_out and not _has_passed(delivery.deadline, now):
        return None
    if delivery.doubt or is_out:
        return _give_up(replace(delivery, doubt=True), DeadReason.IN_DOUBT)
    return Closed(Closing.EXPIRED)


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


def _after_failure(
    delivery: Delivery, policy: RetryPolicy, now: datetime, retry_after: timedelta | None
) -> Change:
    delay = policy.delay(delivery.attempt, delivery.key)
    due = now + max(delay, retry_after or delay)
    if delivery.attempt >= delivery.attempt_max or due >= delivery.expires:
        reason = DeadReason.IN_DOUBT if delivery.doubt else DeadReason.GIVEN_UP
        return _give_up(delivery, reason)
    return Reopened(replace(delivery, state=DeliveryState.WAITING, due=due, deadline=None))


def _give_up(delivery: Delivery, reason: DeadReason) -> GivenUp:
    return GivenUp(replace(delivery, state=DeliveryState.DEAD, deadline=None), reason)


def _has_passed(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline <= now
