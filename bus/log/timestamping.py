"""Have the log's checkpoints stamped by a time authority, in the background.

Messages never wait for it. While the authority is away the hub goes on and says so; when entries
have stood without a timestamp for longer than the bound, it takes no message until one comes.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.errors import ConfigurationError, LogUnavailable, Problem
from bus.http.bounded_get import Bounds, FetchFailed, FetchRequest, fetch
from bus.log.files import CHECKPOINT, NOTE_BYTES_MAX
from bus.log.timestamp_files import find_last_token, store_anchors, store_timestamp
from bus.runtime.found_files import read_file
from bus.runtime.telemetry import places_of
from bus.settings.timestamp import TimestampSettings
from bus.trust.key_store import read_certificates
from signing.pki.timestamps import (
    TIMESTAMP_BYTES_MAX,
    Timestamp,
    TimestampInvalid,
    TimestampTrust,
    timestamp_request,
    verify_timestamp,
)

LOOK_SECONDS = 1.0
"""How often the newest checkpoint is looked at."""
RETRY_SECONDS_MAX = 16
"""After failures the authority is asked again 1, 2, 4, 8 seconds later, at last this much."""
LAST_TRY_SECONDS_MAX = 5
"""How long a hub that closes waits for a timestamp of its last checkpoint."""

_REQUEST_TYPE = "application/timestamp-query"
_REPLY_TYPE = "application/timestamp-reply"
_NONCE_BITS = 64

_log = structlog.get_logger()

AskAuthority = Callable[[TimestampSettings, bytes], bytes]
"""Hand a request (DER) to the authority; gives its response. Raises TimestampFailed."""


class TimestampFailed(Exception):
    """No timestamp came; the text says why."""


@dataclass(frozen=True, slots=True)
class TimestampState:
    """How the log stands with its time authority."""

    last_size: int
    """Entries under the last timestamp."""
    last_time: datetime | None = None
    """When the authority made it; None: not in this run."""
    pending_since: datetime | None = None
    """Since when entries have stood without one; None: all have one."""
    failure: str = ""
    """Why the last attempt failed; empty when it did not."""
    clock_offset_seconds: float = 0.0
    """How far our clock was ahead of the authority's at the last timestamp."""


def read_timestamp_trust(settings: TimestampSettings) -> TimestampTrust:
    """The anchors of time authorities. Raises ConfigurationError."""
    anchors = read_certificates(settings.anchors)
    intermediates = read_certificates(settings.intermediates)
    try:
        return TimestampTrust(
            [one.public_bytes(Encoding.DER) for one in anchors],
            [one.public_bytes(Encoding.DER) for one in intermediates],
        )
    except TimestampInvalid as error:
        raise ConfigurationError([Problem(str(settings.anchors[0]), "", str(error))]) from error


def ask_authority(settings: TimestampSettings, request: bytes) -> bytes:
    """Ask over HTTP (RFC 3161 §3.4), bounded in time and size. Raises TimestampFailed."""
    headers = {"content-type": _REQUEST_TYPE, "accept": _REPLY_TYPE}
    bounds = Bounds(settings.timeout_seconds, TIMESTAMP_BYTES_MAX)
    try:
        return fetch(FetchRequest(settings.url, request, headers), bounds)
    except FetchFailed as error:
        raise TimestampFailed(f"the authority cannot be asked: {error}") from error


class Timestamper:
    """Stamps the checkpoints of one log's folder. Owns its thread and its state."""

    def __init__(
        self,
        folder: Path,
        settings: TimestampSettings,
        trust: TimestampTrust,
        *,
        clock: Callable[[], datetime],
        ask: AskAuthority = ask_authority,
        kept: Callable[[], None] = lambda: None,
    ) -> None:
        """`kept` is told of each token that lies in the folder; it may raise LogUnavailable, and
        is told of the next one, too.

        Raises OSError: the anchors cannot be kept in the log's folder.
        """
        store_anchors(folder, trust.anchors)
        last = find_last_token(folder)
        self._folder = folder
        self._settings = settings
        self._trust = trust
        self._clock = clock
        self._ask = ask
        self._kept = kept
        self.state = TimestampState(last.size if last else 0)
        """How things stand; replaced as a whole by the thread that stamps, read by any."""
        self._asked_at: datetime | None = None
        self._ask_from: datetime | None = None
        """When the authority was asked last, and from when on it may be asked again."""
        self._failures = 0
        """One after the other, bounded."""
        self._was_overdue = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="timestamper", daemon=True)

    def start(self, *, pending_since: datetime | None = None) -> None:
        """Begin; `pending_since` is the time of the first entry that has no timestamp yet."""
        self.state = replace(self.state, pending_since=pending_since)
        self._thread.start()

    @property
    def timeout_seconds(self) -> float:
        """How long the authority may take."""
        return self._settings.timeout_seconds

    def is_overdue(self, now: datetime) -> bool:
        """Whether entries have stood without a timestamp for too long at `now`."""
        since = self.state.pending_since
        if since is None:
            return False
        return now - since > timedelta(seconds=self._settings.outage_seconds_max)

    def close(self) -> None:
        """Stop, with a last timestamp if the authority is there and quick."""
        self._stopping.set()
        self._thread.join(self._settings.timeout_seconds + LAST_TRY_SECONDS_MAX)
        if not self._thread.is_alive() and not self.state.failure:
            self._ask_from = None
            seconds = min(self._settings.timeout_seconds, LAST_TRY_SECONDS_MAX)
            self._settings = replace(self._settings, timeout_seconds=seconds)
            self.stamp()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.stamp()
            except Exception as error:  # a mistake of ours: told, and looked at again
                _log.error("timestamp.broken", error=type(error).__name__, places=places_of(error))
            self._stopping.wait(LOOK_SECONDS)

    def stamp(self) -> None:
        """Look at the newest checkpoint, and have it stamped if that is due."""
        now = self._clock()
        note, size = self._newest_checkpoint()
        if size <= self.state.last_size:
            self.state = replace(self.state, pending_since=None)
            return
        if self.state.pending_since is None:
            self.state = replace(self.state, pending_since=now)
        if self._may_ask(now):
            self._ask_for(note, size, now)
        is_overdue = self.is_overdue(now)
        if is_overdue and not self._was_overdue:
            _log.error("timestamp.overdue", pending_since=str(self.state.pending_since))
        self._was_overdue = is_overdue

    def _newest_checkpoint(self) -> tuple[bytes, int]:
        try:
            note = read_file(self._folder / CHECKPOINT, NOTE_BYTES_MAX)
            return note, int(note.split(b"\n", 2)[1])
        except (OSError, IndexError, ValueError):
            return b"", 0  # none yet, or a disk in trouble, which the log itself tells

    def _may_ask(self, now: datetime) -> bool:
        if self._ask_from is None or self._asked_at is None:
            return True
        # A clock that was set back must not keep the authority unasked for hours.
        return now >= self._ask_from or now < self._asked_at

    def _ask_for(self, note: bytes, size: int, now: datetime) -> None:
        self._asked_at = now
        try:
            stamped = self._stamped(note, size)
        except (TimestampFailed, TimestampInvalid, OSError) as error:
            wait_seconds = min(2**self._failures, RETRY_SECONDS_MAX)
            self._failures = min(self._failures + 1, RETRY_SECONDS_MAX)
            self._ask_from = now + timedelta(seconds=wait_seconds)
            _log.warning("timestamp.pending", size=size, detail=str(error))
            self.state = replace(self.state, failure=str(error))
            return
        self._ask_from = now + timedelta(seconds=self._settings.interval_seconds)
        self._failures = 0
        if self.state.failure:
            _log.warning("timestamp.recovered", size=size)
        offset = (now - stamped.time).total_seconds()
        self.state = TimestampState(size, stamped.time, clock_offset_seconds=offset)

    def _stamped(self, note: bytes, size: int) -> Timestamp:
        nonce = secrets.randbits(_NONCE_BITS)
        response = self._ask(self._settings, timestamp_request(note, nonce))
        stamped = verify_timestamp(response, note, self._trust, nonce=nonce)
        store_timestamp(self._folder, size, note, response, stamped.time)
        with contextlib.suppress(LogUnavailable):
            self._kept()
        return stamped
