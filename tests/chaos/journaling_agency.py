"""An agency that writes down what it was asked and did, over every restart of whoever asks it.

Its journal is its memory: processes that speak to the same agency find there what the others did.
How it is at the moment stands in a file, which whoever makes things go wrong changes.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import threading
import time
from enum import StrEnum
from pathlib import Path

from lxml import etree

from bus.core.errors import RecipientBrokeOff, RecipientUnavailable
from bus.kit.contract import (
    Adapter,
    AdapterSettings,
    Delivered,
    Disposition,
    Rejected,
    Retry,
    Submission,
)
from tests.chaos.journals import Acted, Called, FileJournal

HANG_SECONDS = 8.0
"""Longer than any service lets it take."""
POISON = "poison"
"""Messages whose name begins so end the process that asks, before the agency has seen them."""


class Manner(StrEnum):
    """How an agency is, always."""

    REMEMBERS = "remembers"
    FORGETS = "forgets"
    """It acts whenever it is asked."""
    LIES = "lies"
    """It forgets, and now and then does not say what it did."""


class Mood(StrEnum):
    """How an agency is for a while."""

    WELL = "well"
    SLOW = "slow"
    HANGS = "hangs"
    """It acts, or does not, long after everybody has left."""
    AWAY = "away"
    BREAKS_OFF = "breaks off"
    """It acts, or does not, and nobody hears of it."""
    REFUSES = "refuses"
    BUSY = "busy"
    CONFUSED = "confused"
    """It acts, and its answer is none."""


class JournalingAgency(Adapter):
    """Its settings: `journal` names the file; `manner`, `mood` and `seed` may say how it is."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self._file = Path(settings["journal"])
        self._journal = FileJournal(self._file)
        self._manner = Manner(settings.get("manner", Manner.REMEMBERS))
        self._mood = Path(settings["mood"]) if "mood" in settings else None
        self._acted: set[str] = set()
        self._read_bytes = 0
        self._turn = threading.Lock()

    def deliver(self, submission: Submission) -> Disposition:
        if submission.message_id.startswith(POISON):
            os._exit(70)
        self._journal.write(
            Called(
                submission.message_id,
                str(submission.recipient),
                submission.idempotency_key,
                submission.attempt,
                submission.may_be_repeated,
            )
        )
        luck = random.Random(f"{submission.idempotency_key} {time.monotonic_ns()}")
        if self._manner is Manner.LIES and luck.random() < 0.2:
            return self._lie(submission, luck)
        return self._deliver(submission, self._mood_now(), luck)

    def _deliver(self, submission: Submission, mood: Mood, luck: random.Random) -> Disposition:
        if mood is Mood.AWAY:
            raise RecipientUnavailable("away")
        if mood is Mood.REFUSES and not self._has_acted(submission):
            return Rejected("R1", "not today")
        if mood is Mood.BUSY:
            return Retry(0.5, "busy")
        if mood in (Mood.SLOW, Mood.HANGS):
            time.sleep(1.0 if mood is Mood.SLOW else HANG_SECONDS)
        if mood not in (Mood.HANGS, Mood.BREAKS_OFF) or luck.random() < 0.5:
            self._act_once(submission)
        if mood in (Mood.HANGS, Mood.BREAKS_OFF):
            raise RecipientBrokeOff("nothing came back")
        if mood is Mood.CONFUSED:
            return Delivered(etree.fromstring("<something xmlns='urn:else'/>"))
        return Delivered()

    def _lie(self, submission: Submission, luck: random.Random) -> Disposition:
        if luck.random() < 0.5:
            self._act_once(submission)
            return luck.choice((Rejected("R2", "no"), Retry(None, "no")))
        return Delivered()

    def _mood_now(self) -> Mood:
        if self._mood is None:
            return Mood.WELL
        try:
            return Mood(self._mood.read_text().strip())
        except (OSError, ValueError):
            return Mood.WELL

    # --- its memory ----------------------------------------------------------------------------

    def _has_acted(self, submission: Submission) -> bool:
        with self._turn, self._file.open("rb") as file:
            self._learn(file.fileno())
        return submission.idempotency_key in self._acted

    def _act_once(self, submission: Submission) -> None:
        """Two that are asked at one moment take turns: an agency has one memory."""
        key = submission.idempotency_key
        with self._turn, self._file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._learn(file.fileno())
            if key not in self._acted or self._manner is not Manner.REMEMBERS:
                self._act(submission)

    def _act(self, submission: Submission) -> None:
        key, recipient = submission.idempotency_key, str(submission.recipient)
        self._journal.write(Acted(submission.message_id, recipient, key))

    def _learn(self, file: int) -> None:
        """Read what has been written since."""
        os.lseek(file, self._read_bytes, os.SEEK_SET)
        content = b""
        while part := os.read(file, 1 << 20):
            content += part
        whole, end, _ = content.rpartition(b"\n")
        self._read_bytes += len(whole) + len(end)
        lines = (json.loads(line) for line in whole.splitlines())
        self._acted |= {line["key"] for line in lines if line["what"] == Acted.what}
