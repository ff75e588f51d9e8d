"""Accepted messages are made where messages are decided about, and nowhere else."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import bus
from bus.core import errors
from bus.core.decision import Accepted, Refused
from bus.core.identifiers import SubsystemId
from bus.core.routing import Recipient
from tests.attachments import attachment
from tests.nation import CLIENT, LOOKUP, NOW, SmallNation, decide_request, request

ROOT = Path(bus.__file__).parent
MAKERS = {"core/decision.py", "core/decision_encoding.py"}
"""Where every stage was passed, and where the bytes of such a decision are read back."""


def unreported(error: Exception) -> None:
    raise AssertionError("nothing was to go wrong") from error


def calls(name: str) -> set[str]:
    """The modules of the hub that call something of this name."""
    found = set()
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if name in text else ():
            if isinstance(node, ast.Call) and name in (
                getattr(node.func, "id", ""),
                getattr(node.func, "attr", ""),
            ):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_only_the_deciding_stage_makes_accepted_messages() -> None:
    assert calls("Accepted") == MAKERS
    assert calls("accept") == {"core/request_decision.py"}
    # Of another process, of an order that was proved, and of what a row of ours was sealed with.
    assert calls("decode_decision") == {
        "judging/frame_content.py",
        "protocols/order_notes.py",
        "delivery/carried_messages.py",
    }
    assert "core/decision.py" in calls("MessageFacts")


def test_nothing_outside_of_the_stages_sees_their_types() -> None:
    """What exchanges, logs and doors have of a message are values: no tree is kept for them."""
    stages = {"RoutedMessage", "ValidMessage", "AuthorisedMessage", "VerifiedEnvelope"}
    for package in ("exchange", "delivery", "doors", "log", "judging", "catalogue", "operations"):
        for path in (ROOT / package).rglob("*.py"):
            names = {
                node.id for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Name
            }
            assert not names & stages, path


def test_an_accepted_message_says_what_was_decided(nation: SmallNation) -> None:
    raw = request(nation)

    accepted = decide_request(raw, nation.rules, NOW, unreported)

    assert isinstance(accepted, Accepted)
    grant = nation.rules.registry.grants[CLIENT, LOOKUP]
    service = nation.rules.registry.services[LOOKUP]
    assert (accepted.facts.client, accepted.service) == (CLIENT, LOOKUP)
    assert (accepted.purpose, accepted.legal_basis) == (grant.purpose, grant.legal_basis)
    assert (accepted.adapter, accepted.timeout_seconds) == (
        service.adapter,
        service.timeout_seconds,
    )
    assert (accepted.rules_digest, accepted.decided_at) == (nation.rules.digest, NOW)
    assert accepted.proof.certificate == nation.signers[CLIENT].certificate_der
    assert accepted.proof.created == NOW
    assert accepted.action == ""


def test_the_action_of_a_head_changes_nothing_else(nation: SmallNation) -> None:
    accepted = decide_request(request(nation), nation.rules, NOW, unreported)
    assert isinstance(accepted, Accepted)

    named = accepted.with_action("urn:x")

    assert named.action == "urn:x"
    assert named != accepted
    assert named.with_action("") is named
    assert accepted.with_action("") is accepted


def test_on_its_way_to_a_recipient_a_message_has_that_one_alone(nation: SmallNation) -> None:
    accepted = decide_request(request(nation), nation.rules, NOW, unreported)
    assert isinstance(accepted, Accepted)
    one, other = (
        Recipient(SubsystemId.parse(f"VN/GOV/{code}/motcua"), "") for code in ("H1", "H2")
    )

    whole = replace(accepted, recipients=(one, other))

    assert [whole.for_recipient(place).recipients for place in (0, 1)] == [(one,), (other,)]
    alone = whole.for_recipient(1)
    assert alone.for_recipient(0) is alone


def test_attachments_are_named_by_their_places(nation: SmallNation) -> None:
    accepted = decide_request(request(nation), nation.rules, NOW, unreported)
    assert isinstance(accepted, Accepted)

    assert accepted.signed_attachments == ()
    assert accepted.attachments_signed((attachment(),)) == ()


def test_two_refusals_are_equal_that_say_the_same(nation: SmallNation) -> None:
    one = decide_request(b"", nation.rules, NOW, unreported)
    same = decide_request(b"", nation.rules, NOW, unreported)
    other = decide_request(b"<a/>", nation.rules, NOW, unreported)

    assert one == same
    assert one != other
    assert Refused(errors.AccessDenied("a")) != Refused(errors.AccessDenied("b"))
    assert Refused(errors.AccessDenied("a")) != Refused(errors.ServiceUnknown("a"))


def test_a_refusal_holds_nothing_of_where_it_was_raised() -> None:
    try:
        raise errors.AccessDenied("here")
    except errors.AccessDenied as error:
        refused = Refused(error)

    assert refused.error.__traceback__ is None
