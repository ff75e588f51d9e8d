"""Say what a RabbitMQ broker has to hold: exchanges, queues, bindings, and who may do what.

    lt.work     --<agency>.normal.<origin>-->  lt.work.<agency>        quorum, bounded
                --<agency>.high.<origin>---->  lt.work.<agency>.high   quorum, bounded
    lt.query    --<agency>------------------>  lt.query.<agency>       classic, bounded, not kept
    lt.outcome  --<origin>------------------>  lt.outcome.<origin>     quorum
    lt.dead     --*.*.<origin>-------------->  lt.dead.<origin>        quorum: orders given up
    lt.reply    --<name of the queue>------->  exclusive queues of hubs: answers to queries

Every argument is said explicitly, so that no policy of the broker decides it. A delivery limit is
never -1: RabbitMQ 4 takes that as none, 3.10 drops a message at its first return.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

ORDERS_WAITING_MAX = 512
"""Orders that wait for the workers of one agency: twice a hub's window."""
TAKEN_AGAIN_MAX = 0
"""An order is given out once: whoever took it and went away leaves it to its hub. So what expired
was never taken, and its hub knows that nobody acted."""
NEVER_GIVEN_UP = 1_000_000
"""The delivery limit of what must not be dropped."""
QUERIES_WAITING_MAX = 1024
ORIGIN_BYTES_MAX = 200
"""Of a hub whose origin is part of a routing key; AMQP allows it 255 bytes in all."""

_AGENCY = re.compile(r"[a-z0-9_-]{1,40}\Z")
_ORIGIN = re.compile(r"[!-\"$-)+-~]+\Z")
"""Neither `*` nor `#`: they stand for other words in a binding."""

Argument = str | int


class NameUnfit(ValueError):
    """A name cannot be part of a queue's."""


@dataclass(frozen=True, slots=True)
class BrokerExchange:
    """Where something is handed in."""

    name: str
    kind: str
    """direct or topic."""


@dataclass(frozen=True, slots=True)
class BrokerQueue:
    """Where something waits."""

    name: str
    exchange: str
    routing_key: str
    """The binding by which it gets what is handed in there."""
    arguments: dict[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user of the broker may do, as regular expressions over names."""

    user: str
    configure: str
    write: str
    read: str


class Topology:
    """The names of one installation: several may share a broker, each with a prefix of its own."""

    def __init__(self, prefix: str = "lt", *, orders_waiting_max: int = ORDERS_WAITING_MAX) -> None:
        self.prefix = prefix
        self.work = f"{prefix}.work"
        self.query = f"{prefix}.query"
        self.outcome = f"{prefix}.outcome"
        self.dead = f"{prefix}.dead"
        self.reply = f"{prefix}.reply"
        self._orders_waiting_max = orders_waiting_max

    def exchanges(self) -> Iterator[BrokerExchange]:
        """What every hub and worker hands in to."""
        yield BrokerExchange(self.work, "topic")
        yield BrokerExchange(self.dead, "topic")
        for name in (self.query, self.outcome, self.reply):
            yield BrokerExchange(name, "direct")

    def hub_queues(self, origin: str) -> Iterator[BrokerQueue]:
        """What one hub takes. Raises NameUnfit."""
        _require(_ORIGIN, origin, "the origin of a log that uses RabbitMQ")
        if len(origin) > ORIGIN_BYTES_MAX:
            raise NameUnfit(f"{origin!r} has more than {ORIGIN_BYTES_MAX} characters")
        kept: dict[str, Argument] = {
            "x-queue-type": "quorum",
            "x-delivery-limit": NEVER_GIVEN_UP,
        }
        yield BrokerQueue(self.outcome_queue(origin), self.outcome, origin, kept)
        yield BrokerQueue(self.dead_queue(origin), self.dead, f"*.*.{origin}", kept)

    def agency_queues(self, agency: str) -> Iterator[BrokerQueue]:
        """What the workers of one agency take. Raises NameUnfit."""
        _require(_AGENCY, agency, "an agency whose workers use RabbitMQ")
        for is_urgent in (True, False):
            key = f"{agency}.{_urgency(is_urgent=is_urgent)}.#"
            name = self.work_queue(agency, is_urgent=is_urgent)
            yield BrokerQueue(name, self.work, key, self._order_arguments())
        arguments: dict[str, Argument] = {
            "x-queue-type": "classic",
            "x-max-length": QUERIES_WAITING_MAX,
            "x-overflow": "reject-publish",
        }
        yield BrokerQueue(self.query_queue(agency), self.query, agency, arguments)

    def work_queue(self, agency: str, *, is_urgent: bool) -> str:
        """Where orders for an agency wait."""
        return f"{self.work}.{agency}.high" if is_urgent else f"{self.work}.{agency}"

    def work_key(self, agency: str, origin: str, *, is_urgent: bool) -> str:
        """How an order is addressed; given up, it comes back to its origin by the same."""
        return f"{agency}.{_urgency(is_urgent=is_urgent)}.{origin}"

    def query_queue(self, agency: str) -> str:
        """Where queries for an agency wait."""
        return f"{self.query}.{agency}"

    def outcome_queue(self, origin: str) -> str:
        """Where outcomes for a hub wait."""
        return f"{self.outcome}.{origin}"

    def dead_queue(self, origin: str) -> str:
        """Where orders that were given up wait for their hub."""
        return f"{self.dead}.{origin}"

    def hub_rights(self, user: str) -> Rights:
        """What a hub needs: hand in orders, take its outcomes, and a queue of its own for answers.

        It declares that one with a name of the broker's (`amq.gen-…`), bound to `reply`.
        """
        own = re.escape(self.prefix)
        return Rights(
            user,
            r"^amq\.gen-.*$",
            rf"^({own}\.(work|query)|amq\.gen-.*)$",
            rf"^({own}\.(outcome|dead)\..*|{own}\.reply|amq\.gen-.*)$",
        )

    def worker_rights(self, user: str, agencies: Iterable[str]) -> Rights:
        """What the workers of these agencies need, and nothing beside."""
        own = re.escape(self.prefix)
        names = "|".join(re.escape(one) for one in agencies)
        return Rights(
            user,
            "^$",
            rf"^{own}\.(outcome|reply)$",
            rf"^{own}\.(work|query)\.({names})(\.high)?$",
        )

    def _order_arguments(self) -> dict[str, Argument]:
        return {
            "x-queue-type": "quorum",
            "x-delivery-limit": TAKEN_AGAIN_MAX,
            "x-max-length": self._orders_waiting_max,
            # Without this, what is too much would push out what waits longest; and only with it
            # does the broker keep what it gives up until its hub has it.
            "x-overflow": "reject-publish",
            "x-dead-letter-exchange": self.dead,
            "x-dead-letter-strategy": "at-least-once",
        }


def _urgency(*, is_urgent: bool) -> str:
    return "high" if is_urgent else "normal"


def _require(form: re.Pattern[str], name: str, what: str) -> None:
    if not form.match(name):
        raise NameUnfit(f"{name!r} cannot name {what}")
