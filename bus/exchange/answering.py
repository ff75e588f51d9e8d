"""Ask an agency for the answer to a message, hold it to its schema, have it signed in its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bus.core.decision import Accepted
from bus.delivery.adapter_messages import query_of
from bus.delivery.answers import AgencyAnswers, FinishedAnswer
from bus.delivery.asked_query import AskedQuery
from bus.exchange.messages import IncomingRequest, Outcome
from bus.exchange.reception import TakenMessage
from bus.kit.contract import Answer, Query

Made = TypeVar("Made")


class Asking(Protocol):
    """Whoever has the answers to messages of one kind."""

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """Room for a message. Raises AgencyBusy, here or when entered."""
        ...

    async def ask(self, taken: TakenMessage) -> Outcome:
        """The signed answer to a message that was recorded. Raises a BusError."""
        ...


class AgencyCall(Protocol):
    """The way to one agency's adapter."""

    def place(self) -> AbstractContextManager[None]:
        """Room for one query while it is in work. Raises AgencyBusy, here or when entered."""
        ...

    async def call(self, query: Query, finish: Callable[[Answer], Made]) -> Made:
        """What `finish` makes of the agency's answer, within the query's time.

        It is made where the answer was read, if that is beside the event loop. Raises a BusError.
        """
        ...


class AgenciesElsewhere(Protocol):
    """The way to agencies whose workers are elsewhere."""

    def asks(self, adapter: str) -> bool:
        """Whether this adapter's work is done there."""
        ...

    def place(self, adapter: str) -> AbstractContextManager[None]:
        """Room for one query while it is in work. Raises AgencyBusy, here or when entered."""
        ...

    async def ask(self, asked: AskedQuery) -> FinishedAnswer:
        """The agency's answer, proved, within the query's time. Raises a BusError."""
        ...


@dataclass(frozen=True, slots=True)
class Answering:
    """Agencies, and what becomes of their answers."""

    agencies: Mapping[str, AgencyCall]
    """By adapter id."""
    answers: AgencyAnswers
    elsewhere: AgenciesElsewhere | None = None
    """Those whose workers are elsewhere; None: there are none."""

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """Room for a message at its agency. Raises AgencyBusy, here or when entered."""
        if self.elsewhere is not None and self.elsewhere.asks(accepted.adapter):
            return self.elsewhere.place(accepted.adapter)
        return self.agencies[accepted.adapter].place()

    async def ask(self, taken: TakenMessage) -> Outcome:
        """The signed answer to a message that was recorded. Raises a BusError."""
        if self.elsewhere is not None and self.elsewhere.asks(taken.accepted.adapter):
            finished = await self.elsewhere.ask(_asked(taken))
        else:
            finished = await self._ask_here(taken.accepted, taken.request)
        return Outcome(await finished.signed(), finished.time, finished.attachments)

    async def _ask_here(self, accepted: Accepted, request: IncomingRequest) -> FinishedAnswer:
        provider = accepted.service.provider.member

        def finish(answer: Answer) -> FinishedAnswer:
            return self.answers.finish(accepted, provider, answer.element, answer.attachments)

        query = query_of(accepted, request.attachments)
        return await self.agencies[accepted.adapter].call(query, finish)


class OwnService(Protocol):
    """What the hub answers itself, in its own name."""

    async def answer(self, accepted: Accepted, raw: bytes) -> FinishedAnswer:
        """The answer to a message whose bytes were `raw`. Raises a BusError."""
        ...


@dataclass(frozen=True, slots=True)
class OwnAnswering:
    """Asks the hub itself."""

    service: OwnService

    def room(self, accepted: Accepted) -> AbstractContextManager[None]:
        """There is always room: no agency is waited for."""
        return nullcontext()

    async def ask(self, taken: TakenMessage) -> Outcome:
        """The hub's signed answer. Raises a BusError."""
        finished = await self.service.answer(taken.accepted, taken.request.raw)
        return Outcome(await finished.signed(), finished.time, finished.attachments)


def _asked(taken: TakenMessage) -> AskedQuery:
    request = taken.request
    return AskedQuery(taken.accepted, request.raw, request.attachments, taken.entry.index)
