"""Keep hubs and workers running while something strikes them, as a system does: what ends begins
anew."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.nursery import Nursery, StruckProgram

_LOOK_SECONDS = 0.1
_AGAIN_SECONDS = 0.5
"""After it ended, until it begins anew."""


class KeptProgram:
    """One program, over all its lives. Used from one event loop."""

    def __init__(
        self, nursery: Nursery, name: str, module: str, arguments: Sequence[str], told: Path
    ) -> None:
        self.name = name
        self.port: int | None = None
        """Where it takes requests now, if it is a hub that does."""
        self.lives = 0
        self.is_held_down = False
        """It does not begin anew for now."""
        self._nursery = nursery
        self._module = module
        self._arguments = arguments
        self._told = told
        self._program: StruckProgram | None = None
        self._is_ending = False
        self._keeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.name}")

    @property
    def process_id(self) -> int | None:
        """None: it is not there."""
        return None if self._program is None else self._program.process_id

    def signal(self, number: signal.Signals) -> None:
        """If it is there."""
        if self._program is not None:
            self._program.signal(number)

    def stop(self) -> None:
        """Let it end in order; then it begins anew."""
        if self._program is not None:
            self._program.close_input()

    async def end(self) -> None:
        """End it in order, and let it not begin anew."""
        self._is_ending = True
        if self._program is not None:
            self._program.close_input()
        if self._keeping is not None:
            await self._keeping

    async def _keep(self) -> None:
        while not self._is_ending:
            if self.is_held_down:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            await self._live()
            if not self._is_ending:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _live(self) -> None:
        with contextlib.ExitStack() as end:
            program = await asyncio.to_thread(
                end.enter_context,
                self._nursery.program(self._module, self._arguments, told=self._told),
            )
            self._program = program
            self.lives += 1
            if self._is_ending:
                program.close_input()
            while await asyncio.to_thread(lambda: program.is_alive):
                line = program.said()
                if line:
                    self.port = int(line)
                await asyncio.sleep(_LOOK_SECONDS)
            self.port = self._program = None
