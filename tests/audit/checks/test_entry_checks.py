"""Each rule between entries is checked, and a break of it is named with its entry."""

import re
from typing import Any

import pytest

from bus.audit.checks.entry_checks import EntryChecks, Examine, LogReport
from bus.audit.checks.index_sets import Continuations, IndexSet
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event, Leaf, build_leaf
from bus.core.ports.message_log import SealedPayload, StoredEntry
from bus.log.sealing import Sealer
from tests.log.log_stories import SEALER, START

Given = bytes | tuple[bytes, SealedPayload | None]
"""A leaf, with what lies beside it."""


def leaf(event: Event, **facts: Any) -> bytes:
    return build_leaf(event, START, **facts)


def check(
    *entries: Given, sealer: Sealer | None = None, examine: Examine | None = None
) -> LogReport:
    report = LogReport()
    checks = EntryChecks(report, sealer=sealer, examine=examine)
    for index, entry in enumerate(entries):
        raw, sealed = entry if isinstance(entry, tuple) else (entry, None)
        checks.check(StoredEntry(index, raw, sealed))
    checks.finish()
    return report


def sealed_entry(raw: bytes = b"<x/>", **changes: Any) -> tuple[bytes, SealedPayload]:
    sealed, commitment, digest = SEALER.seal(raw)
    facts = {"payload": commitment, "sealed": digest, "raw_bytes": len(raw)} | changes
    return leaf(Event.RECEIVED, **facts), sealed


RECEIVED = leaf(Event.RECEIVED)


def test_a_sound_story_has_no_finding_and_is_counted() -> None:
    report = check(
        RECEIVED,
        leaf(Event.OUTCOME, continues=0),
        leaf(Event.ANSWERED, continues=0),
        sealed_entry(),
        leaf(Event.HEARTBEAT),
    )
    assert report.findings == []
    assert (report.received, report.settled, report.pending) == (2, 1, 1)
    assert report.events == {
        "received": 2, "outcome": 1, "answered": 1, "heartbeat": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "index", "what"),
    [
        ([RECEIVED, b'{"v": 1}'], 1, "canonical|missing"),
        ([RECEIVED, leaf(Event.OUTCOME)], 1, "must continue"),
        ([RECEIVED, leaf(Event.OUTCOME, continues=1)], 1, "does not lie before"),
        ([RECEIVED, leaf(Event.OUTCOME, continues=9)], 1, "does not lie before"),
        (
            [leaf(Event.HEARTBEAT), leaf(Event.OUTCOME, continues=0)],
            1,
            "received no message",
        ),
        (
            [RECEIVED, leaf(Event.OUTCOME, continues=0), leaf(Event.OUTCOME, continues=0)],
            2,
            "second outcome",
        ),
        ([RECEIVED, leaf(Event.ERASED)], 1, "must continue"),
        (
            [RECEIVED, leaf(Event.OUTCOME, continues=0), leaf(Event.LATE, continues=1)],
            2,
            "is a late answer to entry 1, which received no message",
        ),
        ([(sealed_entry()[0], None)], 0, "payload is missing"),
        ([(RECEIVED, SealedPayload(b"x", b"y"))], 0, "knows nothing of"),
        ([(sealed_entry()[0], sealed_entry()[1])], 0, "was changed"),
    ],
)
def test_a_broken_rule_names_the_entry(entries: list[Given], index: int, what: str) -> None:
    (finding,) = check(*entries).findings
    assert index == finding.index
    assert re.search(what, finding.what)


def test_an_erased_payload_may_be_missing() -> None:
    raw, _ = sealed_entry()
    report = check(raw, leaf(Event.ERASED, continues=0))
    assert report.findings == []
    assert report.erased == 1


def test_with_the_read_key_the_commitment_is_checked() -> None:
    assert check(sealed_entry(), sealer=SEALER).findings == []
    assert check(sealed_entry(), sealer=SEALER).payloads_opened == 1
    (finding,) = check(sealed_entry(payload=bytes(32)), sealer=SEALER).findings
    assert "commits to" in finding.what
    (finding,) = check(sealed_entry(raw_bytes=5), sealer=SEALER).findings
    assert (finding.expected, finding.found) == ("5", "4")


def test_a_payload_under_another_key_is_named() -> None:
    raw, sealed = sealed_entry()
    other = SealedPayload(sealed.ciphertext, bytes(60))
    (finding,) = check((raw, other), sealer=SEALER).findings
    assert "does not open" in finding.what


def test_a_further_check_sees_leaf_and_raw_bytes() -> None:
    seen = []

    def examine(entry: StoredEntry, parsed: Leaf, raw: bytes | None) -> list[Finding]:
        seen.append((entry.index, parsed.event, raw))
        return [Finding(entry.index, "log.sqlite", "of our own")]

    report = check(sealed_entry(b"<raw/>"), sealer=SEALER, examine=examine)
    assert seen == [(0, Event.RECEIVED, b"<raw/>")]
    assert [finding.what for finding in report.findings] == ["of our own"]


def test_a_report_keeps_a_bounded_number_of_findings() -> None:
    report = LogReport()
    for index in range(1200):
        report.add(Finding(index, "log.sqlite", "x"))
    assert (len(report.findings), report.findings_left_off) == (1000, 200)


def test_a_set_of_indexes_holds_what_was_added() -> None:
    some, others = IndexSet(), IndexSet()
    for index in (0, 7, 8, 100_000):
        some.add(index)
    others.add(8)
    assert 7 in some
    assert 9 not in some
    assert 10**9 not in some
    assert list(some.difference(others)) == [0, 7, 100_000]


def test_a_finding_says_where_and_what() -> None:
    finding = Finding(3, "pages", "differs", "a", "b", (16, 32))
    assert str(finding) == "entry 3: pages bytes 16-31: differs (expected a, found b)"


def test_a_time_that_no_calendar_knows_is_found_before_it_is_examined() -> None:
    impossible = leaf(Event.HEARTBEAT).replace(b"2026-03-01T", b"2026-02-31T")
    report = check(impossible, examine=lambda entry, leaf, raw: [])
    assert [finding.index for finding in report.findings] == [0]
    assert not report.is_sound
    assert check(RECEIVED, examine=lambda entry, leaf, raw: []).is_sound


def test_continuations_tell_whose_outcome_an_entry_is() -> None:
    found = Continuations()
    found.add(7, 3)
    found.add(5000, 4999)
    assert found.is_of(7, 3)
    assert found.is_of(5000, 4999)
    assert not any(found.is_of(7, other) for other in (-1, 2, 4, 7, 8))
    assert not any(found.is_of(index, 3) for index in (-1, 3, 4, 8, 5000, 10**9))


def test_a_submission_has_an_outcome_for_each_delivery_and_is_never_pending() -> None:
    about: dict[str, Any] = {"continues": 0, "recipient": "VN/GOV/H41/motcua"}
    about |= {"verdict": "delivered", "payload": bytes(32)}
    closings = [leaf(Event.OUTCOME, position=position, **about) for position in (0, 1)]
    report = check(leaf(Event.RECEIVED, recipients=2), RECEIVED, *closings, closings[1])
    assert [(one.index, one.what) for one in report.findings] == [
        (4, "closes a delivery that is not open (delivery 1 of entry 0)")
    ]
    assert (report.received, report.settled, report.pending) == (2, 0, 1)
    assert report.deliveries.submissions == 1
