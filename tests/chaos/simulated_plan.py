"""What a seed decides before anything runs: who is how, what goes wrong, how often who dies."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from bus.core.identifiers import SubsystemId
from bus.core.registry import Repeats, RetryPolicy, SubmissionRule
from tests.chaos.simulated_agencies import Manners
from tests.chaos.simulated_ports import Faults
from tests.nation import LOOKUP

REMEMBERING = LOOKUP.provider
FORGETTING = SubsystemId.parse("VN/GOV/H26/motcua")
MESSAGES_MAX = 8


@dataclass(slots=True)
class Plan:
    """What a seed decides before anything runs."""

    luck: random.Random
    is_apart: bool = False
    rule: SubmissionRule = field(default_factory=SubmissionRule)
    deaths: int = 0
    worker_deaths: int = 0
    messages: int = 1
    acts: int = 0
    """So often an operator decides about a dead letter."""
    manners: dict[str, Manners] = field(default_factory=dict)

    @staticmethod
    def of(seed: int) -> Plan:
        luck = random.Random(seed)
        plan = Plan(luck, is_apart=luck.random() < 0.5)
        plan.rule = SubmissionRule(
            retry=RetryPolicy(
                first_seconds=luck.choice((0.5, 2.0)),
                cap_seconds=10.0,
                attempts_max=luck.choice((1, 3, 8, 50)),
                expires_after_seconds=luck.choice((20.0, 60.0, 120.0)),
            ),
            repeats=luck.choice(tuple(Repeats)),
            is_ordered=luck.random() < 0.6,
            skips_dead_letters=luck.random() < 0.5,
            is_urgent=luck.random() < 0.2,
        )
        plan.deaths = luck.choice((0, 1, 1, 2, 4))
        plan.worker_deaths = luck.choice((0, 0, 1, 3)) if plan.is_apart else 0
        plan.messages = luck.randint(1, MESSAGES_MAX)
        for name in (REMEMBERING, FORGETTING):
            plan.manners[str(name)] = manners_by(luck, remembers=name == REMEMBERING)
        plan.acts = luck.choice((0, 0, 3, 10))
        return plan

    def faults(self) -> Faults:
        """Every kind of fault is there in some runs, and in some alone."""
        luck = self.luck
        return Faults(
            luck,
            fails=_some(luck, 0.2),
            unconfirmed=_some(luck, 0.2),
            late=_some(luck, 0.1),
            doubles=_some(luck, 0.3),
            loses=_some(luck, 0.2),
        )


def _some(luck: random.Random, most: float) -> float:
    return luck.uniform(0, most) if luck.random() < 0.5 else 0.0


def manners_by(luck: random.Random, *, remembers: bool) -> Manners:
    poison = f"sim-none-{luck.randrange(MESSAGES_MAX)}"
    return Manners(
        remembers=remembers,
        lies=luck.random() < 0.1,
        fails=_some(luck, 0.5),
        refuses=_some(luck, 0.2),
        breaks_off=_some(luck, 0.4),
        is_invalid=_some(luck, 0.1),
        hangs=_some(luck, 0.2),
        poison=frozenset({poison}) if luck.random() < 0.2 else frozenset(),
    )
