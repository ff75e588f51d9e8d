"""What routes.yaml says of submissions: whom they reach, and every way to reach nobody."""

from __future__ import annotations

import pytest

from bus.core.errors import ConfigurationError
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.registry import (
    MemberRegistry,
    Mode,
    RecipientRule,
    Repeats,
    RetryPolicy,
    SubmissionRule,
)
from bus.settings.routes import parse_registry

ROUTES = """\
instance: VN
hub: VN/GOV/G22/truclienthong
members:
  - id: VN/GOV/G22
    name: Văn phòng Chính phủ
    subsystems: [truclienthong, vanban]
  - id: VN/GOV/H41
    name: Nghệ An
    subsystems: [motcua, vanban]
  - id: VN/GOV/H14
    name: Cao Bằng
    rate_per_second: 2.5
    subsystems: [vanban]
services:
  - id: VN/GOV/G22/truclienthong/hoi/v1
    title: Hỏi
    adapter: echo
    schema: echo/1.0/echo.xsd
    mode: query
    timeout_seconds: 1
  - id: VN/GOV/G22/vanban/bao/v1
    title: Báo
    schema: echo/1.0/echo.xsd
    mode: submission
    timeout_seconds: 1
    recipients: subscribers
  - id: VN/GOV/H41/motcua/nop/v1
    title: Nộp
    adapter: echo
    schema: echo/1.0/echo.xsd
    mode: submission
    timeout_seconds: 1
    retry: {first_seconds: 1, factor: 3, cap_seconds: 60, attempts_max: 7}
    expires_after_seconds: 3600
    ordering: conversation
    on_dead_letter: skip
    priority: high
    repeats: asked
grants:
  - clients: [VN/GOV/G22/vanban]
    services: [VN/GOV/G22/vanban/bao/v1]
    purpose: Thử
    legal_basis: Không
recipients:
  - subsystem: VN/GOV/H41/vanban
    adapter: echo
  - subsystem: VN/GOV/H14/vanban
    delivery: mailbox
subscriptions:
  - event: VN/GOV/G22/vanban/bao/v1
    subscribers: [VN/GOV/H41/vanban, VN/GOV/H14/vanban]
    purpose: Nhận
    legal_basis: Nghị định
"""
NOTICE = ServiceId.parse("VN/GOV/G22/vanban/bao/v1")
DOSSIER = ServiceId.parse("VN/GOV/H41/motcua/nop/v1")
CAO_BANG, NGHE_AN = (SubsystemId.parse(f"VN/GOV/{code}/vanban") for code in ("H14", "H41"))


def nation(text: str) -> MemberRegistry:
    return parse_registry(text.encode(), file="routes.yaml")


def changed(right: str, wrong: str) -> str:
    assert right in ROUTES, right
    return ROUTES.replace(right, wrong, 1)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        nation(text)
    return [str(problem) for problem in caught.value.problems]


# --- the good path -------------------------------------------------------------------------------


def test_a_submission_says_how_it_is_delivered() -> None:
    read = nation(ROUTES)

    assert read.services[DOSSIER].mode is Mode.SUBMISSION
    assert read.services[DOSSIER].submission == SubmissionRule(
        recipients=RecipientRule.PROVIDER,
        retry=RetryPolicy(
            first_seconds=1,
            factor=3,
            cap_seconds=60,
            attempts_max=7,
            expires_after_seconds=3600,
        ),
        repeats=Repeats.ASKED,
        is_ordered=True,
        skips_dead_letters=True,
        is_urgent=True,
    )


def test_what_is_not_said_of_a_submission_has_the_defaults_of_the_core() -> None:
    read = nation(ROUTES)

    assert read.services[NOTICE].submission == SubmissionRule(RecipientRule.SUBSCRIBERS)
    assert read.services[NOTICE].adapter == ""
    assert next(iter(read.services.values())).submission is None
    assert [member.rate_per_second for member in read.members.values()] == [None, None, 2.5]


def test_subscribers_stand_in_the_order_of_their_names_with_their_right() -> None:
    read = nation(ROUTES)

    assert list(read.subscriptions[NOTICE]) == [CAO_BANG, NGHE_AN]
    right = read.subscriptions[NOTICE][CAO_BANG]
    assert (right.subscriber, right.service) == (CAO_BANG, NOTICE)
    assert (right.purpose, right.legal_basis) == ("Nhận", "Nghị định")
    assert read.recipients == {NGHE_AN: "echo", CAO_BANG: ""}


def test_a_provider_may_be_reached_as_a_recipient_is() -> None:
    by_mailbox = changed("title: Nộp\n    adapter: echo\n", "title: Nộp\n").replace(
        "recipients:\n  -",
        "recipients:\n  - subsystem: VN/GOV/H41/motcua\n    delivery: mailbox\n  -",
    )

    read = nation(by_mailbox)

    assert read.services[DOSSIER].adapter == ""
    assert read.recipients[DOSSIER.provider] == ""


def test_named_recipients_need_subscriptions_too() -> None:
    read = nation(changed("recipients: subscribers", "recipients: named"))

    rule = read.services[NOTICE].submission
    assert rule is not None
    assert rule.recipients is RecipientRule.NAMED


# --- one mistake, one problem --------------------------------------------------------------------

MISTAKES = [
    ("    adapter: echo\n", "", 15, "services[0].adapter", "missing; expected: The folder"),
    (
        "mode: query\n",
        "mode: query\n    priority: high\n",
        20,
        "services[0].priority",
        "only a service of mode: submission",
    ),
    (
        "mode: query\n",
        "mode: query\n    retry: {}\n",
        20,
        "services[0].retry",
        "only a service of mode: submission",
    ),
    (
        "title: Báo\n",
        "title: Báo\n    adapter: echo\n",
        23,
        "services[1].adapter",
        "say how each of the many is reached",
    ),
    (
        "recipients: subscribers",
        "recipients: all",
        26,
        "services[1].recipients",
        "expected 'provider', 'named' or 'subscribers'",
    ),
    (
        "title: Nộp\n    adapter: echo\n",
        "title: Nộp\n",
        27,
        "services[2].adapter",
        "nothing reaches VN/GOV/H41/motcua",
    ),
    (
        "cap_seconds: 60",
        "cap_seconds: 0.5",
        33,
        "services[2].retry.cap_seconds",
        "first_seconds or",
    ),
    ("factor: 3", "factor: 0.5", 33, "services[2].retry.factor", "at least 1"),
    ("attempts_max: 7", "attempts_max: 0", 33, "services[2].retry.attempts_max", "at least 1"),
    ("first_seconds: 1,", "first: 1,", 33, "services[2].retry.first", "not known"),
    ("after_seconds: 3600", "after_seconds: 0", 34, "services[2].expires_after_seconds", "than 0"),
    ("ordering: conv", "ordering: kase", 35, "services[2].ordering", "'none' or 'conversation'"),
    (
        "ordering: conversation\n    on_dead",
        "on_dead",
        35,
        "services[2].on_dead_letter",
        "without ordering: conversation",
    ),
    ("on_dead_letter: skip", "on_dead_letter: go", 36, "services[2].on_dead_letter", "'block'"),
    ("priority: high", "priority: top", 37, "services[2].priority", "'normal' or 'high'"),
    ("repeats: asked", "repeats: maybe", 38, "services[2].repeats", "'recognised', 'asked' or"),
    ("rate_per_second: 2.5", "rate_per_second: 0", 12, "members[2].rate_per_second", "than 0"),
    (
        "subsystem: VN/GOV/H41/vanban",
        "subsystem: VN/GOV/H41/vanbn",
        45,
        "recipients[0].subsystem",
        "Did you mean 'vanban'?",
    ),
    (
        "subsystem: VN/GOV/H14/vanban",
        "subsystem: VN/GOV/H41/vanban",
        47,
        "recipients[1].subsystem",
        "VN/GOV/H41/vanban stands twice, first at recipients[0].subsystem (line 45)",
    ),
    (
        "delivery: mailbox",
        "delivery: mailbox\n    adapter: echo",
        48,
        "recipients[1].delivery",
        "one of them",
    ),
    ("    delivery: mailbox\n", "", 47, "recipients[1]", "expected adapter or delivery: mailbox"),
    ("delivery: mailbox", "delivery: letter", 48, "recipients[1].delivery", "expected 'mailbox'"),
    (
        "event: VN/GOV/G22/vanban/bao/v1",
        "event: VN/GOV/G22/vanban/bap/v1",
        50,
        "subscriptions[0].event",
        "is not registered. Did you mean",
    ),
    (
        "event: VN/GOV/G22/vanban/bao/v1",
        "event: VN/GOV/H41/motcua/nop/v1",
        50,
        "subscriptions[0].event",
        "no submission whose recipients are named or subscribers",
    ),
    (
        "event: VN/GOV/G22/vanban/bao/v1",
        "event: VN/GOV/H41/motcua/nop/v1",
        26,
        "services[1].recipients",
        "nobody is subscribed",
    ),
    (
        "VN/GOV/H14/vanban]",
        "VN/GOV/H41/motcua]",
        51,
        "subscriptions[0].subscribers[1]",
        "nothing reaches VN/GOV/H41/motcua: expected an entry of recipients",
    ),
    (
        "VN/GOV/H14/vanban]",
        "VN/GOV/H15/vanban]",
        51,
        "subscriptions[0].subscribers[1]",
        "the member VN/GOV/H15 is not registered",
    ),
    (
        "VN/GOV/H14/vanban]",
        "VN/GOV/H41/vanban]",
        51,
        "subscriptions[0].subscribers[1]",
        "the subscription of VN/GOV/H41/vanban to VN/GOV/G22/vanban/bao/v1 stands twice",
    ),
    (
        "recipients:\n  - sub",
        "limits: {recipients_max: 1}\nrecipients:\n  - sub",
        26,
        "services[1].recipients",
        "2 are subscribed; at most 1 (limits.recipients_max)",
    ),
]


@pytest.mark.parametrize(("right", "wrong", "line", "path", "words"), MISTAKES)
def test_each_mistake_is_told_with_path_and_line(
    right: str, wrong: str, line: int, path: str, words: str
) -> None:
    told = problems_of(changed(right, wrong))

    start = f"routes.yaml:{line}: {path}: "
    assert any(problem.startswith(start) and words in problem for problem in told), told


@pytest.mark.parametrize("section", ["recipients", "subscriptions"])
@pytest.mark.parametrize("content", ["a", "[1, {a: 1}]", "{a: 1}"])
def test_a_section_of_another_form_is_told(section: str, content: str) -> None:
    start = ROUTES.index(f"\n{section}:\n") + 1

    told = problems_of(ROUTES[:start] + f"{section}: {content}\n")

    assert any(f": {section}" in problem for problem in told), told


def test_many_may_be_subscribed_where_the_sender_names_them() -> None:
    text = changed("recipients: subscribers", "recipients: named") + "limits: {recipients_max: 1}\n"

    assert len(nation(text).subscriptions[NOTICE]) == 2


def test_the_bounds_of_deliveries_have_their_defaults_and_keys() -> None:
    text = ROUTES + "limits: {recipients_max: 40, order_wait_seconds: 5}\n"

    assert nation(ROUTES).limits == Limits()
    assert nation(text).limits == Limits(recipients_max=40, order_wait_seconds=5)
