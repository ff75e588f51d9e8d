"""Adapters are called within bounds; what they raise beyond their contract is their mistake."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields, replace

import pytest
import structlog
from lxml import etree

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.delivery.adapter_calls import AdapterCalls, AdapterMetrics
from bus.kit.contract import Adapter, Answer, Delivered, Disposition, Query, Submission
from bus.kit.made_attachments import attachment_of_bytes
from tests.hang_limits import HANG_SECONDS_MAX

QUERY = Query(
    service=ServiceId.parse("VN/GOV/G01/dancu/TraCuu/v1"),
    client=SubsystemId.parse("VN/GOV/H41/motcua"),
    message_id="m-1",
    idempotency_key="k-1",
    user_id="",
    issue="",
    purpose="",
    payload=b"<a/>",
    timeout_seconds=HANG_SECONDS_MAX,
)


SUBMISSION = Submission(
    **{field.name: getattr(QUERY, field.name) for field in fields(Query)},
    recipient=SubsystemId.parse("VN/GOV/G01/dancu"),
)


class Scripted(Adapter):
    """Does what a test says; remembers the threads that it was called on."""

    def __init__(self, script: Callable[[Query], Answer]) -> None:
        super().__init__({})
        self.script = script
        self.threads: list[threading.Thread] = []
        self.is_closed = False

    def answer(self, query: Query) -> Answer:
        self.threads.append(threading.current_thread())
        return self.script(query)

    def close(self) -> None:
        self.is_closed = True


class Immediate(Scripted):
    answers_at_once = True


def well(query: Query) -> Answer:
    return Answer(query.element())


def as_it_is(answer: Answer) -> Answer:
    return answer


def raising(error: Exception) -> Callable[[Query], Answer]:
    def script(query: Query) -> Answer:
        raise error

    return script


@contextmanager
def calls_of(adapter: Scripted, concurrency: int = 2) -> Iterator[AdapterCalls]:
    calls = AdapterCalls("one_agency", adapter, concurrency=concurrency)
    try:
        yield calls
    finally:
        calls.close()


def test_an_adapter_answers_on_a_thread_of_its_own() -> None:
    adapter = Scripted(well)

    with calls_of(adapter) as calls:
        element = asyncio.run(calls.call(QUERY, as_it_is)).element

    assert element.tag == "a"
    assert adapter.threads[0].name.startswith("adapter-one_agency")
    assert adapter.is_closed


def test_an_adapter_that_never_waits_needs_no_thread() -> None:
    adapter = Immediate(well)

    with calls_of(adapter) as calls:
        asyncio.run(calls.call(QUERY, as_it_is))

    assert adapter.threads == [threading.current_thread()]


@pytest.mark.parametrize("kind", [Scripted, Immediate])
@pytest.mark.parametrize(
    "error",
    [
        errors.PayloadRejected("x"),
        errors.RecipientRefused("x"),
        errors.RecipientTimeout("x"),
        errors.RecipientUnavailable("x"),
    ],
)
def test_what_the_contract_allows_is_passed_on(
    kind: type[Scripted], error: errors.BusError
) -> None:
    with calls_of(kind(raising(error))) as calls, pytest.raises(type(error)) as caught:
        asyncio.run(calls.call(QUERY, as_it_is))

    assert caught.value is error


@pytest.mark.parametrize("kind", [Scripted, Immediate])
@pytest.mark.parametrize(
    "error",
    [errors.AccessDenied(), errors.LogCorrupt(), KeyError("SoDinhDanh"), TimeoutError("x")],
)
def test_anything_else_is_the_adapters_mistake(kind: type[Scripted], error: Exception) -> None:
    with calls_of(kind(raising(error))) as calls, pytest.raises(errors.AdapterBroken) as caught:
        asyncio.run(calls.call(QUERY, as_it_is))

    assert str(caught.value) == f"raised {type(error).__name__}"


def test_the_operator_gets_places_and_never_the_text_of_a_mistake() -> None:
    with (
        structlog.testing.capture_logs() as told,
        calls_of(Scripted(raising(ValueError("040185766517")))) as calls,
        pytest.raises(errors.AdapterBroken),
    ):
        asyncio.run(calls.call(QUERY, as_it_is))

    (entry,) = told
    assert entry["event"] == "adapter.broken"
    assert "test_adapter_calls.py" in entry["places"][-1]
    assert "040185766517" not in repr(entry)


def test_an_answer_that_does_not_come_in_time_is_not_waited_for() -> None:
    gate = threading.Event()
    adapter = Scripted(lambda query: (gate.wait(HANG_SECONDS_MAX), well(query))[1])

    with calls_of(adapter) as calls:
        with pytest.raises(errors.RecipientTimeout, match=r"no answer within 0\.05 s"):
            asyncio.run(calls.call(replace(QUERY, timeout_seconds=0.05), as_it_is))
        gate.set()


def test_only_so_many_calls_are_made_at_once_and_waiting_counts() -> None:
    gate = threading.Event()
    adapter = Scripted(lambda query: (gate.wait(HANG_SECONDS_MAX), well(query))[1])

    async def story(calls: AdapterCalls) -> Answer:
        first = asyncio.create_task(calls.call(QUERY, as_it_is))
        while not adapter.threads:
            await asyncio.sleep(0)
        with pytest.raises(errors.RecipientTimeout):
            await calls.call(replace(QUERY, timeout_seconds=0.05), as_it_is)
        assert len(adapter.threads) == 1
        gate.set()
        return await first

    with calls_of(adapter, concurrency=1) as calls:
        assert asyncio.run(story(calls)).element.tag == "a"


def test_calls_that_hang_are_counted_and_nobody_waits_behind_them() -> None:
    gate = threading.Event()
    adapter = Scripted(lambda query: (gate.wait(HANG_SECONDS_MAX), well(query))[1])
    soon = replace(QUERY, timeout_seconds=0.05)

    async def story(calls: AdapterCalls) -> None:
        for _ in range(2):
            with calls.place(), pytest.raises(errors.RecipientTimeout):
                await calls.call(soon, as_it_is)
        assert calls.metrics() == AdapterMetrics("one_agency", in_work=0, hanging=2, refused=0)
        with pytest.raises(errors.AgencyBusy, match="2 calls hang"):
            calls.place()
        gate.set()
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while calls.metrics().hanging:
                await asyncio.sleep(0.001)
        with calls.place():
            assert (await calls.call(QUERY, as_it_is)).element.tag == "a"

    with calls_of(adapter, concurrency=2) as calls:
        asyncio.run(story(calls))


def test_a_call_that_only_waited_is_never_made_and_does_not_hang() -> None:
    gate = threading.Event()
    adapter = Scripted(lambda query: (gate.wait(HANG_SECONDS_MAX), well(query))[1])
    soon = replace(QUERY, timeout_seconds=0.05)

    async def story(calls: AdapterCalls) -> None:
        for _ in range(3):
            with pytest.raises(errors.RecipientTimeout):
                await calls.call(soon, as_it_is)
        assert calls.metrics().hanging == 1
        gate.set()
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while calls.metrics().hanging:
                await asyncio.sleep(0.001)
        await calls.call(QUERY, as_it_is)
        assert len(adapter.threads) == 2

    with calls_of(adapter, concurrency=1) as calls:
        asyncio.run(story(calls))


def test_only_so_many_queries_may_wait_for_one_agency() -> None:
    calls = AdapterCalls("one_agency", Scripted(well), concurrency=1, at_once_max=1)

    with calls.place(), pytest.raises(errors.AgencyBusy), calls.place():
        pass
    with calls.place():
        assert calls.metrics().in_work == 1
    calls.close()


class DeliveringAtOnce(Adapter):
    """Says what a test says, on whatever thread it is asked."""

    answers_at_once = True

    def __init__(self, said: Disposition | Exception) -> None:
        super().__init__({})
        self.said = said
        self.threads: list[threading.Thread] = []

    def deliver(self, submission: Submission) -> Disposition:
        self.threads.append(threading.current_thread())
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def delivered_by(
    adapter: Adapter, *, is_in_time: bool = True
) -> tuple[Disposition, threading.Thread]:
    """What was reported, and on which thread."""

    def report(call: Callable[[], Disposition]) -> tuple[Disposition, threading.Thread]:
        return call(), threading.current_thread()

    with closing(AdapterCalls("test", adapter, concurrency=1)) as calls:
        assert calls.delivers_here == adapter.answers_at_once
        delivering = calls.deliver(SUBMISSION, report, lambda: is_in_time, asks_first=False)
        return asyncio.run(delivering)


def test_an_adapter_that_never_waits_delivers_without_a_thread() -> None:
    adapter = DeliveringAtOnce(Delivered())
    assert delivered_by(adapter) == (Delivered(), threading.current_thread())
    assert adapter.threads == [threading.current_thread()]


def test_attachments_of_an_answer_are_not_read_on_the_event_loop() -> None:
    said = Delivered(
        etree.Element("a"), (attachment_of_bytes(b"x", content_id="a", media_type="text/plain"),)
    )
    disposition, thread = delivered_by(DeliveringAtOnce(said))
    assert disposition is said
    assert thread is not threading.current_thread()


def test_what_comes_too_late_is_not_begun_by_an_adapter_that_never_waits() -> None:
    adapter = DeliveringAtOnce(Delivered())
    with pytest.raises(errors.AgencyBusy):
        delivered_by(adapter, is_in_time=False)
    assert not adapter.threads


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (errors.RecipientRefused("x"), errors.RecipientRefused),
        (KeyError("SoDinhDanh"), errors.AdapterBroken),
    ],
)
def test_what_an_adapter_raises_that_never_waits_is_reported(
    raised: Exception, told: type[errors.BusError]
) -> None:
    with pytest.raises(told):
        delivered_by(DeliveringAtOnce(raised))
