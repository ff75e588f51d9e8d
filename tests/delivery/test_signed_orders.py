"""What goes to workers elsewhere is proved there, and what comes back is proved here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.broker.memory import MemoryBroker
from bus.core.decision import Accepted
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.pipeline import Rules
from bus.core.ports.broker import OrderParcel, Sent, Taken
from bus.core.registry import Mode, SubmissionRule
from bus.core.request_decision import decide_whole
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.answers import AgencyAnswers
from bus.delivery.local_orders import LocalOrders, LocalReports
from bus.delivery.signed_orders import ProvedOrders, ProvedReports, SignedOrders, SignedReports
from bus.delivery.split_work import SplitBroker, SplitOrders, SplitReports
from bus.delivery.working import Working, WorkingDependencies
from bus.kit.made_attachments import attachment_of_bytes
from bus.protocols.order_notes import order_key_of
from bus.protocols.orders import AttemptReport, Order, OrderInvalid, ReportInvalid
from bus.protocols.report_notes import read_report
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from bus.worker import MessageCheck
from signing.signed_note import SigningKey
from tests.broker.broker_stories import any_answer
from tests.delivery.delivery_world import ReceivingAgency
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import HUB, LOOKUP, NOW, PROVIDER, SmallNation, request

ORIGIN = "axis.example.vn/log"
LOG_KEY = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(32)))
KNOWN = [order_key_of(LOG_KEY.verifying_key)]
HERE, ELSEWHERE = "here", "elsewhere"


@pytest.fixture(scope="module")
def rules(nation: SmallNation) -> Rules:
    """The nation's, with its lookup as something that is submitted."""
    known = nation.rules
    service = replace(
        known.registry.services[LOOKUP], mode=Mode.SUBMISSION, submission=SubmissionRule()
    )
    services = {**known.registry.services, LOOKUP: service}
    return replace(known, registry=replace(known.registry, services=services))


@pytest.fixture(scope="module")
def order(nation: SmallNation, rules: Rules) -> Order:
    raw = request(nation)
    accepted = decide_whole(SOAP_XROAD, raw, rules, NOW)
    assert isinstance(accepted, Accepted)
    return Order(
        origin=ORIGIN,
        key=DeliveryKey(17, 0),
        attempt=1,
        recipient=str(PROVIDER),
        service=str(LOOKUP),
        idempotency_key="k" * 43,
        sent_at=NOW,
        begin_before=NOW + timedelta(minutes=1),
        accepted=accepted.for_recipient(0),
        raw=raw,
    )


def report_of(order: Order) -> AttemptReport:
    return AttemptReport(
        origin=order.origin,
        key=order.key,
        recipient=order.recipient,
        message_digest=order.accepted.facts.digest,
        outcome=AttemptOutcome(order.attempt, AttemptEnd.DELIVERED),
        time=NOW,
        answer=b"<a/>",
        attachments=(
            attachment_of_bytes(b"pdf", content_id="a@g01", media_type="application/pdf"),
        ),
    )


def test_an_order_is_proved_where_it_arrives_and_where_it_comes_back(order: Order) -> None:
    hub = SignedOrders(LOG_KEY)
    content = hub.write(order)
    assert ProvedOrders(KNOWN).read(content) == order
    assert hub.read(content) == order
    assert not hub.is_untouched(order.key, order.attempt)
    hub.forget(order.key, order.attempt)
    other = SigningKey(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    with pytest.raises(OrderInvalid):
        ProvedOrders(KNOWN).read(SignedOrders(other).write(order))


def test_attachments_that_do_not_travel_are_not_sent_without(order: Order) -> None:
    large = attachment_of_bytes(bytes(2**20), content_id="l@h41", media_type="text/plain")
    more = attachment_of_bytes(b"x", content_id="m@h41", media_type="text/plain")
    assert SignedOrders(LOG_KEY).write(replace(order, attachments=(large,)))
    with pytest.raises(OrderInvalid, match="1048577 bytes of attachments"):
        SignedOrders(LOG_KEY).write(replace(order, attachments=(large, more)))


def test_a_report_is_kept_as_it_was_signed_without_its_attachments(
    nation: SmallNation, rules: Rules, order: Order
) -> None:
    signers = {str(PROVIDER.member): nation.signers[PROVIDER]}
    content = SignedReports(signers).write(report_of(order))
    reports = ProvedReports(rules.registry, rules.trust, ORIGIN, lambda: NOW)
    proved = reports.read(content)
    reports.forget(content)
    assert replace(proved.report, note=b"") == report_of(order)
    assert b"pdf" not in proved.evidence.replace(b"application/pdf", b"")
    with pytest.raises(ReportInvalid, match="did not travel"):
        read_report(proved.evidence)
    forged = SignedReports({str(PROVIDER.member): nation.signers[HUB]}).write(report_of(order))
    with pytest.raises(ReportInvalid, match="another agency"):
        reports.read(forged)
    with pytest.raises(ReportInvalid):
        reports.read(b"no report")


def test_a_worker_with_rules_of_its_own_decides_anew(rules: Rules, order: Order) -> None:
    worker = ProvedOrders(KNOWN, MessageCheck(replace(rules, digest=bytes(32))).require_same)
    hub = SignedOrders(LOG_KEY)
    assert worker.read(hub.write(order)) == order
    acted = replace(order, accepted=order.accepted.with_action("urn:said"))
    assert worker.read(hub.write(acted)) == acted
    accepted = order.accepted
    for other in (
        replace(accepted, payload=accepted.payload.replace(b"001", b"002")),
        replace(accepted, purpose="another"),
        replace(accepted, facts=replace(accepted.facts, issue="another")),
        replace(accepted, idempotency_key="x" * 43),
        replace(accepted, recipients=()),
    ):
        assert other != accepted
        with pytest.raises(OrderInvalid, match="not what follows"):
            worker.read(hub.write(replace(order, accepted=other)))
    with pytest.raises(OrderInvalid, match="no such recipient"):
        worker.read(hub.write(replace(order, key=DeliveryKey(17, 1))))
    with pytest.raises(OrderInvalid, match="refused here"):
        worker.read(hub.write(replace(order, raw=order.raw.replace(b"m-1", b"m-2"))))


def test_what_comes_too_late_is_said_not_to_be_done(
    nation: SmallNation, rules: Rules, order: Order
) -> None:
    agency = ReceivingAgency()
    adapter = order.accepted.recipients[0].adapter
    calls = AdapterCalls(adapter, agency, concurrency=2)
    signers = {str(PROVIDER.member): nation.signers[PROVIDER]}
    now = NOW

    def clock() -> datetime:
        return now

    answers = AgencyAnswers(signers, SOAP_XROAD, rules, clock)
    reports = SignedReports(signers)
    working = Working(
        WorkingDependencies({adapter: calls}, answers, ProvedOrders(KNOWN), reports, clock)
    )
    content = SignedOrders(LOG_KEY).write(order)

    def handled() -> AttemptReport:
        said = asyncio.run(working.handle(Taken(content, "hub", is_redelivered=False)))
        assert said is not None
        return read_report(said)

    now = order.begin_before
    late = handled()
    assert (late.outcome.end, late.code) == (AttemptEnd.FAILED, "delivery.worker-away")
    assert not late.outcome.is_redelivered
    assert agency.came == []
    content = SignedOrders(LOG_KEY).write(replace(order, attempt=2))
    now = order.begin_before - timedelta(microseconds=1)
    assert handled().outcome.end is AttemptEnd.DELIVERED
    assert [one.attempt for one in agency.came] == [2]
    calls.close()


def test_each_agency_has_its_broker_and_its_form(
    nation: SmallNation, rules: Rules, order: Order
) -> None:
    async def story() -> None:
        here, beyond = MemoryBroker(), MemoryBroker()
        broker = SplitBroker(here, beyond, [ELSEWHERE])
        done: list[bytes] = []
        told: list[bytes] = []

        async def do(taken: Taken) -> bytes:
            done.append(taken.content)
            return taken.content

        async def hear(taken: Taken) -> None:
            told.append(taken.content)

        await here.work(HERE, do, concurrency=1)
        await beyond.work(ELSEWHERE, do, concurrency=1)
        await broker.start(hear, hear)
        soon = order.begin_before + timedelta(days=3650)
        for agency, sent in ((HERE, Sent.CONFIRMED), (ELSEWHERE, Sent.CONFIRMED)):
            assert await broker.send(OrderParcel(agency, agency.encode(), soon)) is sent
        assert await broker.send(OrderParcel("nobody", b"", soon)) is Sent.REFUSED
        assert await broker.ask(OrderParcel(ELSEWHERE, b"?", soon), soon, any_answer) == b"?"
        async with asyncio.timeout(HANG_SECONDS_MAX):
            while len(told) < 2:
                await asyncio.sleep(0)
        assert sorted(told) == [b"elsewhere", b"here"]
        assert broker.trouble == ""
        await here.drain(1)
        await beyond.drain(1)
        await broker.close()

    asyncio.run(story())

    own, signed = LocalOrders(), SignedOrders(LOG_KEY)
    recipient = order.accepted.recipients[0]
    orders = SplitOrders(own, signed, [ELSEWHERE])
    accepted = replace(order.accepted, recipients=(replace(recipient, adapter=ELSEWHERE),))
    remote = replace(order, accepted=accepted)
    ticket, content = orders.write(order), orders.write(remote)
    assert len(ticket) < len(content)
    assert orders.is_untouched(order.key, order.attempt)
    assert (orders.read(ticket), orders.read(content)) == (order, remote)
    assert not orders.is_untouched(order.key, order.attempt)
    orders.forget(order.key, order.attempt)
    with pytest.raises(OrderInvalid):
        orders.read(ticket)
    assert orders.read(content) == remote

    signer = SignedReports({str(PROVIDER.member): nation.signers[PROVIDER]})
    local = LocalReports({str(PROVIDER.member): nation.signers[PROVIDER]})
    reports = SplitReports(local, ProvedReports(rules.registry, rules.trust, ORIGIN, lambda: NOW))
    told_here, told_beyond = local.write(report_of(order)), signer.write(report_of(order))
    assert reports.read(told_here).report == report_of(order)
    assert replace(reports.read(told_beyond).report, note=b"") == report_of(order)
    reports.forget(told_here)
    with pytest.raises(ReportInvalid):
        reports.read(told_here)
