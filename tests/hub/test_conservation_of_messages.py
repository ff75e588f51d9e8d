"""Conservation: what senders were told and what the log counts are the same, message by message."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import verify_log
from bus.core import errors
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event, Leaf
from bus.core.log.receipts import parse_receipt
from bus.core.ports.message_log import StoredEntry
from bus.kit.contract import Answer, Query
from bus.protocols.soap_xroad.read_answer import read_answer
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey, verify_note
from tests.hub.running_hub import HttpReply, RunningHub, answer_well, in_hub, stored_elsewhere
from tests.nation import CLIENT_WITHOUT_GRANT, SmallNation, request

pytestmark = pytest.mark.usefixtures("each_store")

MESSAGES = 240
NAMES = 60
"""Fewer names than messages: the others are copies and conflicts."""
FAILURES: dict[str, errors.BusError] = {
    "down": errors.RecipientUnavailable("refused"),
    "unwilling": errors.RecipientRefused(),
}
KINDS = ("good", "good", "good", "down", "unwilling", "stranger", "changed", "noise")
NOISE = b"<no envelope"
CITIZEN, OTHER_CITIZEN = b"040185766517", b"040185766518"
CODES_OF_REFUSED = {
    errors.AccessDenied.code,
    errors.MessageIdConflict.code,
    errors.NotWellFormed.code,
    errors.DigestMismatch.code,
}
CODES_OF_FAILED = {error.code for error in FAILURES.values()}

Pair = tuple[int, int]
"""The entries that a receipt names: received and outcome; twice the same for a refusal."""


def agency_of_names(query: Query) -> Answer:
    """What an agency does stands in the name of the message."""
    kind = query.message_id.partition("-")[0]
    if kind in FAILURES:
        raise FAILURES[kind]
    return answer_well(query)


def mixed_load(nation: SmallNation, luck: random.Random) -> list[bytes]:
    """Good, refused and failing messages, with copies and with other bytes under their ids."""
    made: dict[tuple[str, bool], bytes] = {}
    load = []
    for _ in range(MESSAGES):
        name = f"{luck.choice(KINDS)}-{luck.randrange(NAMES // len(KINDS))}"
        is_conflicting = luck.random() < 0.15
        if (name, is_conflicting) not in made:
            made[name, is_conflicting] = one_message(nation, name, is_conflicting=is_conflicting)
        load.append(made[name, is_conflicting])
    return load


def one_message(nation: SmallNation, name: str, *, is_conflicting: bool) -> bytes:
    issue = "other" if is_conflicting else "one"
    match name.partition("-")[0]:
        case "noise":
            return NOISE
        case "stranger":
            return request(nation, name, client=CLIENT_WITHOUT_GRANT, issue=issue)
        case "changed":
            return request(nation, name, issue=issue).replace(CITIZEN, OTHER_CITIZEN)
        case _:
            return request(nation, name, issue=issue)


@dataclass(frozen=True, slots=True)
class Told:
    """What one sender of one message believes."""

    verdict: str
    """DELIVERED, or the code of the fault."""
    pair: Pair


@dataclass(slots=True)
class Counted:
    """What the log says, read while it is verified."""

    report: LogReport = field(default_factory=LogReport)
    refused: dict[Pair, str] = field(default_factory=dict)
    """Verdicts of refusals."""
    outcomes: dict[Pair, str] = field(default_factory=dict)
    """Verdicts of what was received."""
    answered_again: Counter[int] = field(default_factory=Counter)
    """Copies that got the first answer, by the received entry of the first."""

    def examine(self, entry: StoredEntry, leaf: Leaf, raw: bytes | None) -> list[Finding]:
        match leaf.event:
            case Event.REFUSED:
                self.refused[entry.index, entry.index] = leaf.verdict or ""
            case Event.OUTCOME:
                self.outcomes[leaf.continues or 0, entry.index] = leaf.verdict or ""
            case Event.ANSWERED:
                self.answered_again[leaf.continues or 0] += 1
            case _:
                pass
        return []


def told_of(running: RunningHub, reply: HttpReply) -> Told:
    answer = read_answer(reply.body)
    assert answer.receipt_note is not None
    note = verify_note(answer.receipt_note, [running.known().receipt_key])
    receipt = parse_receipt(note.text.decode())
    assert (reply.status == 200) is (answer.fault is None)
    verdict = DELIVERED if answer.fault is None else answer.fault.code
    return Told(verdict, (receipt.received_index, receipt.outcome_index))


def count(nation: SmallNation, folder: Path) -> Counted:
    counted = Counted()
    log = nation.settings.log
    key = SigningKey(log.origin, read_ed25519_key(log.signing_key))
    counted.report = verify_log(
        folder / "log",
        database=stored_elsewhere(nation),
        checkpoint_key=key.verifying_key,
        read_key=read_symmetric_key(log.read_key),
        examine=counted.examine,
    )
    return counted


def send(nation: SmallNation, folder: Path, load: list[bytes], *, senders: int) -> list[Told]:
    """Send a load by so many senders at once; each waits for its answer. Gives what all were told,
    and holds the number of questions to the agency against it."""

    async def story(running: RunningHub) -> list[Told]:
        running.agency.script = agency_of_names
        waiting = iter(load)
        told: list[Told] = []

        async def one_sender() -> None:
            for raw in waiting:
                told.append(told_of(running, await running.post(raw)))

        await asyncio.gather(*(one_sender() for _ in range(senders)))
        taken = {one.pair for one in told if one.pair[0] != one.pair[1]}
        assert len(running.agency.asked) == len(taken)
        return told

    return in_hub(nation, folder, story)


def check(told: list[Told], counted: Counted) -> None:
    report = counted.report
    assert report.findings == []
    # Every message that was sent is in one class, and the log has the same verdict on it.
    refused = {one.pair: one.verdict for one in told if one.pair[0] == one.pair[1]}
    taken = {one.pair: one.verdict for one in told if one.pair[0] != one.pair[1]}
    assert counted.refused == refused
    assert counted.outcomes == taken
    assert set(refused.values()) == CODES_OF_REFUSED
    assert set(taken.values()) == {DELIVERED, *CODES_OF_FAILED}
    # What was taken has one outcome, and nothing is pending.
    assert report.events[Event.REFUSED] == len(refused)
    assert (report.received, report.settled, report.pending) == (len(taken), len(taken), 0)
    assert report.events[Event.ANSWERED] == counted.answered_again.total()
    assert len(told) == MESSAGES


def copies_of(told: list[Told]) -> Counter[int]:
    """How often each reply was given beyond the first time, by its received entry."""
    return Counter(one.pair[0] for one in told) - Counter({one.pair[0] for one in told})


@pytest.mark.parametrize("seed", range(2))
def test_one_after_the_other_every_message_is_counted_once(
    nation: SmallNation, tmp_path: Path, seed: int
) -> None:
    load = mixed_load(nation, random.Random(seed))

    told = send(nation, tmp_path, load, senders=1)

    counted = count(nation, tmp_path)
    check(told, counted)
    assert counted.answered_again == copies_of(told)
    # Sent is what was refused, taken or answered again; the log's own count says so.
    events = counted.report.events
    assert events[Event.REFUSED] + events[Event.RECEIVED] + events[Event.ANSWERED] == MESSAGES


@pytest.mark.parametrize("seed", range(2))
def test_all_at_once_every_message_is_counted_once(
    nation: SmallNation, tmp_path: Path, seed: int
) -> None:
    load = mixed_load(nation, random.Random(seed))

    told = send(nation, tmp_path, load, senders=16)

    counted = count(nation, tmp_path)
    check(told, counted)
    # A copy that came while the first one was in work waited for its reply: no entry of its own.
    assert counted.answered_again <= copies_of(told)
