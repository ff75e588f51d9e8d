"""Call adapters: each agency on threads of its own, in bounded number and for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import structlog

from bus.core.errors import (
    AdapterBroken,
    AgencyBusy,
    AnswerInvalid,
    BusError,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.http.read_replies import bytes_read_here
from bus.kit.contract import (
    Adapter,
    Answer,
    Delivered,
    Disposition,
    Query,
    Rejected,
    Retry,
    Submission,
    overrides,
)
from bus.runtime.bulkheads import Bulkhead
from bus.runtime.daemon_threads import DaemonThreads

_ALLOWED = (
    AnswerInvalid,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
Made = TypeVar("Made")
AT_ONCE_MAX = Limits().exchanges_at_once_per_agency_max
REPLIES_BYTES_MAX = 16 * 1024 * 1024
"""So many bytes of an agency's replies are read on one thread; the next call goes to its successor.
More than for strangers: a new thread connects anew and reads a WSDL again."""
_log = structlog.get_logger()


def _has_read_much() -> bool:
    return bytes_read_here() >= REPLIES_BYTES_MAX


def _raise(error: BusError) -> NoReturn:
    raise error


@dataclass(frozen=True, slots=True)
class AdapterMetrics:
    """Queries to one agency."""

    adapter: str
    in_work: int
    hanging: int
    """Calls that nobody waits for any more, and that still hold their thread."""
    refused: int
    """Since the start: there was no room for them."""


class AdapterCalls:
    """Calls one adapter. A slow agency holds its own threads and nobody else's.

    Owns the threads; used from the event loop's thread.
    """

    def __init__(
        self,
        adapter_id: str,
        adapter: Adapter,
        *,
        concurrency: int,
        at_once_max: int = AT_ONCE_MAX,
    ) -> None:
        """`concurrency` calls are made at one time; `at_once_max` may be made or wait."""
        self._adapter_id = adapter_id
        self._adapter = adapter
        self._concurrency = concurrency
        self._places = Bulkhead(at_once_max, AgencyBusy)
        self._hanging = 0
        """Calls that nobody waits for any more, and that still hold their thread."""
        self.deliveries_at_once = max(1, concurrency // 2)
        """Deliveries take half of the threads at most: whoever asks does not wait for them."""
        self._threads = DaemonThreads(concurrency, f"adapter-{adapter_id}", is_worn=_has_read_much)

    def place(self) -> Bulkhead:
        """Room for one query, to be held while it is in work.

        It is refused when entered, or here when hanging calls hold every thread. Raises AgencyBusy.
        """
        if self._hanging >= self._concurrency:
            self._places.refuse(f"{self._hanging} calls hang and hold every thread")
        return self._places

    def metrics(self) -> AdapterMetrics:
        """For operators."""
        return AdapterMetrics(
            self._adapter_id, self._places.in_work, self._hanging, self._places.refused
        )

    async def call(self, query: Query, finish: Callable[[Answer], Made]) -> Made:
        """What `finish` makes of the adapter's answer, on the thread that called it.

        Within `query.timeout_seconds`, waiting for a thread included. What an agency sends is
        nothing for the event loop, however large it is.
        Raises what `finish` raises, the errors of the adapter contract, and AdapterBroken for
        anything else that the adapter raises.
        """
        if self._adapter.answers_at_once:
            answer = self._answer(query)
            return await asyncio.to_thread(finish, answer) if answer.attachments else finish(answer)
        work = self._threads.submit(lambda: finish(self._answer(query)))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), query.timeout_seconds)
        except TimeoutError as error:
            # The thread goes on until the adapter's own time is up; what it brings is dropped.
            if not work.done():  # one that only waited was cancelled
                self._await_hanging(work)
            raise RecipientTimeout(
                public_detail=f"no answer within {query.timeout_seconds:g} s"
            ) from error

    async def deliver(
        self,
        submission: Submission,
        report: Callable[[Callable[[], Disposition]], Made],
        is_in_time: Callable[[], bool],
        *,
        asks_first: bool,
    ) -> Made:
        """What `report` makes of a delivery, on the thread that makes it; the event loop's, where
        the adapter waits for nothing.

        `report` is given the call, which raises what `call` raises. It is not begun when
        `is_in_time` is false by the time that a thread is free. With `asks_first` the agency is
        asked for what it may have had before. Within `submission.timeout_seconds`, with waiting.
        Raises AgencyBusy (it was not begun), RecipientTimeout (nobody knows what comes of it).
        """
        if self.delivers_here:
            return await self._deliver_here(submission, report, is_in_time, asks_first=asks_first)
        if self._hanging >= self._concurrency:
            raise AgencyBusy(f"{self._hanging} calls hang and hold every thread")

        def do() -> Made:
            if not is_in_time():
                raise AgencyBusy("no thread was free in time")
            return report(lambda: self._deliver(submission, asks_first=asks_first))

        work = self._threads.submit(do)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(work), submission.timeout_seconds)
        except TimeoutError as error:
            if work.cancelled():
                raise AgencyBusy("no thread was free in time") from error
            if not work.done():
                self._await_hanging(work)
            raise RecipientTimeout(
                public_detail=f"no answer within {submission.timeout_seconds:g} s"
            ) from error

    async def _deliver_here(
        self,
        submission: Submission,
        report: Callable[[Callable[[], Disposition]], Made],
        is_in_time: Callable[[], bool],
        *,
        asks_first: bool,
    ) -> Made:
        """The same, by an adapter that waits for nothing. Raises AgencyBusy."""
        if not is_in_time():
            raise AgencyBusy("nobody came to it in time")
        made: Callable[[], Disposition] = partial(self._deliver, submission, asks_first=asks_first)
        try:
            disposition = made()
        except BusError as error:
            return report(partial(_raise, error))
        if isinstance(disposition, Delivered) and disposition.attachments:
            return await asyncio.to_thread(report, lambda: disposition)  # they are read
        return report(lambda: disposition)

    @property
    def delivers_here(self) -> bool:
        """Whether deliveries are made on the event loop's thread."""
        return self._adapter.answers_at_once

    @property
    def can_probe(self) -> bool:
        """Whether the adapter can see, without a message, if its agency is there."""
        return overrides(type(self._adapter), "probe")

    async def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        """See whether a recipient can be reached, on a thread of its agency.

        Within `timeout_seconds`, with waiting. Raises AgencyBusy (no thread was free: it was not
        asked), and the errors of `call`.
        """
        if self._hanging >= self._concurrency:
            raise AgencyBusy(f"{self._hanging} calls hang and hold every thread")

        def do() -> None:
            self._held(lambda: self._adapter.probe(recipient, timeout_seconds), "probe")

        work = self._threads.submit(do)
        try:
            await asyncio.wait_for(asyncio.wrap_future(work), timeout_seconds)
        except TimeoutError as error:
            if work.cancelled():
                raise AgencyBusy("no thread was free in time") from error
            if not work.done():
                self._await_hanging(work)
            raise RecipientTimeout(
                public_detail=f"no answer within {timeout_seconds:g} s"
            ) from error

    def _await_hanging(self, work: Future[Any]) -> None:
        loop = asyncio.get_running_loop()
        self._hanging += 1

        def has_ended(_: Future[Any]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, too
                loop.call_soon_threadsafe(self._free_thread)

        work.add_done_callback(has_ended)

    def _free_thread(self) -> None:
        self._hanging -= 1

    def _answer(self, query: Query) -> Answer:
        def ask() -> Answer:
            answer = self._adapter.answer(query)
            if not isinstance(answer, Answer):
                raise TypeError("an adapter's answer must be an Answer")
            return answer

        return self._held(ask, query.idempotency_key)

    def _deliver(self, submission: Submission, *, asks_first: bool) -> Disposition:
        def deliver() -> Disposition:
            found = self._adapter.find(submission) if asks_first else None
            disposition = self._adapter.deliver(submission) if found is None else found
            if not isinstance(disposition, Delivered | Retry | Rejected):
                raise TypeError("an adapter must say Delivered, Retry or Rejected")
            return disposition

        return self._held(deliver, submission.idempotency_key)

    def _held(self, call: Callable[[], Made], message_key: str) -> Made:
        """What an adapter gives, held to the errors of its contract."""
        try:
            return call()
        except _ALLOWED:
            raise
        except BusError as error:
            raise AdapterBroken(f"raised {type(error).__name__}") from error
        except Exception as error:
            # An exception's text may hold the payload: places only.
            frames = traceback.extract_tb(error.__traceback__)
            _log.error(
                "adapter.broken",
                adapter=self._adapter_id,
                message_key=message_key,
                error=type(error).__name__,
                places=[f"{frame.filename}:{frame.lineno}" for frame in frames[-4:]],
            )
            raise AdapterBroken(f"raised {type(error).__name__}") from error

    def close(self) -> None:
        """Let no new call in, drop the waiting ones, close the adapter; as long as it takes."""
        self._threads.shutdown()
        self._adapter.close()
