"""One message that is sent ten thousand times, while its hub dies, is accepted and done once."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path

import pytest

from tests.chaos.journals import Acted, read_journals
from tests.chaos.nursery import Nursery
from tests.chaos.receipts import accepted_receipt
from tests.chaos.strikes import HUB, besieged
from tests.chaos.struck_site import embedded_site
from tests.hub.crash_load import load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

COPIES = 10_000
LIVES = 4
ANSWERS_OF_LIFE = 1_500
"""Of the hub, which is killed after so many; the last one lives on."""


def test_ten_thousand_copies_are_one_message(tmp_path: Path) -> None:
    site = embedded_site(tmp_path)
    receipts = set()
    count = 0
    with Nursery() as nursery, besieged(nursery, site) as place:
        message = place.message()
        for life in range(LIVES):
            port = place.keep(HUB)
            found = load(
                port,
                itertools.repeat(message, COPIES - count),
                at_answer=ANSWERS_OF_LIFE if life < LIVES - 1 else 0,
                then=lambda: place.signal(HUB, signal.SIGKILL),
            )
            # What no answer came of was sent, too.
            count += len(found.told) + len(found.unanswered)
            assert {one.status for one in found.told} == {200}
            receipts |= {accepted_receipt(one.body, site.receipt_key) for one in found.told}
        place.await_end()
    assert count == COPIES
    (receipt,) = receipts
    story = site.story()
    assert story.faults == []
    assert story.received == {receipt.received_index: message.id}
    acted = [line for line in read_journals(site.agency_journal) if isinstance(line.said, Acted)]
    assert len(acted) == 1
