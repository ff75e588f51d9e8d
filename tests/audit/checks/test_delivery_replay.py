"""What the log says of deliveries is what their messages say, and what agencies signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bus.audit.audit import decide_outcome, recorded_report
from bus.audit.checks.delivery_replay import (
    DeliveryReplay,
    RecordedReport,
    ReportNotRecorded,
)
from bus.audit.checks.replay import Replay
from bus.core.attachments import message_digest
from bus.core.decision import Accepted
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.identifiers import SubsystemId
from bus.core.log.leaf import Event, Leaf, build_leaf, read_leaf
from bus.core.pipeline import Rules
from bus.core.ports.message_log import StoredEntry
from bus.core.registry import Mode, RecipientRule, SubmissionRule, Subscription
from bus.core.request_decision import decide_whole
from bus.kit.made_attachments import attachment_of_bytes
from bus.protocols.orders import AttemptReport
from bus.protocols.report_notes import write_report
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from signing.attachments import Attachment
from tests.nation import CLIENT, LOOKUP, NOW, SmallNation, request

ORIGIN = "lienthong.example/test"
HANOI, CAO_BANG = (SubsystemId.parse(f"VN/GOV/{code}/motcua") for code in ("H26", "H14"))


_MESSAGES: dict[Path, bytes] = {}


def the_message(nation: SmallNation) -> bytes:
    """The one that everything is about: whoever signs anew signs another."""
    if nation.folder not in _MESSAGES:
        _MESSAGES[nation.folder] = request(nation)
    return _MESSAGES[nation.folder]


def submitting(nation: SmallNation) -> Rules:
    """The rules, with a service that goes to two offices in the place of the lookup."""
    registry = nation.rules.registry
    rule = SubmissionRule(RecipientRule.SUBSCRIBERS)
    service = replace(registry.services[LOOKUP], mode=Mode.SUBMISSION, submission=rule)
    return replace(
        nation.rules,
        registry=replace(
            registry,
            services={**registry.services, LOOKUP: service},
            recipients={HANOI: "offices", CAO_BANG: "offices"},
            subscriptions={
                LOOKUP: {one: Subscription(one, LOOKUP, "p", "l") for one in (CAO_BANG, HANOI)}
            },
        ),
    )


def received(nation: SmallNation, raw: bytes, *, recipients: int | None = 2) -> Leaf:
    decision = decide_whole(SOAP_XROAD, raw, submitting(nation), NOW)
    assert isinstance(decision, Accepted)
    return read_leaf(
        build_leaf(
            Event.RECEIVED,
            NOW,
            client=str(CLIENT),
            service=str(LOOKUP),
            signer=decision.proof.certificate_digest,
            signature=decision.proof.signature_digest,
            config=nation.rules.digest,
            verdict="accepted",
            recipients=recipients,
        )
    )


def about(
    position: int, recipient: SubsystemId, verdict: str = "delivered", event: Event = Event.OUTCOME
) -> Leaf:
    return read_leaf(
        build_leaf(
            event,
            NOW,
            continues=41,
            position=position,
            recipient=str(recipient),
            attempt=1,
            verdict=verdict,
        )
    )


def report(
    nation: SmallNation,
    *,
    recipient: SubsystemId = CAO_BANG,
    signer: SubsystemId | None = None,
    position: int = 0,
    end: AttemptEnd = AttemptEnd.DELIVERED,
    origin: str = ORIGIN,
    attempt: int = 1,
    digest: bytes | None = None,
    attachments: tuple[Attachment, ...] = (),
) -> bytes:
    code = "" if end is AttemptEnd.DELIVERED else "delivery.refused"
    said = AttemptReport(
        origin=origin,
        key=DeliveryKey(41, position),
        recipient=str(recipient),
        message_digest=digest or message_digest(the_message(nation), ()),
        outcome=AttemptOutcome(attempt, end),
        time=NOW,
        code=code,
        attachments=attachments,
    )
    return write_report(said, nation.signers[signer or recipient])


def replay_of(nation: SmallNation) -> Replay:
    rules = submitting(nation)
    return Replay(
        SOAP_XROAD,
        {rules.digest: rules}.get,
        decide_outcome,
        prove_report=partial(recorded_report, ORIGIN),
    )


def examine(replay: Replay, leaf: Leaf, raw: bytes | None, index: int = 41) -> list[str]:
    return [one.what for one in replay.examine(StoredEntry(index, b"", None), leaf, raw)]


@pytest.fixture
def replay(nation: SmallNation) -> Replay:
    replay = replay_of(nation)
    raw = the_message(nation)
    assert examine(replay, received(nation, raw), raw) == []
    return replay


def test_what_agencies_signed_is_verified_again(replay: Replay, nation: SmallNation) -> None:
    refused = report(nation, recipient=HANOI, position=1, end=AttemptEnd.REFUSED)

    assert examine(replay, about(0, CAO_BANG), report(nation)) == []
    assert examine(replay, about(1, HANOI, "delivery.refused"), refused) == []
    assert (replay.reports, replay.answers) == (2, 0)


def test_a_report_is_about_this_message_and_this_attempt(
    replay: Replay, nation: SmallNation
) -> None:
    beside = attachment_of_bytes(b"pdf", content_id="a@g01", media_type="application/pdf")
    for other, what in (
        (report(nation, digest=bytes(32)), "about another message"),
        (report(nation, attempt=2), "about another attempt"),
        (report(nation, attachments=(beside,)), "other attachments than are kept"),
    ):
        (found,) = examine(replay, about(0, CAO_BANG), other)
        assert what in found


@pytest.mark.parametrize("count", [1, 3, None])
def test_a_message_goes_to_as_many_as_it_names(count: int | None, nation: SmallNation) -> None:
    raw = the_message(nation)

    (found,) = examine(replay_of(nation), received(nation, raw, recipients=count), raw)

    assert "another number of recipients" in found


def test_a_query_opens_no_delivery(nation: SmallNation) -> None:
    raw = the_message(nation)
    rules = nation.rules
    replay = Replay(
        SOAP_XROAD,
        {rules.digest: rules}.get,
        decide_outcome,
        prove_report=partial(recorded_report, ORIGIN),
    )

    assert examine(replay, received(nation, raw, recipients=None), raw) == []
    (found,) = examine(replay, received(nation, raw, recipients=2), raw)
    assert "another number of recipients" in found
    assert examine(replay, about(0, HANOI), None) == []


def test_a_delivery_to_somebody_else_is_found(replay: Replay, nation: SmallNation) -> None:
    (found,) = examine(replay, about(0, HANOI), report(nation, recipient=HANOI))

    assert "another recipient" in found


WRONG: dict[str, Callable[[SmallNation], bytes]] = {
    "not proved": lambda nation: b"no report",
    "another agency than the recipient's": lambda nation: report(nation, signer=HANOI),
    "another hub": lambda nation: report(nation, origin="lienthong.example/x"),
    "about another delivery": lambda nation: report(nation, position=1),
    "another verdict": lambda nation: report(nation, end=AttemptEnd.REFUSED),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_report_of_something_else_is_found(
    what: str, replay: Replay, nation: SmallNation
) -> None:
    (found,) = examine(replay, about(0, CAO_BANG), WRONG[what](nation))

    assert what in found


def test_entries_without_payload_or_of_messages_that_are_not_known_say_nothing(
    replay: Replay, nation: SmallNation
) -> None:
    assert examine(replay, about(0, CAO_BANG), None) == []
    assert examine(replay, about(7, CAO_BANG), report(nation, position=7)) == []
    other = replace(about(0, CAO_BANG), continues=40)
    assert examine(replay, other, b"of another message") == []
    assert replay.reports == 0


def test_an_agency_may_have_another_certificate_by_later_rules(nation: SmallNation) -> None:
    then, since = submitting(nation), submitting(nation)
    asked = []

    def prove(raw: bytes, rules: Rules, leaf: Leaf) -> RecordedReport:
        asked.append(rules)
        if rules is then:
            raise ReportNotRecorded("it is signed by nobody that was known then")
        return RecordedReport(41, 0, str(CAO_BANG), AttemptEnd.DELIVERED)

    accepted = decide_whole(SOAP_XROAD, the_message(nation), then, NOW)
    assert isinstance(accepted, Accepted)
    replay = DeliveryReplay(prove, "entries")
    leaf = received(nation, the_message(nation))
    assert list(replay.received(41, leaf, accepted.recipients, then, accepted.facts.digest)) == []
    (found,) = replay.examine(50, about(0, CAO_BANG), b"")
    assert "nobody that was known" in found.what

    assert list(replay.received(42, leaf, accepted.recipients, since, accepted.facts.digest)) == []
    assert list(replay.examine(51, about(0, CAO_BANG), b"")) == []
    assert asked == [then, then, since]


def test_who_messages_go_to_is_kept_within_a_bound(nation: SmallNation) -> None:
    rules = submitting(nation)
    accepted = decide_whole(SOAP_XROAD, the_message(nation), rules, NOW)
    assert isinstance(accepted, Accepted)
    replay = DeliveryReplay(partial(recorded_report, ORIGIN), "entries", recipients_max=3)
    leaf = received(nation, the_message(nation))

    for index in (41, 42):
        assert (
            list(replay.received(index, leaf, accepted.recipients, rules, accepted.facts.digest))
            == []
        )

    assert list(replay.examine(50, about(0, HANOI), None)) == []
    other = replace(about(0, HANOI), continues=42)
    assert [one.what for one in replay.examine(51, other, None)] != []
