"""A hub killed at any moment: no answer without its entries, no message with two effects."""

from __future__ import annotations

import os
import random
import threading
from itertools import chain
from pathlib import Path
from time import perf_counter

import pytest

from tests.hub.crash_load import LogWitness, hub_process, load, witness_log
from tests.hub.remembering_sender import Sender, check, check_settled, end_in_order, made_sender

ROUNDS = int(os.environ.get("LIENTHONG_KILL_ROUNDS", "5"))
SECONDS_MAX = 600 + 60 * ROUNDS
KILL_AT_START_EVERY = 5
"""In every so many rounds the kill hits the start: opening, recovery, settling."""
ANSWERS_MAX = 200


@pytest.mark.timeout(SECONDS_MAX)
def test_a_hub_killed_at_any_moment_keeps_every_promise(tmp_path: Path) -> None:
    sender = made_sender(tmp_path / "nation")
    asked_file = tmp_path / "asked"
    luck = random.Random(ROUNDS)
    began = perf_counter()
    witness = LogWitness()
    interrupted = findings = 0
    for number in range(1, ROUNDS + 1):
        if number % KILL_AT_START_EVERY == 0:
            _kill_at_start(sender, asked_file, luck)
        else:
            _kill_under_load(sender, witness, asked_file, luck, has_judge_process=number % 2 == 0)
        witness = witness_log(sender.nation.settings)
        interrupted += len(witness.open_ids)
        findings += len(witness.report.findings)
        check(sender, witness, asked_file)
    end_in_order(sender, witness, asked_file)
    print(
        f"{ROUNDS} kills: {sender.sent} messages sent, {len(sender.first)} answered, "
        f"{sender.told_again} told again, {interrupted} interrupted, {findings} findings, "
        f"{perf_counter() - began:.0f} s"
    )


def _kill_under_load(
    sender: Sender,
    before: LogWitness,
    asked_file: Path,
    luck: random.Random,
    *,
    has_judge_process: bool,
) -> None:
    settings = sender.nation.settings
    with hub_process(settings, asked_file, has_judge_process=has_judge_process) as hub:
        port = hub.port()
        check_settled(sender, before)
        # The moment after the answer is what spreads the kills over the steps of a commit.
        found = load(
            port,
            chain(sender.left_over(), sender.new_messages()),
            at_answer=luck.randrange(1, ANSWERS_MAX),
            then=hub.kill,
            after_seconds=luck.uniform(0, 0.03),
        )
    sender.take(found)


def _kill_at_start(sender: Sender, asked_file: Path, luck: random.Random) -> None:
    with hub_process(sender.nation.settings, asked_file) as hub:
        timer = threading.Timer(luck.uniform(0, 0.15), hub.kill)
        timer.start()
        timer.join()
