"""Whatever comes in, the event loop turns: it does not work long, and waits for no thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.kit.contract import Answer
from bus.protocols.mime.write import write_related
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.hub.sending_attachments import nation_with_attachments, pdf, post, signed
from tests.loop_watchdog import WORK_SECONDS_MAX, watching
from tests.nation import ANSWER, SAMPLE, SmallNation, payload, request

MIB = 1024 * 1024
SIZES = {"1 KB": 1000, "58 KB": 58_000, "1.6 MB": 1_600_000, "9 MB": 9_000_000}


@pytest.fixture(scope="module")
def taking(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return nation_with_attachments(nation, tmp_path_factory.mktemp("taking"))


@pytest.fixture
def hub(taking: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(taking, tmp_path) as one:
        yield one


# --- the watchdog itself -------------------------------------------------------------------------


def test_work_on_the_loop_is_noticed_and_waiting_for_others_is_not_work() -> None:
    def work() -> None:
        until = time.thread_time() + 2 * WORK_SECONDS_MAX
        while time.thread_time() < until:
            pass

    async def story(*, works: bool) -> None:
        await asyncio.sleep(3 * WORK_SECONDS_MAX)
        await asyncio.to_thread(work)
        if works:
            work()

    with watching() as watched:
        asyncio.run(story(works=False))
    watched.require_turning()
    with watching() as watched:
        asyncio.run(story(works=True))
    with pytest.raises(AssertionError, match="kept the event loop"):
        watched.require_turning()


def test_waiting_on_the_loop_for_a_thread_is_noticed() -> None:
    async def story() -> None:
        event = threading.Event()
        threading.Timer(0.01, event.set).start()
        event.wait(10)

    with watching() as watched:
        asyncio.run(story())

    with pytest.raises(AssertionError, match="waited for a thread"):
        watched.require_turning()


# --- requests ------------------------------------------------------------------------------------


def _text(nation: SmallNation, count: int) -> bytes:
    return b"<a>" + b"x" * count + b"</a>"


def _signed_text(nation: SmallNation, count: int) -> bytes:
    return request(nation, f"text-{count}", body=SAMPLE.replace(b"0401", b"0" * count + b"0401"))


def _forged_text(nation: SmallNation, count: int) -> bytes:
    return _signed_text(nation, count).replace(b"H41-2026-1", b"H41-2026-2")


def _no_xml(nation: SmallNation, count: int) -> bytes:
    return bytes(count)


def _cut(nation: SmallNation, count: int) -> bytes:
    return _signed_text(nation, count)[:-20]


REQUESTS: dict[str, Callable[[SmallNation, int], bytes]] = {
    "text": _text,
    "signed, of a proved sender": _signed_text,
    "forged": _forged_text,
    "no XML": _no_xml,
    "cut off": _cut,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_of_any_size_lets_the_loop_turn(
    kind: str, size: str, taking: SmallNation, hub: OpenHub
) -> None:
    raw = REQUESTS[kind](taking, SIZES[size])

    with watching() as watched:
        reply = hub.tell(lambda running: running.post(raw))

    assert reply.status == 500
    watched.require_turning()


@pytest.mark.parametrize("size", SIZES)
def test_an_answer_of_any_size_lets_the_loop_turn_and_so_does_its_copy(
    size: str, taking: SmallNation, hub: OpenHub
) -> None:
    raw = request(taking)
    # Zeros before a number are no mistake.
    answer = ANSWER.replace(b'SoCongDan="', b'SoCongDan="' + b"0" * SIZES[size])
    assert len(answer) > SIZES[size]

    async def story(running: RunningHub) -> None:
        running.agency.script = lambda query: Answer(payload(answer), (pdf(bytes(SIZES[size])),))
        first, second = await running.post(raw), await running.post(raw)
        assert (first.status, first.body == second.body) == (200, True)

    with watching() as watched:
        hub.tell(story)

    watched.require_turning()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_signed", [True, False])
def test_attachments_of_any_size_beside_a_soap_part_of_any_size_let_the_loop_turn(
    size: str, is_signed: bool, taking: SmallNation, hub: OpenHub
) -> None:
    beside = [pdf(bytes(2 * SIZES[size]))]
    soap = signed(taking, beside) if is_signed else _text(taking, SIZES[size])
    message = write_related(soap, beside)

    with watching() as watched:
        reply = hub.tell(lambda running: post(running, message))

    assert reply.status == (200 if is_signed else 500)
    watched.require_turning()
