"""What a stranger is told of an error, and what not."""

from __future__ import annotations

import pytest

from bus.core import errors
from bus.core.faults import UNVERIFIED_CODE, UNVERIFIED_REASON, Fault, SoapCode, fault_of

UNPROVED = [error for error in errors.all_errors() if not error.reveals]


def fault(error: errors.BusError, *, is_precise: bool) -> Fault:
    return fault_of(
        error,
        fault_id="f-1",
        message_id="m-1",
        request_digest=bytes(32),
        show_precise_faults=is_precise,
    )


@pytest.mark.parametrize("error", UNPROVED)
def test_every_failed_verification_looks_the_same_to_a_stranger(
    error: type[errors.BusError],
) -> None:
    told = fault(error("the very reason", public_detail="more"), is_precise=False)

    assert told == fault(errors.DigestMismatch(), is_precise=False)
    assert (told.code, told.reason) == (UNVERIFIED_CODE, UNVERIFIED_REASON)


@pytest.mark.parametrize("error", UNPROVED)
def test_a_sandbox_tells_the_very_reason(error: type[errors.BusError]) -> None:
    told = fault(error("the very reason"), is_precise=True)

    assert told.code == error.code
    assert told.reason == f"{error.public_reason} the very reason"
    assert fault(error(), is_precise=True).reason == error.public_reason


@pytest.mark.parametrize("is_precise", [True, False])
def test_what_is_for_the_log_is_not_told(is_precise: bool) -> None:
    told = fault(errors.AccessDenied("internal facts"), is_precise=is_precise)

    assert (told.code, told.reason) == (errors.AccessDenied.code, errors.AccessDenied.public_reason)


def test_facts_of_the_senders_own_message_are_told() -> None:
    told = fault(errors.PayloadInvalid(public_detail="line 3"), is_precise=False)

    assert told.reason == "The Body does not follow the schema of the service. line 3"


@pytest.mark.parametrize("error", list(errors.all_errors()))
def test_only_what_passes_by_itself_may_be_sent_again(error: type[errors.BusError]) -> None:
    is_later = error.recovery is errors.Recovery.LATER

    assert fault(error(), is_precise=True).is_retryable is is_later


@pytest.mark.parametrize(
    ("code", "soap_code"),
    [
        ("soap:Client", SoapCode.SENDER),
        ("Client.X", SoapCode.SENDER),
        ("soap:Server", SoapCode.RECEIVER),
        ("NoSuchYear", SoapCode.RECEIVER),
    ],
)
@pytest.mark.parametrize("is_precise", [True, False])
def test_a_services_own_fault_is_told_as_it_came(
    code: str, soap_code: SoapCode, is_precise: bool
) -> None:
    error = errors.ServiceFault(code, "words", actor="urn:a", detail_content=b"<a></a>")

    told = fault(error, is_precise=is_precise)

    assert (told.code, told.xroad_code, told.reason) == ("delivery.service-fault", code, "words")
    assert (told.soap_code, told.actor, told.detail_content) == (soap_code, "urn:a", b"<a></a>")
    assert told.keeps_spelling
    assert error.detail == f"SOAP fault {code}"


@pytest.mark.parametrize(
    ("error", "soap_code"),
    [
        (errors.WrongSoapVersion(), SoapCode.VERSION_MISMATCH),
        (errors.HeaderNotUnderstood(subject="{urn:x}y"), SoapCode.MUST_UNDERSTAND),
        (errors.AccessDenied(), SoapCode.SENDER),
        (errors.LogUnavailable(), SoapCode.RECEIVER),
        (errors.RecipientHostUnknown(), SoapCode.RECEIVER),
        (errors.RecipientBrokeOff(), SoapCode.RECEIVER),
        (errors.RecipientUntrusted(), SoapCode.RECEIVER),
    ],
)
def test_each_fault_has_a_code_of_soap(error: errors.BusError, soap_code: SoapCode) -> None:
    told = fault(error, is_precise=False)

    assert told.soap_code is soap_code
    assert told.subject == error.subject
    assert not told.keeps_spelling


def test_whoever_sends_a_fault_gets_its_code_back() -> None:
    told = fault(errors.FaultSent(subject="CODE"), is_precise=False)

    assert (told.xroad_code, told.keeps_spelling) == ("Client.CODE", True)
    assert fault(errors.FaultSent(), is_precise=False).xroad_code == "Client.InvalidMessage"
