"""A sender that remembers what it sent and was told, and holds the hub's log against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bus.audit.folder import open_log_reader
from bus.core.errors import DeliveryInterrupted
from bus.core.exchange_leaves import DELIVERED
from bus.core.limits import Limits
from bus.core.log.leaf import Event, read_leaf
from bus.core.log.receipts import RECEIPT_NAME, Receipt
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import KnownHub, VerifiedAnswer, verify_answer
from bus.runtime.clock import now
from bus.trust.key_store import read_ed25519_key
from signing.signed_note import SigningKey
from tests.hub.crash_load import Found, LogWitness, Message, Told, hub_process, load, witness_log
from tests.nation import HUB, SmallNation, make_small_nation, request

_COPIED_EVERY = 10
"""Every so many messages are sent twice, on two connections at once."""
_REPEATED_MAX = 20
"""So many answered messages of the round before are sent again after the crash."""


@dataclass(slots=True)
class Sender:
    """A sender that forgets nothing: what it sent, what it was told."""

    nation: SmallNation
    known: KnownHub
    first: dict[str, Told] = field(default_factory=dict)
    """The first answer to each message."""
    receipts: dict[str, Receipt] = field(default_factory=dict)
    unanswered: dict[str, Message] = field(default_factory=dict)
    recent: list[Message] = field(default_factory=list)
    """Answered in the last round."""
    sent: int = 0
    told_again: int = 0

    def new_messages(self) -> Iterator[Message]:
        """Fresh ones without end, some of them twice."""
        while True:
            self.sent += 1
            name = f"kill-{self.sent:07}"
            signer = self.nation.client_signers["ed25519"]
            message = Message(name, request(self.nation, name, signer=signer, created=now()))
            yield message
            if self.sent % _COPIED_EVERY == 0:
                yield message

    def left_over(self) -> list[Message]:
        """What the last crash left: the unanswered, and some that had their answer."""
        return [*self.unanswered.values(), *self.recent[:_REPEATED_MAX]]

    def take(self, found: Found) -> None:
        """Believe nothing: verify each answer, and compare the copies byte by byte."""
        self.recent = [told.message for told in found.told]
        for told in found.told:
            name = told.message.id
            assert told.status == 200, told.body
            first = self.first.setdefault(name, told)
            self.told_again += first is not told
            assert first.body == told.body
            self.unanswered.pop(name, None)
            if name not in self.receipts:
                envelope = parse(told.message.raw, Limits())
                answer = verify_answer(told.body, envelope, self.known, now())
                assert isinstance(answer, VerifiedAnswer)
                self.receipts[name] = answer.receipt
        for message in found.unanswered:
            if message.id not in self.first:
                self.unanswered[message.id] = message


def made_sender(folder: Path) -> Sender:
    """A sender in a new nation in `folder`, by the clock on the wall."""
    nation = make_small_nation(folder, now=now())
    settings = nation.settings.log
    key = SigningKey(settings.origin + RECEIPT_NAME, read_ed25519_key(settings.signing_key))
    known = KnownHub(trust=nation.rules.trust, member=HUB.member, receipt_key=key.verifying_key)
    return Sender(nation, known)


def check_settled(sender: Sender, before: LogWitness) -> None:
    """A hub that takes requests has told, once, of each message that a crash interrupted."""
    with open_log_reader(sender.nation.settings.log.folder) as reader:
        leaves = [read_leaf(entry.leaf) for entry in reader.entries(before.report.entries)]
    outcomes = [leaf for leaf in leaves if leaf.event is Event.OUTCOME]
    assert list(before.open_ids) == [leaf.continues for leaf in outcomes]
    assert {leaf.verdict for leaf in outcomes} <= {DeliveryInterrupted.code}


def check(sender: Sender, witness: LogWitness, asked_file: Path) -> None:
    """Hold the log of a dead hub against what its sender and its agency remember."""
    assert witness.report.findings == []
    assert witness.report.pending == len(witness.open_ids)
    # What an earlier run left open was settled before this run took anything: a hub that is killed
    # while it settles has taken nothing, and the next one goes on.
    left_open = [index for index in witness.open_ids if index < witness.last_start]
    assert left_open == [] or witness.last_received < witness.last_start
    # No answer without its entries: where the receipt says, with the hashes that it names.
    for name, receipt in sender.receipts.items():
        assert witness.leaf_hashes[receipt.received_index] == receipt.received_hash
        assert witness.leaf_hashes[receipt.outcome_index] == receipt.outcome_hash
        assert witness.pairs[receipt.received_index] == receipt.outcome_index
        assert witness.delivered[name] == 1
    # One effect: nothing is delivered twice, and nothing left the hub that was not received.
    assert max(witness.delivered.values(), default=0) <= 1
    asked = Counter(asked_file.read_text().split()) if asked_file.exists() else Counter[str]()
    assert asked <= witness.received


def end_in_order(sender: Sender, before: LogWitness, asked_file: Path) -> None:
    """Start once more, ask for all that is owed, stop as an operator does, and count."""
    owed = sender.left_over()
    with hub_process(sender.nation.settings, asked_file) as hub:
        port = hub.port()
        check_settled(sender, before)
        found = load(port, iter(owed))
        hub.stop()
    assert len(owed) == len(found.told)
    sender.take(found)
    witness = witness_log(sender.nation.settings)
    check(sender, witness, asked_file)
    assert witness.open_ids == {}
    assert witness.report.received == witness.report.settled
    assert witness.verdicts.keys() <= {DELIVERED, DeliveryInterrupted.code}
    # Each message that was ever sent was delivered, once; the last batch may not have been sent.
    assert sender.unanswered == {}
    assert sender.first.keys() == {name for name, count in witness.delivered.items() if count}
