"""The checker finds each kind of violation where it was planted, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.core.deliveries import Delivery, DeliveryKey, DeliveryRow, DeliveryState
from bus.core.errors import DeliveryExpired, DeliveryGivenUp, DeliveryInDoubt
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Event, build_leaf, read_leaf
from tests.chaos.checker import Found, Promises, check
from tests.chaos.journals import (
    Acted,
    Called,
    FileJournal,
    MemoryJournal,
    Said,
    Sent,
    Struck,
    TellAccepted,
    read_journals,
)
from tests.chaos.log_story import LogStory

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD, FORGETFUL = "VN/GOV/G01/dancu", "VN/GOV/H26/motcua"
REFUSED = "delivery.recipient-refused"
PROMISES = Promises(remembering=frozenset({GOOD}), is_ordered=True)


@dataclass(slots=True)
class Run:
    """A run that is written down by hand: a good one, until something is planted."""

    journal: MemoryJournal = field(default_factory=MemoryJournal)
    story: LogStory = field(default_factory=LogStory)

    def say(self, *said: Said) -> None:
        for one in said:
            self.journal.write(one)

    def log(self, event: Event, raw: bytes | None = None, **facts: object) -> int:
        leaf = build_leaf(event, NOW, **facts)  # type: ignore[arg-type]
        index = len(self.story.hashes)
        self.story.take(index, leaf, read_leaf(leaf), raw)
        return index

    def accept(
        self, message: str, *, conversation: str = "", recipients: int = 1, is_told: bool = True
    ) -> int:
        self.say(Sent(message, (GOOD,) * recipients, conversation))
        raw = f"<xrd:id a='b'>{message}</xrd:id>".encode()
        index = self.log(Event.RECEIVED, raw, recipients=recipients, verdict="accepted")
        self.story.committed_at[message] = len(self.journal.lines)
        if is_told:
            self.say(TellAccepted(message, index, self.story.hashes[index]))
        return index

    def close(
        self,
        index: int,
        verdict: str = DELIVERED,
        *,
        position: int = 0,
        recipient: str = GOOD,
        doubt: bool = False,
        event: Event = Event.OUTCOME,
        attempt: int = 1,
    ) -> None:
        self.log(
            event,
            continues=index,
            position=position,
            recipient=recipient,
            verdict=verdict,
            doubt=doubt or None,
            attempt=attempt,
        )

    def call(self, message: str, *, recipient: str = GOOD, is_copy: bool = False) -> None:
        self.say(Called(message, recipient, f"key of {message}", 1, is_copy))

    def act(self, message: str, *, recipient: str = GOOD, is_copy: bool = False) -> None:
        self.call(message, recipient=recipient, is_copy=is_copy)
        self.say(Acted(message, recipient, f"key of {message}"))

    def row(self, index: int, state: DeliveryState, position: int = 0) -> None:
        key = DeliveryKey(index, position)
        later = NOW + timedelta(days=1)
        delivery = Delivery(state, 1, 5, doubt=False, due=NOW, expires=later, key=b"k")
        self.story.rows[key] = DeliveryRow(key, GOOD, "service", delivery)

    def deliver(self, message: str, *, conversation: str = "", is_told: bool = True) -> int:
        """All that belongs to a message that was delivered."""
        index = self.accept(message, conversation=conversation, is_told=is_told)
        self.act(message)
        self.close(index)
        return index

    def check(self, promises: Promises = PROMISES) -> Found:
        return check(self.journal.lines, self.story, promises)


def test_nothing_is_found_where_all_is_well() -> None:
    run = Run()
    run.deliver("m-1", conversation="c")
    run.deliver("m-2", conversation="c")
    given_up = run.accept("m-3")
    run.close(given_up, DeliveryGivenUp.code)
    run.row(given_up, DeliveryState.DEAD)
    late = run.accept("m-4")
    run.close(late, DeliveryExpired.code)
    run.deliver("m-5", is_told=False)
    doubtful = run.accept("m-6")
    run.act("m-6")
    run.close(doubtful, DeliveryInDoubt.code, doubt=True)
    run.row(doubtful, DeliveryState.DEAD)
    run.say(Struck("kill", "hub"))
    found = run.check()
    assert found.faults == []
    counts = {name: count for name, count in found.counts.items() if count}
    assert counts == {
        "sent": 6,
        "told": 5,
        "recovered": 1,
        "in doubt": 1,
        "struck": 1,
        "called": 4,
        "acted": 4,
        "delivered": 3,
        "dead": 2,
        "expired": 1,
    }


def _never_logged(run: Run) -> None:
    run.say(Sent("m-1", (GOOD,)), TellAccepted("m-1", 17, "00"))


def _logged_as_another(run: Run) -> None:
    index = run.deliver("m-1")
    run.say(TellAccepted("m-2", index, run.story.hashes[index]))


def _open_without_row(run: Run) -> None:
    run.accept("m-1")


def _one_of_two_without_row(run: Run) -> None:
    index = run.accept("m-1", recipients=2)
    run.act("m-1")
    run.close(index)


def _open_and_its_row_is_dead(run: Run) -> None:
    run.row(run.accept("m-1"), DeliveryState.DEAD)


def _dead_without_row(run: Run) -> None:
    run.close(run.accept("m-1"), DeliveryGivenUp.code)


def _twice_under_one_key(run: Run) -> None:
    run.deliver("m-1")
    run.act("m-1", is_copy=True)


def _twice_under_two_keys(run: Run) -> None:
    run.deliver("m-1")
    run.say(Acted("m-1", GOOD, "another key"))


def _received_twice(run: Run) -> None:
    run.deliver("m-1")
    run.close(run.accept("m-1"))
    run.story.committed_at.clear()


def _called_before_the_commit(run: Run) -> None:
    run.say(Sent("m-1", (GOOD,)))
    run.act("m-1")
    run.close(run.accept("m-1"))


def _called_and_never_logged(run: Run) -> None:
    run.call("m-9")


def _receipt_of_another_leaf(run: Run) -> None:
    index = run.deliver("m-1", is_told=False)
    run.say(TellAccepted("m-1", index, "00"))


def _closed_twice(run: Run) -> None:
    run.close(run.deliver("m-1"))


def _closed_and_has_a_row(run: Run) -> None:
    run.row(run.deliver("m-1"), DeliveryState.WAITING)


def _a_row_of_nothing(run: Run) -> None:
    run.row(7, DeliveryState.WAITING)


def _an_entry_of_nothing(run: Run) -> None:
    run.close(7)


def _an_attempt_after_the_end(run: Run) -> None:
    run.close(run.deliver("m-1"), "delivery.recipient-timeout", event=Event.ATTEMPT)


def _attempts_that_go_back(run: Run) -> None:
    index = run.accept("m-1")
    run.close(index, REFUSED, event=Event.ATTEMPT, attempt=2)
    run.close(index, REFUSED, event=Event.ATTEMPT, attempt=1)
    run.close(index, REFUSED)


def _later_before_earlier(run: Run) -> None:
    first = run.accept("m-1", conversation="c")
    run.deliver("m-2", conversation="c")
    run.act("m-1")
    run.close(first)


def _refused_and_done(run: Run) -> None:
    index = run.accept("m-1")
    run.act("m-1")
    run.close(index, REFUSED)


def _expired_in_doubt(run: Run) -> None:
    run.close(run.accept("m-1"), DeliveryExpired.code, doubt=True)


def _delivered_and_not_done(run: Run) -> None:
    run.close(run.accept("m-1"))


def _a_copy_that_nobody_called_so(run: Run) -> None:
    run.deliver("m-1")
    run.call("m-1")


def _twice_and_no_doubt(run: Run) -> None:
    index = run.accept("m-1")
    run.act("m-1", recipient=FORGETFUL)
    run.act("m-1", recipient=FORGETFUL, is_copy=True)
    run.close(index, recipient=FORGETFUL)


def _twice_and_in_doubt(run: Run) -> None:
    index = run.accept("m-1")
    run.act("m-1")
    run.act("m-1", is_copy=True)
    run.close(index, doubt=True)


def _left_open(run: Run) -> None:
    run.row(run.accept("m-1"), DeliveryState.WAITING)


PLANTED: Sequence[tuple[Callable[[Run], None], str]] = (
    (_never_logged, "lost"),
    (_logged_as_another, "lost"),
    (_open_without_row, "lost"),
    (_one_of_two_without_row, "lost"),
    (_open_and_its_row_is_dead, "lost"),
    (_dead_without_row, "lost"),
    (_twice_under_one_key, "doubled"),
    (_twice_under_two_keys, "doubled"),
    (_twice_and_no_doubt, "unsaid"),
    (_received_twice, "doubled"),
    (_called_before_the_commit, "unlogged"),
    (_called_and_never_logged, "unlogged"),
    (_receipt_of_another_leaf, "unverifiable"),
    (_closed_twice, "unverifiable"),
    (_closed_and_has_a_row, "unverifiable"),
    (_a_row_of_nothing, "unverifiable"),
    (_an_entry_of_nothing, "unverifiable"),
    (_an_attempt_after_the_end, "unverifiable"),
    (_attempts_that_go_back, "unverifiable"),
    (_later_before_earlier, "out of order"),
    (_refused_and_done, "denied"),
    (_expired_in_doubt, "denied"),
    (_delivered_and_not_done, "claimed"),
    (_a_copy_that_nobody_called_so, "surprised"),
    (_left_open, "stuck"),
)


@pytest.mark.parametrize(("plant", "kind"), PLANTED, ids=lambda one: getattr(one, "__name__", one))
def test_what_is_planted_is_found(plant: Callable[[Run], None], kind: str) -> None:
    run = Run()
    run.deliver("before")
    plant(run)
    run.deliver("after")
    found = run.check()
    # What is open without a row is lost, and comes to no end: that is one violation in two words.
    assert found.kinds - ({"stuck"} if kind == "lost" else set()) == {kind}, found.faults


@pytest.mark.parametrize(
    ("plant", "promises"),
    [
        (_later_before_earlier, replace(PROMISES, is_ordered=False)),
        (_twice_and_in_doubt, replace(PROMISES, remembering=frozenset({FORGETFUL}))),
        (_refused_and_done, replace(PROMISES, lying=frozenset({GOOD}))),
        (_delivered_and_not_done, replace(PROMISES, lying=frozenset({GOOD}))),
        (_a_copy_that_nobody_called_so, replace(PROMISES, tells_copies=False)),
        (_left_open, replace(PROMISES, is_drained=False)),
    ],
)
def test_nobody_is_held_to_what_was_not_promised(
    plant: Callable[[Run], None], promises: Promises
) -> None:
    run = Run()
    plant(run)
    assert run.check(promises).faults == []


def test_an_entry_that_hints_at_it_is_no_denial() -> None:
    run = Run()
    _refused_and_done(run)
    run.close(0, DELIVERED, event=Event.LATE)
    found = run.check()
    assert (found.faults, found.counts["late"]) == ([], 1)


def test_whoever_came_behind_a_dead_letter_may_be_done_before_it() -> None:
    run = Run()
    dead = run.accept("m-1", conversation="c")
    run.close(dead, DeliveryInDoubt.code, doubt=True)
    run.row(dead, DeliveryState.DEAD)
    run.deliver("m-2", conversation="c")
    run.act("m-1")
    assert run.check().faults == []


def test_a_dead_letter_that_was_sent_again_may_end_again() -> None:
    run = Run()
    index = run.accept("m-1")
    run.close(index, DeliveryGivenUp.code)
    run.close(index, "resend", event=Event.OPERATED)
    run.act("m-1")
    run.close(index)
    assert run.check().faults == []


def test_journals_are_read_in_the_order_of_their_writers(tmp_path: Path) -> None:
    count = iter(range(10))
    said: list[Said] = [
        Sent("m-1", (GOOD, FORGETFUL), "c"),
        Called("m-1", GOOD, "k", 1, is_said_to_be_copy=False),
        Struck("kill", "hub"),
        Acted("m-1", GOOD, "k"),
        TellAccepted("m-1", 0, "ab"),
    ]
    files = [tmp_path / "one", tmp_path / "other"]
    with (
        FileJournal(files[0], count.__next__) as one,
        FileJournal(files[1], count.__next__) as other,
    ):
        for place, line in enumerate(said):
            (one, other)[place % 2].write(line)
    with files[0].open("ab") as torn:
        torn.write(b'{"at": 99, "what": "ac')
    assert [line.said for line in read_journals(*files, tmp_path / "none")] == said
