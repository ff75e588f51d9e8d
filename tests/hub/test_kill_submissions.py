"""A hub killed at any moment while it accepts and delivers: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import pytest

from bus.audit.checks.conservation import DeliveryClass
from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import verify_log
from bus.core.routing import delivery_digest, delivery_idempotency_key
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.runtime.clock import now
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.crash_load import Found, Message, hub_process, load
from tests.hub.submission_nation import NOTICE, OFFICES, make_submission_nation
from tests.nation import CLIENT, SmallNation, packaged_sample, payload

ROUNDS = int(os.environ.get("LIENTHONG_KILL_ROUNDS", "4"))
ANSWERS_MAX = 60


@dataclass(slots=True)
class Submitter:
    """A sender that sends again what nobody confirmed, and remembers what was."""

    nation: SmallNation
    sent: int = 0
    accepted: set[str] = field(default_factory=set)
    unanswered: dict[str, Message] = field(default_factory=dict)

    def new_messages(self) -> Iterator[Message]:
        while True:
            self.sent += 1
            name = f"kill-{self.sent:05}"
            raw = write_request(
                RequestHeader(CLIENT, NOTICE, name, recipients=OFFICES),
                payload(packaged_sample(NOTICE)),
                self.nation.client_signers["ed25519"],
                SigningTime(now()),
            )
            yield Message(name, raw)

    def take(self, found: Found) -> None:
        for told in found.told:
            assert told.status == 200, told.body
            self.accepted.add(told.message.id)
            self.unanswered.pop(told.message.id, None)
        self.unanswered |= {one.id: one for one in found.unanswered}

    def keys(self, message_id: str) -> set[str]:
        """What its recipients know it by."""
        return {
            delivery_idempotency_key(delivery_digest(CLIENT, message_id, office))
            for office in OFFICES
        }


def report(nation: SmallNation) -> LogReport:
    log = nation.settings.log
    key = SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key
    read_key = read_symmetric_key(log.read_key)
    return verify_log(log.folder, checkpoint_key=key, read_key=read_key)


@pytest.mark.slow
@pytest.mark.timeout(600 + 60 * ROUNDS)
def test_a_hub_killed_while_it_delivers_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    nation = make_submission_nation(tmp_path / "nation", attempts_max=100, now=now())
    submitter, journal = Submitter(nation), tmp_path / "journal"
    luck = random.Random(ROUNDS)
    interrupted = 0
    for _ in range(ROUNDS):
        with hub_process(nation.settings, journal) as hub:
            messages = chain(list(submitter.unanswered.values()), submitter.new_messages())
            found = load(
                hub.port(),
                messages,
                at_answer=luck.randrange(1, ANSWERS_MAX),
                then=hub.kill,
                after_seconds=luck.uniform(0, 0.05),
            )
        submitter.take(found)
        killed = report(nation)
        assert killed.findings == []
        interrupted += killed.deliveries.totals[DeliveryClass.PENDING]
    ended = end_in_order(submitter, journal)

    assert ended.findings == []
    assert ended.deliveries.submissions == len(submitter.accepted)
    assert ended.deliveries.totals == {
        DeliveryClass.DELIVERED: len(OFFICES) * len(submitter.accepted)
    }
    # Whatever recipients saw was of an accepted message, under the one key that it has for each.
    seen = {tuple(line.split()) for line in journal.read_text().splitlines()}
    wanted = {(one, key) for one in submitter.accepted for key in submitter.keys(one)}
    assert seen == wanted
    assert interrupted > 0


def end_in_order(submitter: Submitter, journal: Path) -> LogReport:
    """Send what was not confirmed once more, wait until all is delivered, end the hub."""
    nation = submitter.nation
    with hub_process(nation.settings, journal) as hub:
        submitter.take(load(hub.port(), iter(list(submitter.unanswered.values()))))
        assert not submitter.unanswered
        deadline = time.monotonic() + HANG_SECONDS_MAX
        while report(nation).deliveries.totals[DeliveryClass.PENDING]:
            assert time.monotonic() < deadline, "deliveries stay open"
            time.sleep(0.2)
        hub.stop()
    return report(nation)
