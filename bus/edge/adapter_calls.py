"""Call adapters: each agency on threads of its own, in bounded number and for a bounded time."""

from __future__ import annotations

import asyncio
import traceback
from functools import partial

import structlog

from bus.core.errors import (
    AdapterBroken,
    AnswerInvalid,
    BusError,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.edge.daemon_threads import DaemonThreads
from bus.kit.contract import Adapter, Answer, Query

_ALLOWED = (
    AnswerInvalid,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
_log = structlog.get_logger()


class AdapterCalls:
    """Calls one adapter. A slow agency holds its own threads and nobody else's.

    Owns the threads; used from the event loop's thread.
    """

    def __init__(self, adapter_id: str, adapter: Adapter, *, concurrency: int) -> None:
        self._adapter_id = adapter_id
        self._adapter = adapter
        self._threads = DaemonThreads(concurrency, f"adapter-{adapter_id}")

    async def call(self, query: Query) -> Answer:
        """The adapter's answer, within `query.timeout_seconds`, waiting for a thread included.

        Raises the errors of the adapter contract; AdapterBroken for anything else.
        """
        if self._adapter.answers_at_once:
            return self._answer(query)
        work = asyncio.wrap_future(self._threads.submit(partial(self._answer, query)))
        try:
            return await asyncio.wait_for(work, query.timeout_seconds)
        except TimeoutError as error:
            # The thread goes on until the adapter's own time is up; what it brings is dropped.
            raise RecipientTimeout(
                public_detail=f"no answer within {query.timeout_seconds:g} s"
            ) from error

    def _answer(self, query: Query) -> Answer:
        try:
            answer = self._adapter.answer(query)
            if not isinstance(answer, Answer):
                raise TypeError("an adapter's answer must be an Answer")
            return answer
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
                message_key=query.idempotency_key,
                error=type(error).__name__,
                places=[f"{frame.filename}:{frame.lineno}" for frame in frames[-4:]],
            )
            raise AdapterBroken(f"raised {type(error).__name__}") from error

    def close(self) -> None:
        """Let no new call in, drop the waiting ones, close the adapter; as long as it takes."""
        self._threads.shutdown()
        self._adapter.close()
