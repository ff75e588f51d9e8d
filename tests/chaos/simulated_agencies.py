"""Agencies of a simulation: good ones that remember keys, ones that forget, and ones that lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lxml import etree

from bus.core.errors import (
    BusError,
    RecipientBrokeOff,
    RecipientHostUnknown,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.kit.contract import Adapter, Delivered, Disposition, Rejected, Retry, Submission
from tests.chaos.journals import Acted, Called, MemoryJournal
from tests.chaos.simulated_ports import Faults
from tests.nation import ANSWER, payload

_ANSWER = payload(ANSWER)
_NO_ANSWER = etree.fromstring("<something xmlns='urn:else'/>")


@dataclass(frozen=True, slots=True)
class Manners:
    """How an agency is, for the whole of a run."""

    remembers: bool = True
    """It acts once for each key, and says again what it said."""
    lies: bool = False
    """It says what it did not do, and does not say what it did."""
    fails: float = 0.0
    refuses: float = 0.0
    breaks_off: float = 0.0
    """It acts, or does not, and nobody hears of it."""
    is_invalid: float = 0.0
    """It acts, and its answer is none."""
    hangs: float = 0.0
    poison: frozenset[str] = frozenset()
    """Messages on which its adapter breaks."""


@dataclass(slots=True)
class SimulatedAgency(Adapter):
    """Does what its manners and luck say, and writes down what it did."""

    recipient: str
    manners: Manners
    journal: MemoryJournal
    faults: Faults
    acted: set[str] = field(default_factory=set)
    """Keys that it acted for."""

    def __post_init__(self) -> None:
        Adapter.__init__(self, {})

    def deliver(self, submission: Submission) -> Disposition:
        message, key = submission.message_id, submission.idempotency_key
        self.journal.write(
            Called(message, self.recipient, key, submission.attempt, submission.may_be_repeated)
        )
        if message in self.manners.poison:
            raise ValueError("an adapter that does not know what this is")
        if self.manners.remembers and key in self.acted:
            return Delivered(_ANSWER)
        if self.manners.lies and self._strikes(0.5, "agency lied"):
            return self._lie(submission)
        return self._deliver(submission)

    def find(self, submission: Submission) -> Delivered | None:
        return Delivered(_ANSWER) if submission.idempotency_key in self.acted else None

    def seconds(self) -> tuple[float, float]:
        """How long the next call takes, before its effect and after."""
        luck = self.faults.luck
        if self._strikes(self.manners.hangs, "agency hung"):
            return (luck.uniform(0, 12), luck.uniform(0, 12))
        return (luck.uniform(0, 0.2), luck.uniform(0, 0.2))

    def _deliver(self, submission: Submission) -> Disposition:
        manners, luck = self.manners, self.faults.luck
        if self._strikes(manners.fails, "agency failed"):
            if luck.random() < 0.3:
                return Retry(luck.choice((None, 0.5, 7.0)), "later")
            raise luck.choice(_DID_NOTHING)("it is away")
        if self._strikes(manners.refuses, "agency refused"):
            return Rejected("R1", "not of ours")
        if self._strikes(manners.breaks_off, "agency broke off"):
            if luck.random() < 0.6:
                self._act(submission)
            raise luck.choice(_NOBODY_KNOWS)("nothing came back")
        self._act(submission)
        if self._strikes(manners.is_invalid, "agency answered wrongly"):
            return Delivered(_NO_ANSWER)
        return Delivered(_ANSWER)

    def _lie(self, submission: Submission) -> Disposition:
        luck = self.faults.luck
        if luck.random() < 0.5:
            self._act(submission)
            return luck.choice((Rejected("R2", "no"), Retry(None, "no")))
        return Delivered(_ANSWER)

    def _act(self, submission: Submission) -> None:
        key = submission.idempotency_key
        self.acted.add(key)
        self.journal.write(Acted(submission.message_id, self.recipient, key))

    def _strikes(self, chance: float, name: str) -> bool:
        return self.faults.strikes(chance, name)


_DID_NOTHING: tuple[Callable[[str], BusError], ...] = (RecipientUnavailable, RecipientHostUnknown)
_NOBODY_KNOWS: tuple[Callable[[str], BusError], ...] = (RecipientTimeout, RecipientBrokeOff)
