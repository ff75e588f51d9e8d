"""Wait for the answers to queries, and hand on those that nobody waits for any more."""

from __future__ import annotations

import asyncio

import structlog

from bus.core.errors import LogUnavailable, RecipientTimeout, RecipientUnavailable
from bus.core.ports.broker import HandleLate, Made, ReadAnswer, Taken
from bus.runtime.telemetry import places_of

ANSWERS_WAITING_MAX = 4
"""Answers to one question that wait to be read; whoever sends more at one time is not heard."""
LATE_AT_ONCE_MAX = 64
"""Answers that nobody waits for and that are told at one time; further ones are forgotten."""

_log = structlog.get_logger()


class OpenQuestion:
    """One query on its way. Used from one event loop."""

    def __init__(self) -> None:
        self._said: asyncio.Queue[Taken | RecipientUnavailable] = asyncio.Queue()
        self.is_open = True
        """Somebody waits for an answer."""

    def answer(self, taken: Taken) -> None:
        """This came as an answer."""
        if self._said.qsize() < ANSWERS_WAITING_MAX:
            self._said.put_nowait(taken)

    def give_up(self, why: RecipientUnavailable) -> None:
        """No answer comes any more."""
        self._said.put_nowait(why)

    async def wait(self, seconds_max: float, read: ReadAnswer[Made]) -> Made:
        """What the first answer says of which `read` makes something.

        Raises RecipientUnavailable, RecipientTimeout, and what `read` raises.
        """
        try:
            async with asyncio.timeout(max(seconds_max, 0)):
                return await self._first(read)
        except TimeoutError:
            raise RecipientTimeout("no worker answered in time") from None
        finally:
            self.is_open = False

    async def _first(self, read: ReadAnswer[Made]) -> Made:
        while True:
            said = await self._said.get()
            if isinstance(said, RecipientUnavailable):
                raise said
            made = await read(said)
            if made is not None:
                return made


class LateAnswers:
    """Tells of answers that nobody waits for, beside everything else."""

    def __init__(self) -> None:
        self._handle: HandleLate | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, handle: HandleLate | None) -> None:
        """Tell this one from now on."""
        self._handle = handle

    def tell(self, taken: Taken) -> None:
        """This came."""
        if self._handle is None or len(self._tasks) >= LATE_AT_ONCE_MAX:
            return
        task = asyncio.create_task(_tell(self._handle, taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Tell no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _tell(handle: HandleLate, taken: Taken) -> None:
    try:
        await handle(taken)
    except LogUnavailable as error:
        _log.warning("broker.late-answer-forgotten", detail=error.diagnostic)
    except Exception as error:  # a mistake of ours: nobody waits for it
        _log.error("broker.late-answer-broken", error=type(error).__name__, places=places_of(error))
