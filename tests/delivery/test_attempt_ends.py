"""What an error of an adapter means for a delivery: who may have acted, and who is asked next."""

from __future__ import annotations

import pytest

from bus.core import errors
from bus.core.deliveries import AttemptEnd
from bus.delivery.attempt_ends import DETAIL_CHARACTERS_MAX, bounded_line, end_of, needs_operator
from bus.http.client import check_status


@pytest.mark.parametrize(
    "error",
    [
        errors.RecipientUnavailable,
        errors.RecipientHostUnknown,
        errors.RecipientUntrusted,
        errors.AccountRefused,
        errors.AgencyBusy,
        errors.WorkerAway,
    ],
)
def test_where_nothing_was_sent_nobody_acted(error: type[errors.BusError]) -> None:
    assert end_of(error()) is AttemptEnd.FAILED


@pytest.mark.parametrize("error", [errors.RecipientRefused, errors.RecipientHttpRefused])
def test_a_refusal_is_one(error: type[errors.BusError]) -> None:
    assert end_of(error()) is AttemptEnd.REFUSED


def test_a_fault_of_the_service_and_a_payload_that_cannot_be_said_are_refusals() -> None:
    assert end_of(errors.ServiceFault()) is AttemptEnd.REFUSED
    assert end_of(errors.PayloadRejected()) is AttemptEnd.REFUSED


@pytest.mark.parametrize(
    "error",
    [
        errors.RecipientTimeout,
        errors.RecipientBrokeOff,
        errors.AdapterBroken,
        errors.AnswerInvalid,
        errors.AnswerNotSoap,
        errors.RecipientHttpError,
        errors.HubInternal,
        errors.SigningUnavailable,
    ],
)
def test_of_everything_else_nobody_knows(error: type[errors.BusError]) -> None:
    assert end_of(error()) is AttemptEnd.UNKNOWN


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (503, AttemptEnd.FAILED),
        (429, AttemptEnd.FAILED),
        (500, AttemptEnd.UNKNOWN),
        (502, AttemptEnd.UNKNOWN),
        (504, AttemptEnd.UNKNOWN),
        (408, AttemptEnd.UNKNOWN),
        (302, AttemptEnd.UNKNOWN),
        (401, AttemptEnd.FAILED),
        (404, AttemptEnd.REFUSED),
    ],
)
def test_http_says_by_its_status_whether_anything_was_done(status: int, end: AttemptEnd) -> None:
    with pytest.raises(errors.BusError) as raised:
        check_status(status)
    assert end_of(raised.value) is end


def test_every_error_is_classified_and_none_of_a_sender_passes_for_a_delivery() -> None:
    ends = {error: end_of(error()) for error in errors.all_errors()}
    assert AttemptEnd.DELIVERED not in ends.values()


@pytest.mark.parametrize(
    ("code", "is_hopeless"),
    [
        ("adapter.broken", True),
        ("delivery.answer-invalid", True),
        ("delivery.answer-not-soap", True),
        ("delivery.tls", False),
        ("delivery.account-refused", False),
        ("delivery.recipient-timeout", False),
        ("delivery.of-another-version", False),
        ("", False),
    ],
)
def test_what_comes_again_unchanged_is_for_an_operator(code: str, *, is_hopeless: bool) -> None:
    assert needs_operator(code) is is_hopeless


def test_what_others_say_is_one_line_of_letters_within_its_bound() -> None:
    assert bounded_line(" no\n\x1b[2J  room\u202e ") == "no [2J room"
    assert bounded_line("ố" * 5_000) == "ố" * DETAIL_CHARACTERS_MAX
    assert bounded_line("\n" * 5_000 + "never read") == ""
