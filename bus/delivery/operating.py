"""Let operators decide what becomes of dead letters, and whom nothing goes to for a while.

Each of it is an entry: what was done, to which delivery, and, sealed, by whom and why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from bus.core.canonical_json import canonical_json
from bus.core.deliveries import DeliveryKey, DeliveryRow, DeliveryState, Moved
from bus.core.identifiers import IdentifierInvalid, SubsystemId
from bus.core.ports.delivery_rows import DeliveryRows
from bus.core.routing import delivery_digest
from bus.delivery.attempt_ends import bounded_line
from bus.delivery.carried_messages import CarriedMessages
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.leaves import DeliveryFacts
from bus.delivery.lifecycle import resend, resubmit

DEAD_LETTERS_MAX = 1000
"""Most dead letters that are listed at one time."""


class OperatorAct(StrEnum):
    """What an operator does."""

    RESEND = "resend"
    """Send a dead letter again, under the same key: the recipient drops it if it acted."""
    RESUBMIT = "resubmit"
    """Send it again as another message: the recipient acts, whatever it did before."""
    DISCARD = "discard"
    """Nothing more is done about it."""
    PAUSE = "pause"
    """Nothing leaves to an agency until it is resumed."""
    RESUME = "resume"


class NotDone(Exception):
    """It was not done; the words say why, to an operator."""


@dataclass(frozen=True, slots=True)
class OperatorSays:
    """Who does something, and why."""

    who: str
    reason: str

    def sealed_text(self) -> bytes:
        """What the entry seals, in canonical JSON."""
        return canonical_json({"by": bounded_line(self.who), "reason": bounded_line(self.reason)})


class Operating:
    """Does what operators say; used from one event loop."""

    def __init__(
        self,
        rows: DeliveryRows,
        writer: DeliveryWriter,
        messages: CarriedMessages,
        keep_paused: Callable[[Sequence[str]], None],
        clock: Callable[[], datetime],
    ) -> None:
        """`keep_paused` writes down who is paused, durably; it raises OSError, LogUnavailable."""
        self._rows = rows
        self._writer = writer
        self._lanes = writer.lanes
        self._messages = messages
        self._keep_paused = keep_paused
        self._clock = clock

    # --- dead letters --------------------------------------------------------------------------

    async def dead(
        self, recipient: str | None, after: DeliveryKey | None, limit: int
    ) -> Sequence[DeliveryRow]:
        """Dead letters, in order. Raises LogUnavailable."""
        count = min(limit, DEAD_LETTERS_MAX)
        return await asyncio.to_thread(self._rows.dead, recipient, after, count)

    async def send_again(self, key: DeliveryKey, says: OperatorSays) -> DeliveryRow:
        """Send a dead letter again, under the same key. Raises NotDone, LogUnavailable."""
        row = await self._dead(key)
        policy = self._writer.rule_of(row).retry
        becomes = replace(row, delivery=resend(row.delivery, policy, self._clock()))
        await self._write(OperatorAct.RESEND, row, becomes, says)
        return becomes

    async def submit_anew(self, key: DeliveryKey, says: OperatorSays) -> DeliveryRow:
        """Send a dead letter again, under another key.

        Raises NotDone, LogUnavailable, LogCorrupt.
        """
        row = await self._dead(key)
        accepted = (await self._messages.of(key.received_index)).accepted
        generation = row.generation + 1
        recipient = accepted.recipients[key.position].subsystem
        facts = accepted.facts
        digest = delivery_digest(facts.client, facts.message_id, recipient, generation)
        policy = self._writer.rule_of(row).retry
        delivery = resubmit(row.delivery, digest, policy, self._clock())
        becomes = replace(row, delivery=delivery, generation=generation)
        await self._write(OperatorAct.RESUBMIT, row, becomes, says)
        return becomes

    async def discard(self, key: DeliveryKey, says: OperatorSays) -> None:
        """Let a dead letter go. Raises NotDone, LogUnavailable."""
        row = await self._dead(key)
        await self._write(OperatorAct.DISCARD, row, None, says)

    async def _dead(self, key: DeliveryKey) -> DeliveryRow:
        row = await asyncio.to_thread(self._rows.delivery, key)
        if row is None:
            raise NotDone(f"no delivery {key.received_index}/{key.position} is open")
        if row.delivery.state is not DeliveryState.DEAD:
            raise NotDone(
                f"the delivery {key.received_index}/{key.position} is {row.delivery.state}, "
                "and no dead letter"
            )
        return row

    async def _write(
        self, act: OperatorAct, row: DeliveryRow, becomes: DeliveryRow | None, says: OperatorSays
    ) -> None:
        result = await self._writer.operate(row, becomes, act.value, says.sealed_text())
        if isinstance(result, Moved):
            raise NotDone("it moved meanwhile: look again")
        if becomes is not None:
            self._lanes.want_look(row.recipient)

    # --- agencies ------------------------------------------------------------------------------

    async def pause(self, agency: str, says: OperatorSays) -> None:
        """Let nothing leave to an agency, or to one subsystem. Raises NotDone, LogUnavailable."""
        name = _agency(agency)
        # First the state, then the entry: stopped in between, nothing leaves that should not.
        await self._set_paused({*self._lanes.paused, name})
        await self._note(OperatorAct.PAUSE, name, says)

    async def resume(self, agency: str, says: OperatorSays) -> None:
        """Let leave what is due to an agency. Raises NotDone, LogUnavailable."""
        name = _agency(agency)
        if name not in self._lanes.paused:
            raise NotDone(f"{name} is not paused")
        await self._note(OperatorAct.RESUME, name, says)
        await self._set_paused(self._lanes.paused - {name})
        for lane in self._lanes:
            self._lanes.want_look(lane.recipient)

    async def _set_paused(self, agencies: Iterable[str]) -> None:
        names = sorted(agencies)
        try:
            await asyncio.to_thread(self._keep_paused, names)
        except OSError as error:
            raise NotDone(f"it cannot be written down: {error.strerror}") from error
        self._lanes.paused = frozenset(names)

    async def _note(self, act: OperatorAct, agency: str, says: OperatorSays) -> None:
        facts = DeliveryFacts(None, agency, "", 0, act.value)
        await self._writer.note(facts, says.sealed_text())


def _agency(text: str) -> str:
    """A member or a subsystem as it is written. Raises NotDone."""
    try:
        return str(SubsystemId.parse(text))
    except IdentifierInvalid as error:
        example = "VN/GOV/H26 or VN/GOV/H26/motcua"
        raise NotDone(f"expected a member or a subsystem, such as {example}") from error
