"""One effect: what is asked twice is answered once, and what failed may be asked again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from bus.core import errors
from bus.core.log.leaf import Event
from bus.exchange.recording import Recorder
from bus.kit.contract import Answer, Query
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import OpenHub, RunningHub, answer_well, opened
from tests.nation import (
    ANSWER,
    CLIENT,
    LOOKUP,
    OTHER_CLIENT,
    SAMPLE,
    SLOW_SERVICE,
    SmallNation,
    payload,
    request,
)

pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path) as one:
        yield one


def slow_request(nation: SmallNation, message_id: str = "m-1") -> bytes:
    body = SAMPLE.replace(b"TraCuuThongTinCongDan", SLOW_SERVICE.service_code.encode())
    return request(nation, message_id, service=SLOW_SERVICE, body=body)


# --- one effect ----------------------------------------------------------------------------------


def test_a_request_is_answered_under_the_agencys_signature(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation)

        reply = await running.post(raw)

        answer = running.proved(reply, raw)
        assert isinstance(answer, VerifiedAnswer)
        assert str(answer.signer) == "VN/GOV/G01"
        assert reply.status == 200
        assert [(leaf.event, leaf.verdict) for leaf in running.leaves()[-2:]] == [
            (Event.RECEIVED, "accepted"),
            (Event.OUTCOME, "delivered"),
        ]
        (query,) = running.agency.asked
        assert (query.service, query.client, query.message_id) == (LOOKUP, CLIENT, "m-1")
        assert query.element().findtext("{*}SoDinhDanh") == "040185766517"
        assert query.purpose.startswith("Giải quyết")

    hub.tell(story)


def test_the_second_copy_gets_the_first_answer_and_the_first_receipt(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation)

        first = await running.post(raw)
        second = await running.post(raw)

        assert first == second
        assert first.body == second.body
        assert len(running.agency.asked) == 1
        assert running.leaves()[-1].event is Event.ANSWERED

    hub.tell(story)


def test_the_same_id_with_other_bytes_is_refused(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        await running.post(request(nation, issue="one"))
        other = request(nation, issue="other")

        told = running.proved(await running.post(other), other)

        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.MessageIdConflict.code
        assert len(running.agency.asked) == 1

    hub.tell(story)


def test_the_same_id_of_another_sender_is_another_message(
    nation: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        for client in (CLIENT, OTHER_CLIENT):
            raw = request(nation, client=client)
            assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

        assert len(running.agency.asked) == 2

    hub.tell(story)


def test_copies_that_arrive_together_are_carried_once(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        gate = threading.Event()
        running.agency.script = lambda query: (gate.wait(HANG_SECONDS_MAX), answer_well(query))[1]
        raw, other = request(nation), request(nation, issue="other bytes")
        copies = [asyncio.create_task(running.post(raw)) for _ in range(5)]
        await _until(lambda: bool(running.agency.asked))

        conflict = running.proved(await running.post(other), other)
        gate.set()
        replies = await asyncio.gather(*copies)

        assert len({reply.body for reply in replies}) == 1
        assert len(running.agency.asked) == 1
        assert isinstance(conflict, VerifiedFault)
        assert conflict.fault.code == errors.MessageIdConflict.code

    hub.tell(story)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0)


# --- the agency fails ------------------------------------------------------------------------


def failing(error: Exception) -> Callable[[Query], Answer]:
    def script(query: Query) -> Answer:
        raise error

    return script


def answering(raw: bytes) -> Callable[[Query], Answer]:
    return lambda query: Answer(payload(raw))


FAILURES = {
    "down": (failing(errors.RecipientUnavailable("refused")), errors.RecipientUnavailable),
    "late by itself": (failing(errors.RecipientTimeout()), errors.RecipientTimeout),
    "not letting the hub in": (failing(errors.AccountRefused()), errors.AccountRefused),
    "unwilling": (failing(errors.RecipientRefused()), errors.RecipientRefused),
    "not able to say it": (failing(errors.PayloadRejected()), errors.PayloadRejected),
    "broken": (failing(RuntimeError("số 040185766517")), errors.AdapterBroken),
    "overstepping": (failing(errors.AccessDenied()), errors.AdapterBroken),
    "of another answer": (answering(SAMPLE), errors.AnswerInvalid),
    "of a wrong answer": (
        answering(ANSWER.replace(b"SoCongDan", b"SoNguoi")),
        errors.AnswerInvalid,
    ),
    "of no answer": (lambda query: None, errors.AdapterBroken),
    "of an answer without a tree": (lambda query: Answer(None), errors.HubInternal),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_an_agency_does_wrong_is_recorded_and_told(
    name: str, nation: SmallNation, hub: OpenHub
) -> None:
    script, error = FAILURES[name]

    async def story(running: RunningHub) -> None:
        running.agency.script = script  # type: ignore[assignment]
        raw = request(nation)

        first = await running.post(raw)

        told = running.proved(first, raw)
        assert isinstance(told, VerifiedFault)
        assert told.fault.code == error.code
        assert told.fault.is_retryable is (error.recovery is errors.Recovery.LATER)
        is_hub_asking_for_patience = error.blame is errors.Blame.HUB and told.fault.is_retryable
        assert first.status == (503 if is_hub_asking_for_patience else 500)
        assert (b"retry-after" in first.headers) is told.fault.is_retryable
        assert "040185766517" not in told.fault.reason
        outcome = running.leaves()[-1]
        assert (outcome.event, outcome.verdict) == (Event.OUTCOME, error.code)
        assert outcome.fault == told.fault.fault_id
        assert told.receipt is not None
        assert told.receipt.outcome_index == told.receipt.received_index + 1

        running.agency.script = answer_well
        again = await running.post(raw)

        if error.recovery is errors.Recovery.NEVER:
            assert again.body == first.body
            assert again.status == first.status
            assert len(running.agency.asked) == 1
        else:
            assert isinstance(running.proved(again, raw), VerifiedAnswer)
            assert len({query.idempotency_key for query in running.agency.asked}) == 1

    hub.tell(story)


def test_a_slow_agency_costs_its_own_time_only(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        gate = threading.Event()
        running.agency.script = lambda query: (gate.wait(HANG_SECONDS_MAX), answer_well(query))[1]
        raw = slow_request(nation)

        told = running.proved(await running.post(raw), raw)

        gate.set()
        assert isinstance(told, VerifiedFault)
        assert told.fault.code == errors.RecipientTimeout.code
        assert "no answer within 0.3 s" in told.fault.reason
        assert running.leaves()[-1].verdict == errors.RecipientTimeout.code
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    hub.tell(story)


# --- we fail -------------------------------------------------------------------------------------


def test_a_mistake_of_ours_is_told_by_its_id_only(
    nation: SmallNation, hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("số 040185766517")

    monkeypatch.setattr("bus.core.request_decision.decide", broken)

    async def story(running: RunningHub) -> None:
        raw = request(nation)

        reply = await running.post(raw)

        assert reply.status == 500
        assert errors.HubInternal.code.encode() in reply.body
        assert b"040185766517" not in reply.body
        assert running.leaves()[-1].verdict == errors.HubInternal.code

    hub.tell(story)


def test_a_mistake_of_ours_within_an_exchange_is_told_to_every_copy(
    nation: SmallNation, hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(running: RunningHub) -> None:
        gate = asyncio.Event()

        async def broken(*_: object) -> object:
            await gate.wait()
            raise RuntimeError("số 040185766517")

        monkeypatch.setattr(Recorder, "outcome", broken)
        raw = request(nation)
        copies = [asyncio.create_task(running.post(raw)) for _ in range(3)]
        await _until(lambda: running.leaves()[-1].event is Event.RECEIVED)
        gate.set()

        for reply in await asyncio.gather(*copies):
            told = running.proved(reply, raw)
            assert isinstance(told, VerifiedFault)
            assert told.fault.code == errors.HubInternal.code
            assert b"040185766517" not in reply.body

        monkeypatch.undo()
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    hub.tell(story)


@pytest.mark.parametrize(
    ("error", "level"),
    [(errors.AccountRefused("HTTP status 401"), "warning"), (errors.RecipientTimeout(), "info")],
)
def test_what_the_operator_must_repair_is_a_warning_that_names_the_adapter(
    nation: SmallNation, hub: OpenHub, error: errors.BusError, level: str
) -> None:
    async def story(running: RunningHub) -> None:
        running.agency.script = failing(error)
        with structlog.testing.capture_logs() as told:
            await running.post(request(nation))

        (event,) = [one for one in told if one["event"] == "delivery.failed"]
        assert (event["log_level"], event["code"], event["detail"]) == (
            level,
            error.code,
            error.detail,
        )
        assert event["adapter"]

    hub.tell(story)
