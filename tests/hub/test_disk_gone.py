"""A disk that goes away at run time: what was answered is on it when it comes back."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path

import pytest

from bus.core.errors import LogUnavailable
from bus.core.limits import Limits
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import VerifiedFault, verify_answer
from bus.runtime.clock import now
from tests.hub.crash_load import Found, hub_process, load, witness_log
from tests.hub.remembering_sender import Sender, check, end_in_order, made_sender
from tests.hub.small_disks import made_image, mounted, take_away

ANSWERS_MAX = 120
MESSAGES_AFTER = 60
"""Sent when the disk has gone, or a moment before."""


@pytest.mark.parametrize("seed", range(3))
def test_what_was_answered_is_there_when_the_disk_comes_back(tmp_path: Path, seed: int) -> None:
    sender = made_sender(tmp_path / "nation")
    image, asked_file = made_image(tmp_path / "image"), tmp_path / "asked"
    disk = sender.nation.settings.log.folder

    with mounted(disk, "-o", "loop", str(image)):
        found = until_gone(sender, disk, asked_file, random.Random(seed))
    refused = [told for told in found.told if told.status != 200]
    answered = [told for told in found.told if told.status == 200]
    assert found.unanswered == []
    assert refused
    for told in refused:
        envelope = parse(told.message.raw, Limits())
        fault = verify_answer(told.body, envelope, sender.known, now())
        assert isinstance(fault, VerifiedFault)
        assert (told.status, fault.fault.code) == (503, LogUnavailable.code)
        assert (fault.fault.is_retryable, fault.receipt) == (True, None)
    sender.take(Found(answered, [told.message for told in refused]))

    with mounted(disk, "-o", "loop", str(image)):
        witness = witness_log(sender.nation.settings)
        check(sender, witness, asked_file)
        end_in_order(sender, witness, asked_file)


def until_gone(sender: Sender, disk: Path, asked_file: Path, luck: random.Random) -> Found:
    """Take the disk away while the hub works on it; everybody gets a reply all the same."""
    answers = luck.randrange(1, ANSWERS_MAX)
    with hub_process(sender.nation.settings, asked_file) as hub:
        return load(
            hub.port(),
            islice(sender.new_messages(), answers + MESSAGES_AFTER),
            at_answer=answers,
            then=lambda: take_away(disk),
            after_seconds=luck.uniform(0, 0.01),
        )
