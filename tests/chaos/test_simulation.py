"""Every promise holds in worlds where all goes wrong, seed by seed; and a broken rule is found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bus.core.deliveries import AttemptOutcome, Delivery, DeliveryState
from bus.core.registry import RetryPolicy
from bus.delivery import dispatcher, lifecycle, planning
from bus.kit.contract import Submission
from tests.chaos.simulated_post import Post
from tests.chaos.simulation import Result, Simulation
from tests.nation import SmallNation

SEEDS = int(os.environ.get("LIENTHONG_CHAOS_SEEDS", "200"))
SHARES = 8
"""Seeds are shared out to so many tests, which may run side by side."""


@pytest.fixture(scope="session")
def post(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Post:
    return Post.prepare(nation, tmp_path_factory.mktemp("chaos"))


def _told(result: Result) -> str:
    lines = [f"seed={result.seed}: make chaos SEED={result.seed}"]
    return "\n".join([*lines, *(f"{kind}: {sentence}" for kind, sentence in result.found.faults)])


@pytest.mark.parametrize(
    "share", [0, *(pytest.param(one, marks=pytest.mark.slow) for one in range(1, SHARES))]
)
def test_whatever_goes_wrong_every_promise_holds(post: Post, share: int) -> None:
    struck: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for seed in range(share, SEEDS, SHARES):
        result = Simulation(post, seed).run()
        assert not result.found.faults, _told(result)
        struck.update(result.struck)
        counts.update(result.found.counts)
    # It was a storm, and something came through it.
    assert {"kill hub", "kill worker", "commit unconfirmed", "order unconfirmed"} <= struck.keys()
    assert {"delivered", "dead", "refused", "in doubt"} <= {one for one in counts if counts[one]}
    assert counts["sent"] == counts["told"]


def test_a_seed_says_all_that_happens(post: Post) -> None:
    first, again = (Simulation(post, 3).run() for _ in range(2))
    assert (first.steps, first.struck, first.found) == (again.steps, again.struck, again.found)
    assert first.steps != Simulation(post, 4).run().steps


# --- rules that are left out: the simulation must see what they are for ---------------------------

_Leave = Callable[[pytest.MonkeyPatch], None]


def _doubt(patch: pytest.MonkeyPatch) -> None:
    def settle(
        delivery: Delivery | None,
        outcome: AttemptOutcome,
        policy: RetryPolicy,
        now: datetime,
        **rest: Any,
    ) -> lifecycle.Change:
        forgotten = None if delivery is None else replace(delivery, doubt=False)
        sure = replace(outcome, is_redelivered=False)
        return lifecycle.settle(forgotten, sure, policy, now, **rest)

    patch.setattr("bus.delivery.settling.settle", settle)


def _the_deadline(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bus.delivery.reconciler.reap", lambda *_, **__: None)


def _the_order(patch: pytest.MonkeyPatch) -> None:
    def planned(*args: Any) -> Any:
        made = planning.planned_deliveries(*args)
        return tuple(replace(one, conversation=None) for one in made)

    patch.setattr("bus.exchange.submission.planned_deliveries", planned)


def _the_one_key(patch: pytest.MonkeyPatch) -> None:
    count = iter(range(10**9))
    patch.setattr(dispatcher, "delivery_idempotency_key", lambda _: f"key-{next(count)}")


def _saying_that_it_may_be_a_copy(patch: pytest.MonkeyPatch) -> None:
    def submission(**facts: Any) -> Submission:
        return Submission(**{**facts, "may_be_repeated": False})

    patch.setattr("bus.delivery.adapter_messages.Submission", submission)


def _finding_out_again(patch: pytest.MonkeyPatch) -> None:
    async def nothing(_: object) -> None:
        pass

    patch.setattr("bus.delivery.delivering.Delivering._find_out_again", nothing)


def _who_holds_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("bus.mailbox.messages._may_have", lambda *_: True)


def _the_doubt_of_a_lease(patch: pytest.MonkeyPatch) -> None:
    def reap(delivery: Delivery, *args: Any, **rest: Any) -> lifecycle.Change | None:
        change = lifecycle.reap(delivery, *args, **rest)
        is_held = delivery.state is DeliveryState.HELD
        if is_held and isinstance(change, lifecycle.Reopened):
            return replace(change, delivery=replace(change.delivery, doubt=False))
        return change

    patch.setattr("bus.delivery.reconciler.reap", reap)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leave_out", "kind"),
    [
        (_who_holds_it, "two holders"),
        (_the_doubt_of_a_lease, "surprised"),
        (_doubt, "denied"),
        (_the_deadline, "stuck"),
        (_the_order, "out of order"),
        (_the_one_key, "doubled"),
        (_saying_that_it_may_be_a_copy, "surprised"),
        (_finding_out_again, "leaked"),
    ],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_a_rule_that_is_left_out_is_missed(
    post: Post, monkeypatch: pytest.MonkeyPatch, leave_out: _Leave, kind: str
) -> None:
    leave_out(monkeypatch)
    found = (Simulation(post, seed).run().found.kinds for seed in range(500))
    assert any(kind in kinds for kinds in found)
