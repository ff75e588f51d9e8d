"""What entries say of deliveries adds up, or it is named: vectors for each rule, and any story."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.audit.checks import conservation
from bus.audit.checks.conservation import Conservation, DeliveryClass, equation
from bus.core.ports.log_source import OpenRow

A, B = "VN/GOV/H41/motcua", "VN/GOV/H42/motcua"
Facts = dict[str, Any]
PENDING, DELIVERED, REFUSED = (
    DeliveryClass.PENDING,
    DeliveryClass.DELIVERED,
    DeliveryClass.REFUSED,
)
DEAD, EXPIRED = DeliveryClass.DEAD, DeliveryClass.EXPIRED


def received(count: int | None) -> Facts:
    facts = {"event": "received"}
    return facts if count is None else facts | {"recipients": count}


def _without_none(facts: Facts) -> Facts:
    return {name: fact for name, fact in facts.items() if fact is not None}


def about(event: str, verdict: str = "", position: int | None = 0, **others: Any) -> Facts:
    facts = {"event": event, "continues": 0, "position": position, "recipient": A, **others}
    return _without_none(facts | {"verdict": verdict})


def attempt(number: int = 1, **others: Any) -> Facts:
    return about("attempt", "delivery.recipient-unavailable", attempt=number, **others)


def handed_out(number: int = 1, **others: Any) -> Facts:
    return about("handed-out", attempt=number, **others)


def outcome(verdict: str = "delivered", **others: Any) -> Facts:
    return about("outcome", verdict, **{"payload": "x"} | others)


GIVEN_UP, IN_DOUBT = outcome("delivery.given-up"), outcome("delivery.in-doubt", doubt=True)
REFUSING, EXPIRING = outcome("delivery.refused"), outcome("delivery.expired")
RESEND, DISCARD = about("operated", "resend"), about("operated", "discard")


def folded(*entries: Facts, count: int | None = 1) -> tuple[Conservation, list[tuple[int, str]]]:
    """What was found in entries that follow a received one."""
    checks = Conservation(place="rows")
    found = [
        (one.index, one.what)
        for index, facts in enumerate([received(count), *entries])
        for one in checks.observe(index, _without_none(facts))
    ]
    return checks, found


def classes(checks: Conservation, recipient: str = A) -> Mapping[DeliveryClass, int]:
    return +checks.accounts.by_recipient[recipient]


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([attempt()], PENDING),
        ([attempt(), attempt(2), outcome(attempt=3)], DELIVERED),
        ([outcome()], DELIVERED),
        ([REFUSING], REFUSED),
        ([EXPIRING], EXPIRED),
        ([GIVEN_UP], DEAD),
        ([IN_DOUBT], DEAD),
        ([attempt(doubt=True), attempt(2, doubt=True), IN_DOUBT], DEAD),
        ([attempt(doubt=True), outcome(doubt=True)], DELIVERED),
        ([attempt(doubt=True), outcome()], DELIVERED),
        ([attempt(2), outcome(attempt=1)], DELIVERED),
        ([GIVEN_UP, outcome()], DELIVERED),
        ([GIVEN_UP, RESEND], PENDING),
        ([GIVEN_UP, about("operated", "resubmit"), attempt(4), REFUSING], REFUSED),
        ([GIVEN_UP, RESEND, GIVEN_UP, RESEND, outcome()], DELIVERED),
        ([GIVEN_UP, DISCARD], DEAD),
        ([handed_out(), outcome()], DELIVERED),
        ([handed_out(), attempt(doubt=True), handed_out(2), outcome(doubt=True)], DELIVERED),
        ([handed_out(), about("late", "delivered"), REFUSING], REFUSED),
        ([handed_out(), GIVEN_UP, RESEND, handed_out(2)], PENDING),
        ([outcome(), about("late", "delivered", attempt=1, doubt=True)], DELIVERED),
        ([attempt(), about("late", "delivery.refused", attempt=1), attempt(2)], PENDING),
    ],
)
def test_a_delivery_is_what_its_entries_make_of_it(
    entries: list[Facts], kind: DeliveryClass
) -> None:
    checks, found = folded(*entries)
    assert found == []
    assert classes(checks) == {kind: 1}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([outcome(), outcome()], "closes a delivery that is not open"),
        ([REFUSING, outcome()], "closes a delivery that is not open"),
        ([GIVEN_UP, REFUSING], "closes a delivery that is not open"),
        ([GIVEN_UP, DISCARD, outcome()], "closes a delivery that is not open"),
        ([outcome(), attempt()], "is an attempt at a delivery that is not open"),
        ([GIVEN_UP, attempt()], "is an attempt at a delivery that is not open"),
        ([attempt(), attempt()], "is attempt 1 after attempt 1"),
        ([attempt(3), attempt(2)], "is attempt 2 after attempt 3"),
        ([attempt(1), GIVEN_UP, RESEND, attempt(1)], "is attempt 1 after attempt 1"),
        ([about("attempt", "x")], "is attempt 0 after attempt 0"),
        ([attempt(doubt=True), attempt(2)], "forgets the doubt of an earlier attempt"),
        ([attempt(doubt=True), REFUSING], "says delivery.refused of a delivery of which"),
        ([attempt(doubt=True), EXPIRING], "says delivery.expired of a delivery of which"),
        ([attempt(doubt=True), GIVEN_UP], "says delivery.given-up of a delivery of which"),
        ([EXPIRING | {"doubt": True}], "says delivery.expired of a delivery of which"),
        (
            [about("late", "x", doubt=True), EXPIRING],
            "says delivery.expired of a delivery of which",
        ),
        ([outcome(payload=None)], "says delivered, and keeps nothing that its recipient said"),
        ([REFUSING | {"payload": None}], "says delivery.refused, and keeps nothing"),
        ([RESEND], "is an operator's resend of what is no dead letter"),
        ([outcome(), DISCARD], "is an operator's discard of what is no dead letter"),
        ([GIVEN_UP, DISCARD, RESEND], "is an operator's resend of what is no dead letter"),
        ([GIVEN_UP, about("operated", "burn")], "is an operator's burn, which is not known"),
        ([outcome(), handed_out()], "hands out a delivery that is not open"),
        ([handed_out(), handed_out(2)], "hands out a delivery that somebody holds"),
        ([attempt(), handed_out()], "hands it out as attempt 1 after attempt 1"),
        (
            [attempt(), attempt(2, recipient=B)],
            f"names the recipient '{B}', an earlier entry '{A}'",
        ),
    ],
)
def test_what_does_not_follow_is_named(entries: list[Facts], words: str) -> None:
    # A second recipient keeps the message open, and changes nothing.
    for count in (1, 2):
        _, found = folded(*entries, count=count)
        assert [index for index, _ in found] == [len(entries)]
        assert found[0][1].startswith(words)
        assert found[0][1].endswith("(delivery 0 of entry 0)")


@pytest.mark.parametrize(
    ("entry", "count", "words"),
    [
        (outcome(position=2), 2, "speaks of delivery 2 of entry 0, which opened 2"),
        (outcome(position=0), 0, "speaks of delivery 0 of entry 0, which opened 0"),
        (outcome(position=None), 1, "speaks of no delivery of entry 0, which opened 1"),
        (attempt(position=None), 1, "speaks of no delivery of entry 0, which opened 1"),
        (outcome(), None, "speaks of a delivery of entry 0, which opened none"),
        (attempt(), None, "speaks of a delivery of entry 0, which opened none"),
        (attempt(continues=7), 1, "speaks of a delivery of entry 7, which opened none"),
        (attempt(continues=None), 1, "speaks of a delivery of entry -1, which opened none"),
    ],
)
def test_what_speaks_of_no_delivery_is_named(entry: Facts, count: int | None, words: str) -> None:
    checks, found = folded(entry, count=count)
    assert found == [(1, words)]
    assert sum(checks.accounts.totals.values()) == (count or 0)


def test_queries_and_what_is_about_recipients_are_none_of_its_business() -> None:
    pause = {"event": "operated", "verdict": "pause", "recipient": A}
    query = about("outcome", "delivered", position=None)
    checks, found = folded(query, pause, {"event": "heartbeat"}, count=None)
    assert found == []
    assert checks.accounts.submissions == 0
    assert not checks.is_submission(0)


def test_each_recipient_of_a_message_is_counted_for_itself() -> None:
    checks, found = folded(
        attempt(),
        outcome(position=1, recipient=B),
        outcome("delivery.expired", position=2),
        count=4,
    )
    assert found == []
    assert checks.is_submission(0)
    assert classes(checks) == {PENDING: 1, EXPIRED: 1}
    assert classes(checks, B) == {DELIVERED: 1}
    assert classes(checks, conservation.UNNAMED) == {PENDING: 1}
    assert list(checks.compare(row())) == []
    assert list(checks.compare(row(position=3, recipient=B, state=2))) == []
    assert list(checks.finish()) == []
    assert classes(checks, B) == {DELIVERED: 1, PENDING: 1}
    assert classes(checks, conservation.UNNAMED) == {}


def row(**others: Any) -> OpenRow:
    facts: Facts = {"position": 0, "recipient": A, "state": 0, "attempt": 1, "doubt": True}
    return OpenRow(received=0, **facts | others)


def test_what_is_held_has_a_row_that_says_so() -> None:
    checks, found = folded(handed_out(2))
    assert found == []
    assert list(checks.compare(row(state=4, attempt=2))) == []


@pytest.mark.parametrize("state", [0, 2, 3])
def test_a_row_may_know_more_than_the_entries(state: int) -> None:
    checks, _ = folded(attempt())
    assert list(checks.compare(row(state=state, attempt=9))) == []
    assert list(checks.finish()) == []


@pytest.mark.parametrize(
    ("entries", "stored", "words"),
    [
        ([outcome()], row(), "a row says that delivery 0 of it is open, and it is not"),
        ([outcome(position=1)], row(position=1), "a row says that delivery 1 of it is open"),
        ([GIVEN_UP, DISCARD], row(state=5), "a row says that delivery 0 of it is open"),
        ([], row(position=2), "a row says that delivery 2 of it is open"),
        ([], row(position=-1), "a row says that delivery -1 of it is open"),
        ([GIVEN_UP], row(), "the row of delivery 0 of it has the state 0, where the log says dead"),
        ([], row(state=5), "the row of delivery 0 of it has the state 5, where the log says pend"),
        ([], row(state=-1), "the row of delivery 0 of it has the state -1"),
        ([attempt()], row(recipient=B), f"the row of delivery 0 of it is of '{B}', where the log"),
        ([attempt()], row(state=4), "the row of delivery 0 of it has the state 4, where the log"),
        ([handed_out()], row(state=3), "the row of delivery 0 of it has the state 3, where the"),
        ([attempt(2)], row(), "the row of delivery 0 of it says 1 attempts, where the log says 2"),
        ([], row(state=1), "the row of delivery 0 of it says 1 attempts, where the log says 0"),
        ([attempt(doubt=True)], row(doubt=False), "the row of delivery 0 of it says nothing of a"),
    ],
)
def test_a_row_that_entries_do_not_explain_is_named(
    entries: list[Facts], stored: OpenRow, words: str
) -> None:
    checks, found = folded(*entries, count=2)
    assert found == []
    (finding,) = checks.compare(stored)
    assert (finding.index, finding.file) == (0, "rows")
    assert finding.what.startswith(words)


def test_what_no_row_carries_is_named_with_its_message() -> None:
    checks, _ = folded(GIVEN_UP, outcome(position=1), attempt(position=3), count=5)
    assert list(checks.compare(row(position=3))) == []
    assert [(one.index, one.what) for one in checks.finish()] == [
        (0, "3 of its deliveries are open and no row carries them: 0, 2, 4")
    ]
    assert checks.accounts.named == [("", {PENDING: 2}), (A, {DEAD: 1, DELIVERED: 1, PENDING: 1})]


def test_a_row_twice_is_named_and_counted_once() -> None:
    checks, _ = folded()
    assert list(checks.compare(row())) == []
    (finding,) = checks.compare(row())
    assert finding.what == "two rows of delivery 0 of it"
    assert checks.accounts.totals.total() == 1


def test_of_many_deliveries_without_a_row_some_are_named() -> None:
    checks, _ = folded(outcome(), GIVEN_UP | {"position": 1}, count=2**52)
    (finding,) = checks.finish()
    assert finding.index == 0
    assert finding.what == (
        f"{2**52 - 1} of its deliveries are open and no row carries them: 1, 2, 3, 4, 5, 6, 7, 8, …"
    )


def test_recipients_beyond_the_bound_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conservation, "RECIPIENTS_MAX", 5)
    entries = [outcome(position=at, recipient=f"VN/GOV/{at}") for at in range(20)]
    checks, found = folded(*entries, count=20)
    assert found == []
    assert len(checks.accounts.by_recipient) == 5
    assert +checks.accounts.totals == {DELIVERED: 20}


@given(
    st.lists(st.integers(0, 3), max_size=4),
    st.lists(
        st.builds(
            about,
            st.sampled_from(["attempt", "outcome", "operated", "handed-out", "late"]),
            st.sampled_from(["delivered", "delivery.expired", "delivery.given-up", "resend", "x"]),
            st.integers(0, 3),
            continues=st.integers(0, 4),
            recipient=st.sampled_from([A, B]),
            attempt=st.integers(0, 3),
            doubt=st.sampled_from([True, None]),
        ),
        max_size=30,
    ),
)
def test_whatever_entries_say_nothing_is_lost_from_the_accounts(
    counts: list[int], entries: list[Facts]
) -> None:
    checks = Conservation(place="rows")
    for index, facts in enumerate([*map(received, counts), *entries]):
        list(checks.observe(index, facts))
    totals = checks.accounts.totals
    assert totals.total() == sum(counts)
    assert all(count >= 0 for count in totals.values())
    assert all(
        count >= 0 for one in checks.accounts.by_recipient.values() for count in one.values()
    )


def test_what_became_of_deliveries_is_read_as_one_equation() -> None:
    counts = Counter({DeliveryClass.DELIVERED: 1_030, DeliveryClass.PENDING: 4})

    assert equation(counts) == (
        "1,034 accepted = 1,030 delivered + 0 refused + 0 dead-lettered + 0 expired + 4 pending"
    )
    assert equation(Counter[DeliveryClass]()).startswith("0 accepted = 0 delivered + ")
