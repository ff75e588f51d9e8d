"""Know of each sender's certificate whether it is revoked, and ask anew before that is too old.

What a decision rests on is recorded before the first decision does: an auditor finds it in the log
before the message. While it is being recorded, messages of that certificate wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from bus.core.errors import BusError
from signing.errors import CertificateRejectedError
from signing.pki.revocation import Evidence, Good, Revoked, Status, Unknown

CERTIFICATES_WATCHED_MAX = 4096
SEEN_LATELY = timedelta(hours=1)
"""A certificate that was not seen for so long is asked about when it comes again."""
RETRY = timedelta(seconds=5)
"""How long nobody is asked again after nobody could tell."""
TURN_SECONDS = 1.0
"""How often is looked whose status must be asked anew."""
REFRESHING_AT_ONCE_MAX = 4
"""Certificates that are asked about in the background at one time; messages do not wait for it."""
RECORDED_KEPT_MAX = 65536
"""Pieces of evidence that are not recorded again; an older one would be, which does no harm."""
TURNS_MAX = 8
"""So often a status is looked at again because others recorded evidence meanwhile."""
_EXPIRED = datetime.min.replace(tzinfo=UTC)

_log = structlog.get_logger()

Record = Callable[[Evidence], Awaitable[None]]
"""Puts evidence into the log; it is on disk then. Raises LogUnavailable."""


class Inquiry(Protocol):
    """Finds the status of certificates: what is at hand, and what can be fetched."""

    async def at_hand(self, certificate: bytes, now: datetime) -> Status:
        """What the evidence at hand says about the path of a DER certificate."""
        ...

    async def fetch(self, certificate: bytes, now: datetime) -> None:
        """Get newer evidence at hand, as far as anybody gives it within a bounded time."""
        ...

    def subjects(self, certificate: bytes) -> frozenset[bytes]:
        """Digests of the certificates that evidence about this path is about."""
        ...

    async def concerned(self, new: Sequence[Evidence]) -> frozenset[bytes]:
        """Known certificates, in DER, of which new evidence may tell something bad."""
        ...


@dataclass(slots=True)
class _Watched:
    """One certificate, and what is known of it."""

    der: bytes = field(repr=False)
    status: Status
    ask_from: datetime
    """From then on a message waits for an answer."""
    refresh_at: datetime
    """From then on it is asked in the background, if it was seen lately."""
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class RevocationMetrics:
    """Certificates of senders that were seen lately, by what is known of them."""

    certificates: int
    revoked: int
    unknown: int
    overdue: int
    """What was said of them is no longer new enough to count."""


class RevocationWatch:
    """Owns the table of statuses; used from one event loop."""

    def __init__(
        self,
        inquiry: Inquiry,
        record: Record,
        clock: Callable[[], datetime],
        *,
        refresh_seconds: int,
    ) -> None:
        """Nothing is asked before the first message; `start` keeps what is known new."""
        self._inquiry = inquiry
        self._record = record
        self._clock = clock
        self._refresh = timedelta(seconds=refresh_seconds)
        self._watched: dict[bytes, _Watched] = {}
        self._asking: dict[bytes, asyncio.Task[Status]] = {}
        self._recorded: dict[bytes, None] = {}
        """Digests of evidence that this run has put into the log, the oldest first."""
        self._times_recorded = 0
        self._slots = asyncio.Semaphore(REFRESHING_AT_ONCE_MAX)
        self._background: set[asyncio.Task[None]] = set()

    def known(self, digest: bytes, now: datetime) -> Status | None:
        """What is known at once of the certificate with this SHA-256; None: `find` it."""
        watched = self._watched.get(digest)
        if watched is None or now >= watched.ask_from:
            return None
        watched.seen_at = now
        return watched.status

    async def find(self, digest: bytes, certificate: bytes, now: datetime) -> Status:
        """The status of a DER certificate; what it rests on is in the log. Raises LogUnavailable.

        Who asks about the same certificate meanwhile gets the same answer.
        """
        task = self._asking.get(digest)
        if task is None:
            task = asyncio.create_task(self._ask(digest, certificate, now))
            self._asking[digest] = task
            task.add_done_callback(lambda _: self._asking.pop(digest, None))
        return await asyncio.shield(task)

    async def _ask(self, digest: bytes, certificate: bytes, now: datetime) -> Status:
        recorded = self._times_recorded
        status = await self._inquiry.at_hand(certificate, now)
        if not _counts(status, now):
            await self._inquiry.fetch(certificate, now)
            recorded = self._times_recorded
            status = await self._inquiry.at_hand(certificate, now)
        # What others recorded meanwhile counts for this certificate, too.
        for _ in range(TURNS_MAX):
            recorded += await self._record_new(status)
            if recorded == self._times_recorded:
                break
            recorded = self._times_recorded
            status = await self._inquiry.at_hand(certificate, now)
        self._publish(digest, certificate, status)
        return status

    async def _record_new(self, status: Status) -> int:
        """How many pieces of evidence were put into the log."""
        evidence = () if isinstance(status, Unknown) else status.evidence
        new = [piece for piece in evidence if piece.digest not in self._recorded]
        if not new:
            return 0
        concerned = await self._inquiry.concerned(new)
        self._expire(concerned, {piece.about for piece in new})
        self._times_recorded += len(new)
        for piece in new:
            await self._record(piece)
            if len(self._recorded) >= RECORDED_KEPT_MAX:
                del self._recorded[next(iter(self._recorded))]
            self._recorded[piece.digest] = None
        return len(new)

    def _expire(self, concerned: frozenset[bytes], subjects: set[bytes]) -> None:
        """From the next entry on nobody may be judged by less than the log says.

        Who was good and is not named by the new evidence is good by it, too.
        """
        for watched in self._watched.values():
            is_good = isinstance(watched.status, Good)
            if watched.der in concerned or (
                not is_good and subjects & self._inquiry.subjects(watched.der)
            ):
                watched.ask_from = _EXPIRED

    def _publish(self, digest: bytes, certificate: bytes, status: Status) -> None:
        now = self._clock()
        if len(self._watched) >= CERTIFICATES_WATCHED_MAX and digest not in self._watched:
            del self._watched[next(iter(self._watched))]
        ask_from = now + RETRY
        if not isinstance(status, Unknown) and _counts(status, now):
            ask_from = status.next_update
        self._watched[digest] = _Watched(
            der=certificate,
            status=status,
            ask_from=ask_from,
            refresh_at=now + self._refresh,
            seen_at=now,
        )
        _report(digest, status, now)

    def metrics(self) -> RevocationMetrics:
        """For operators."""
        now = self._clock()
        statuses = [watched.status for watched in self._watched.values()]
        unknown = sum(isinstance(status, Unknown) for status in statuses)
        return RevocationMetrics(
            certificates=len(statuses),
            revoked=sum(isinstance(status, Revoked) for status in statuses),
            unknown=unknown,
            overdue=sum(not _counts(status, now) for status in statuses) - unknown,
        )

    # --- in the background -----------------------------------------------------------------

    def start(self) -> None:
        """Begin to ask anew about who was seen lately."""
        self._spawn(self._keep_new())

    async def _keep_new(self) -> None:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            for digest in self.due():
                self._spawn(self._refresh_quietly(digest))

    async def _refresh_quietly(self, digest: bytes) -> None:
        try:
            await self.refresh(digest)
        except CertificateRejectedError:  # its time is over: its messages are refused by that
            self._watched.pop(digest, None)
        except BusError as error:  # the log cannot be written: messages are refused by that
            _log.warning("revocation.not-recorded", reason=error.diagnostic)

    def due(self) -> list[bytes]:
        """Certificates to be asked about now; each is due again later."""
        now = self._clock()
        found = [
            digest
            for digest, watched in self._watched.items()
            if watched.refresh_at <= now < watched.seen_at + SEEN_LATELY
        ]
        for digest in found:
            self._watched[digest].refresh_at = now + self._refresh
        return found

    async def refresh(self, digest: bytes) -> None:
        """Ask anew; messages go on by what is known until something else is.

        Raises CertificateRejectedError, LogUnavailable.
        """
        watched, now = self._watched[digest], self._clock()
        async with self._slots:
            await self._inquiry.fetch(watched.der, now)
        found = await self._inquiry.at_hand(watched.der, now)
        if self._says_nothing_new(watched.status, found, now):
            return
        watched.ask_from = _EXPIRED
        await self.find(digest, watched.der, now)

    def _says_nothing_new(self, known: Status, found: Status, now: datetime) -> bool:
        """Evidence that says the same again need not fill the log before it is needed."""
        if isinstance(found, Unknown) or found == known:
            return True
        if isinstance(known, Unknown) or type(found) is not type(known):
            return False
        return known.next_update > now + 2 * self._refresh

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = [*self._background, *self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _counts(status: Status, now: datetime) -> bool:
    """Whether the evidence tells, and is within its window."""
    return not isinstance(status, Unknown) and now <= status.next_update


def _report(digest: bytes, status: Status, now: datetime) -> None:
    """Tell the operator whom nobody, or nobody in time, vouches for."""
    name = digest.hex()
    if isinstance(status, Unknown):
        _log.warning("revocation.unknown", certificate=name, reason=status.why)
    elif isinstance(status, Revoked):
        since = status.since.isoformat()
        _log.warning("revocation.revoked", certificate=name, since=since, reason=status.reason)
    elif now > status.next_update:
        until = status.next_update.isoformat()
        _log.warning("revocation.overdue", certificate=name, counted_until=until)
