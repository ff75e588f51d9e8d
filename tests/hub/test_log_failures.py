"""No log, no message: what the hub does, and tells, while its log cannot be written or read."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.core import errors
from bus.core.attachments import message_digest
from bus.core.envelope import SoapVersion
from bus.core.ports.message_log import LogWrite
from bus.log.message_log import HubLog
from bus.protocols.soap_xroad.names import CONTENT_TYPES
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.attachments import attachment
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.log.small_database import SmallDisk
from tests.nation import SAMPLE, SmallNation, request


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path) as one:
        yield one


class UnwilledLog:
    """Stands before the real log and refuses what a test says, as a full disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuses: Callable[[LogWrite], bool] = lambda write: False
        self.unreadable: errors.BusError | None = None
        append, read = HubLog.append, HubLog.read

        async def append_or_refuse(log: HubLog, write: LogWrite) -> object:
            if self.refuses(write):
                raise errors.LogUnavailable("database or disk is full")
            return await append(log, write)

        async def read_or_refuse(log: HubLog, index: int, origin: str | None = None) -> object:
            if self.unreadable is not None:
                raise self.unreadable
            return await read(log, index, origin)

        monkeypatch.setattr(HubLog, "append", append_or_refuse)
        monkeypatch.setattr(HubLog, "read", read_or_refuse)


@pytest.fixture
def log(hub: OpenHub, monkeypatch: pytest.MonkeyPatch) -> UnwilledLog:
    """The log of a hub that is open."""
    return UnwilledLog(monkeypatch)


def test_without_a_log_nothing_leaves_and_the_hub_goes_on_when_it_is_back(
    nation: SmallNation, hub: OpenHub, log: UnwilledLog
) -> None:
    log.refuses = lambda write: True

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


def test_a_refusal_that_cannot_be_recorded_is_not_told(
    nation: SmallNation, hub: OpenHub, log: UnwilledLog
) -> None:
    log.refuses = lambda write: True

    async def story(running: RunningHub) -> None:
        reply = await running.post(b"no message")

        assert reply.status == 503
        assert errors.LogUnavailable.code.encode() in reply.body
        assert errors.NotWellFormed.code.encode() not in reply.body

    hub.tell(story)


@pytest.mark.parametrize("version", SoapVersion)
def test_without_a_log_what_cannot_be_read_is_refused_in_the_version_of_its_head(
    version: SoapVersion, hub: OpenHub, log: UnwilledLog
) -> None:
    log.refuses = lambda write: True

    async def story(running: RunningHub) -> None:
        reply = await running.post(b"no message", content_type=CONTENT_TYPES[version].encode())

        assert reply.status == 503
        assert reply.headers[b"content-type"] == CONTENT_TYPES[version].encode()
        assert f'<soap:Envelope xmlns:soap="{version}">'.encode() in reply.body

    hub.tell(story)


def test_without_a_log_a_fault_names_what_came_beside_the_message_too(
    hub: OpenHub, log: UnwilledLog
) -> None:
    log.refuses = lambda write: True
    raw, beside = b"no message", (attachment(),)

    async def story(running: RunningHub) -> None:
        reply = await running.hub.answer(raw, beside)

        assert base64.b64encode(message_digest(raw, beside)) in reply.body

    hub.tell(story)


def test_an_answer_that_cannot_be_recorded_is_not_told(
    nation: SmallNation, hub: OpenHub, log: UnwilledLog
) -> None:
    log.refuses = lambda write: write.settlement is not None

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


@pytest.mark.parametrize("error", [errors.LogCorrupt, errors.LogUnavailable])
def test_a_log_that_cannot_be_read_is_told(
    error: type[errors.BusError], nation: SmallNation, hub: OpenHub, log: UnwilledLog
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation)
        await running.post(raw)

        log.unreadable = error("there is no entry")
        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == error.code
        log.unreadable = None
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    hub.tell(story)
