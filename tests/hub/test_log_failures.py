"""No log, no message: what the hub does, and tells, while its log cannot be written or read."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core import errors
from bus.core.ports.message_log import LogWrite
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.log.small_database import SmallDisk
from tests.nation import SAMPLE, SmallNation, request


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path) as one:
        yield one


class UnwilledLog:
    """Stands before the real log and refuses what a test says, as a full disk does."""

    def __init__(self, hub: OpenHub, refuses: Callable[[LogWrite], bool]) -> None:
        self._exchanges = hub.running.hub._exchanges
        self._log = self._exchanges._dependencies.recorder.log
        self.refuses = refuses

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append(self, write: LogWrite) -> object:
        if self.refuses(write):
            raise errors.LogUnavailable("database or disk is full")
        return await self._log.append(write)


def with_unwilled_log(hub: OpenHub, refuses: Callable[[LogWrite], bool]) -> UnwilledLog:
    log = UnwilledLog(hub, refuses)
    exchanges = hub.running.hub._exchanges
    recorder = replace(exchanges._dependencies.recorder, log=log)  # type: ignore[arg-type]
    exchanges._dependencies = replace(exchanges._dependencies, recorder=recorder)
    return log


def test_without_a_log_nothing_leaves_and_the_hub_goes_on_when_it_is_back(
    nation: SmallNation, hub: OpenHub
) -> None:
    log = with_unwilled_log(hub, lambda write: True)

    async def story(running: RunningHub) -> None:
        raw = request(nation)

        reply = await running.post(raw)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.receipt) == (errors.LogUnavailable.code, None)
        assert reply.status == 503
        assert reply.headers[b"retry-after"]
        assert running.agency.asked == []

        log.refuses = lambda write: False
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    hub.tell(story)


def test_on_a_full_disk_nothing_leaves_and_the_hub_goes_on_when_there_is_room(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SmallDisk(monkeypatch)

    async def story(running: RunningHub) -> None:
        # More than the free room of a page, also when it is packed.
        blanks = "".join(random.Random(1).choices(" \n\t", k=40_000)).encode()
        raw = request(nation, body=SAMPLE.replace(b"\n  <p:Ma", blanks + b"<p:Ma"))
        disk.leave_pages(0)

        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.receipt) == (errors.LogUnavailable.code, None)
        assert running.agency.asked == []

        disk.leave_pages(1_000_000)
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    with opened(nation, tmp_path) as hub:
        hub.tell(story)


def test_a_refusal_that_cannot_be_recorded_is_not_told(nation: SmallNation, hub: OpenHub) -> None:
    with_unwilled_log(hub, lambda write: True)

    async def story(running: RunningHub) -> None:
        reply = await running.post(b"no message")

        assert reply.status == 503
        assert errors.LogUnavailable.code.encode() in reply.body
        assert errors.NotWellFormed.code.encode() not in reply.body

    hub.tell(story)


def test_an_answer_that_cannot_be_recorded_is_not_told(nation: SmallNation, hub: OpenHub) -> None:
    log = with_unwilled_log(hub, lambda write: write.settlement is not None)

    async def story(running: RunningHub) -> None:
        raw = request(nation)

        reply = await running.post(raw)

        assert reply.status == 503
        assert b"CongdanCollection" not in reply.body
        assert errors.LogUnavailable.code.encode() in reply.body
        assert b"send the same bytes again" in reply.body
        assert len(running.agency.asked) == 1

        # The first try is told in the log as interrupted, the second one is answered.
        log.refuses = lambda write: False
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        assert [leaf.verdict for leaf in running.leaves()[-4:]] == [
            "accepted",
            errors.DeliveryInterrupted.code,
            "accepted",
            "delivered",
        ]

    hub.tell(story)


def test_a_damaged_log_is_told(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation)
        await running.post(raw)
        recorder = running.hub._exchanges._dependencies.recorder

        async def read(index: int) -> object:
            raise errors.LogCorrupt(f"there is no entry {index}")

        log = with_unwilled_log(hub, lambda write: False)
        log.read = read  # type: ignore[attr-defined]
        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.LogCorrupt.code
        assert recorder.log is not log

    hub.tell(story)


def test_a_log_that_cannot_be_read_is_unavailable(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation)
        await running.post(raw)

        async def read(index: int) -> object:
            raise errors.LogUnavailable("no")

        with_unwilled_log(hub, lambda write: False).read = read  # type: ignore[attr-defined]
        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.LogUnavailable.code

    hub.tell(story)
