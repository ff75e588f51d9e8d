"""Hold a log against what senders and agencies wrote down: one pure fold, for every kind of chaos.

The words are those that Jepsen uses of queues, and a few of our own:

- lost: a sender was told that it was accepted, and nothing carries it to its end
- doubled: an agency that remembers keys acted twice on one message
- unsaid: an agency that forgets acted twice, and no entry says that this may be so
- unlogged: an agency was asked for something that the log did not hold before
- unverifiable: the log, its rows or a receipt do not prove what they should
- out of order: of one conversation the later was done before the earlier
- denied: the log says that nobody acted, somebody did, and no entry hints at it
- claimed: the log says that the recipient acted, and it did not
- surprised: an agency was asked again, and was not told that this may be a copy
- stuck: there was time enough, and it is neither closed nor a dead letter

All of these are faults. What is late, recovered (done, though its sender was told nothing) or in
doubt (a dead letter that says so) is counted, and is none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.journals import Acted, Called, Line, Sent, Struck, TellAccepted
from tests.chaos.log_story import Ended, LogStory, Owed


@dataclass(frozen=True, slots=True)
class Promises:
    """What holds for whom."""

    remembering: frozenset[str] = frozenset()
    """Recipients that act once for each key."""
    lying: frozenset[str] = frozenset()
    """Recipients that do not say what they did: what the log says of them is their word."""
    is_ordered: bool = False
    """Conversations are kept in order."""
    is_drained: bool = True
    """There was time enough for everything to come to its end."""
    has_many_doors: bool = False
    """Several logs take messages: which came first, senders say, who wait for each acceptance."""
    tells_copies: bool = True
    """Nobody asks twice but one worker, who remembers what it asked."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the checker has to say."""

    faults: Sequence[tuple[str, str]]
    """Kind and sentence of each."""
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.faults}


def check(journals: Sequence[Line], story: LogStory, promises: Promises) -> Found:
    """Everything that is wrong. Pure."""
    told = {
        line.said.message: line.said for line in journals if isinstance(line.said, TellAccepted)
    }
    acts = Counter(
        (line.said.message, line.said.recipient)
        for line in journals
        if isinstance(line.said, Acted)
    )
    faults = [
        *story.faults,
        *story.unmatched_rows(),
        *_lost(journals, story),
        *_unlogged(journals, story),
        *_doubled(acts, story, promises),
        *_unsaid(acts, story, promises),
        *_untrue(acts, story, promises),
        *(_surprised(journals) if promises.tells_copies else ()),
        *(_out_of_order(journals, story, promises) if promises.is_ordered else ()),
        *(_stuck(story) if promises.is_drained else ()),
    ]
    closed = {one.message for one in story.owed.values() if one.ended is not Ended.OPEN}
    counts = Counter(
        {
            "sent": len({line.said.message for line in journals if isinstance(line.said, Sent)}),
            "told": len(told),
            "recovered": len(closed - told.keys()),
            "late": story.late,
            "in doubt": sum(one.has_doubt for one in story.owed.values()),
            "struck": sum(isinstance(line.said, Struck) for line in journals),
            "called": sum(isinstance(line.said, Called) for line in journals),
            "acted": sum(acts.values()),
        }
    )
    counts.update({ended.value: count for ended, count in story.classes.items()})
    return Found(faults, dict(counts))


def _lost(journals: Sequence[Line], story: LogStory) -> Iterator[tuple[str, str]]:
    for line in journals:
        said = line.said
        if not isinstance(said, TellAccepted):
            continue
        if story.received.get(said.received_index) != said.message:
            yield "lost", f"{said.message} was accepted, and entry {said.received_index} is not it"
        elif story.hashes.get(said.received_index) != said.received_hash:
            yield "unverifiable", f"the receipt of {said.message} names another leaf"


def _unlogged(journals: Sequence[Line], story: LogStory) -> Iterator[tuple[str, str]]:
    received = set(story.received.values())
    for line in journals:
        if not isinstance(line.said, Called | Acted):
            continue
        message = line.said.message
        at = story.committed_at.get(message, line.at)
        if message not in received or at > line.at:
            yield "unlogged", f"{message} came to {line.said.recipient} and was not in the log"


def _doubled(
    acts: Counter[tuple[str, str]], story: LogStory, promises: Promises
) -> Iterator[tuple[str, str]]:
    wanted: Counter[tuple[str, str]] = Counter()
    for owed in story.owed.values():
        wanted[owed.message, owed.recipient] += 1 + owed.resubmits
    for (message, recipient), count in acts.items():
        if recipient in promises.remembering and count > max(wanted[message, recipient], 1):
            yield "doubled", f"{recipient} acted {count} times on {message}"


def _unsaid(
    acts: Counter[tuple[str, str]], story: LogStory, promises: Promises
) -> Iterator[tuple[str, str]]:
    """Agencies that forget act again where nobody knew whether they did, and there alone."""
    for owed in story.owed.values():
        # Of those that remember, twice is wrong whatever the log says.
        is_believed = owed.recipient not in promises.lying | promises.remembering
        count = acts[owed.message, owed.recipient]
        if is_believed and count > 1 and not (owed.has_doubt or owed.has_late or owed.was_resent):
            yield "unsaid", f"{owed.recipient} acted {count} times on {owed.message}"


def _untrue(
    acts: Counter[tuple[str, str]], story: LogStory, promises: Promises
) -> Iterator[tuple[str, str]]:
    for owed in story.owed.values():
        if not owed.recipient or owed.recipient in promises.lying:
            continue
        has_acted = acts[owed.message, owed.recipient] > 0
        is_denied = owed.ended in (Ended.REFUSED, Ended.EXPIRED)
        if is_denied and has_acted and not owed.has_late:
            yield "denied", f"{owed.message}: {owed.ended.value}, and {owed.recipient} acted"
        if owed.ended is Ended.DELIVERED and not has_acted:
            yield "claimed", f"{owed.message}: {owed.recipient} did not act"


def _surprised(journals: Sequence[Line]) -> Iterator[tuple[str, str]]:
    """Of an attempt that was on its way for long, the later one said that it may be a copy."""
    last: dict[tuple[str, str], int] = {}
    for line in journals:
        said = line.said
        if not isinstance(said, Called):
            continue
        before = last.get((said.message, said.recipient), 0)
        if before and said.attempt >= before and not said.is_said_to_be_copy:
            yield (
                "surprised",
                f"{said.recipient} got {said.message} again, as if for the first time",
            )
        last[said.message, said.recipient] = max(before, said.attempt)


def _out_of_order(
    journals: Sequence[Line], story: LogStory, promises: Promises
) -> Iterator[tuple[str, str]]:
    """By the order in which the log took them, what was first done of each."""
    conversation_of = {
        line.said.message: line.said.conversation
        for line in journals
        if isinstance(line.said, Sent)
    }
    place_of = {message: index for index, message in story.received.items()}
    if promises.has_many_doors:
        sent = [line.said.message for line in journals if isinstance(line.said, Sent)]
        place_of = {message: place for place, message in enumerate(dict.fromkeys(sent))}
    skipped = {
        (one.message, one.recipient)
        for one in story.owed.values()
        if one.was_dead  # whoever came behind may have been let pass
    }
    last: dict[tuple[str, str], tuple[int, str]] = defaultdict(lambda: (-1, ""))
    seen: set[tuple[str, str]] = set()
    for line in journals:
        said = line.said
        if not isinstance(said, Acted):
            continue
        name = (said.message, said.recipient)
        lane = (conversation_of.get(said.message, ""), said.recipient)
        if not lane[0] or name in seen or name in skipped or said.message not in place_of:
            continue
        seen.add(name)
        place = place_of[said.message]
        before, message = last[lane]
        if place < before:
            yield "out of order", f"{said.recipient} did {message} before {said.message}"
        last[lane] = max(last[lane], (place, said.message))


def _stuck(story: LogStory) -> Iterator[tuple[str, str]]:
    for key, owed in story.owed.items():
        if owed.ended is Ended.OPEN:
            row: Owed | str = owed
            found = story.rows.get(key)
            if found is not None:
                row = f"{found.delivery.state.value}, attempt {found.delivery.attempt}"
            yield "stuck", f"{owed.message}/{key.position} came to no end: {row}"
