"""What is said of a submission that is not taken, and of a delivery that does not come about."""

from __future__ import annotations

import pytest

from bus.core import errors
from bus.core.errors import BusError
from bus.core.faults import SoapCode, fault_of


@pytest.mark.parametrize(
    ("error", "is_retryable", "soap_code"),
    [
        (errors.HubFull(), True, SoapCode.RECEIVER),
        (errors.RateLimited(), True, SoapCode.SENDER),
        (errors.MessageInFlight(), True, SoapCode.SENDER),
        (errors.RecipientsInvalid(), False, SoapCode.SENDER),
        (errors.RecipientNotSubscribed(), False, SoapCode.SENDER),
        (errors.WorkerAway(), True, SoapCode.RECEIVER),
        (errors.WorkerLost(), True, SoapCode.RECEIVER),
        (errors.OutcomeUnproved(), False, SoapCode.RECEIVER),
        (errors.DeliveryExpired(), False, SoapCode.RECEIVER),
        (errors.DeliveryGivenUp(), False, SoapCode.RECEIVER),
        (errors.DeliveryInDoubt(), False, SoapCode.RECEIVER),
    ],
)
def test_a_sender_is_told_whether_to_come_again(
    error: BusError, is_retryable: bool, soap_code: SoapCode
) -> None:
    fault = fault_of(
        error, fault_id="f-1", message_id="m-1", request_digest=b"", show_precise_faults=False
    )

    assert (fault.code, fault.is_retryable, fault.soap_code) == (
        error.code,
        is_retryable,
        soap_code,
    )


def test_only_what_says_that_nobody_acted_is_no_reason_for_doubt() -> None:
    """A worker that was away took nothing; one that was lost may have."""
    assert isinstance(errors.WorkerAway(), errors.RecipientUnavailable)
    assert not isinstance(errors.WorkerLost(), errors.RecipientUnavailable)
    assert isinstance(errors.OutcomeUnproved(), errors.AdapterBroken)
