"""Say to a stranger what went wrong: only what is safe to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from bus.core.errors import (
    Blame,
    BusError,
    HeaderNotUnderstood,
    Recovery,
    ServiceFault,
    WrongSoapVersion,
)

UNVERIFIED_CODE = "sender.not-verified"
UNVERIFIED_XROAD = "Server.ServerProxy.SignatureVerification"
UNVERIFIED_REASON = "The sender of the message could not be verified."


class SoapCode(StrEnum):
    """The codes of SOAP itself. SOAP 1.2 Part 1 §5.4.6."""

    SENDER = "Sender"
    RECEIVER = "Receiver"
    VERSION_MISMATCH = "VersionMismatch"
    MUST_UNDERSTAND = "MustUnderstand"


_SOAP_CODE_OF_ERROR: dict[type[BusError], SoapCode] = {
    WrongSoapVersion: SoapCode.VERSION_MISMATCH,
    HeaderNotUnderstood: SoapCode.MUST_UNDERSTAND,
}
_SOAP_CODE_OF_BLAME = {
    Blame.SENDER: SoapCode.SENDER,
    Blame.HUB: SoapCode.RECEIVER,
    Blame.RECIPIENT: SoapCode.RECEIVER,
}
_SENDER_CODES = ("soap:Client", "Client", "Sender")
"""How the codes of a service begin that blame whoever asks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is told to an agency."""

    code: str
    """Our stable code, as in docs/errors.md."""
    xroad_code: str
    """The code of X-Road's fault table, PascalCase; of a service's own fault, its code."""
    reason: str
    fault_id: str
    """To quote to the operator; stands in the log."""
    message_id: str
    """Of the request; empty if it could not be read."""
    request_digest: bytes
    """SHA-256 of the request."""
    is_retryable: bool
    keeps_spelling: bool = False
    """Whether `xroad_code` is somebody else's and is written as it stands."""
    soap_code: SoapCode = SoapCode.RECEIVER
    subject: str = ""
    """The header block that was not understood, `{namespace}name`."""
    actor: str = ""
    """Who raised a service's own fault, as the service says."""
    detail_content: bytes = field(default=b"", repr=False)
    """What the detail of a service's own fault holds, exclusive canonical XML."""


def fault_of(
    error: BusError,
    *,
    fault_id: str,
    message_id: str,
    request_digest: bytes,
    show_precise_faults: bool,
) -> Fault:
    """The fault for an error.

    Unless faults are shown precisely, every failed verification looks the same: what exactly was
    wrong with a signature is for the log, not for whoever forged it.
    """
    if isinstance(error, ServiceFault):
        return _service_fault(error, fault_id, message_id, request_digest)
    code, xroad_code, reason = error.code, error.xroad_code, error.public_reason
    if error.public_detail:
        reason = f"{reason} {error.public_detail}"
    if not error.reveals and not show_precise_faults:
        code, xroad_code, reason = UNVERIFIED_CODE, UNVERIFIED_XROAD, UNVERIFIED_REASON
    elif not error.reveals and error.detail:
        reason = f"{error.public_reason} {error.detail}"
    return Fault(
        code=code,
        xroad_code=xroad_code,
        reason=reason,
        fault_id=fault_id,
        message_id=message_id,
        request_digest=request_digest,
        is_retryable=error.recovery is Recovery.LATER,
        keeps_spelling=error.keeps_spelling and xroad_code != error.xroad,
        soap_code=_SOAP_CODE_OF_ERROR.get(type(error), _SOAP_CODE_OF_BLAME[error.blame]),
        subject=error.subject if isinstance(error, HeaderNotUnderstood) else "",
    )


def _service_fault(
    error: ServiceFault, fault_id: str, message_id: str, request_digest: bytes
) -> Fault:
    """A service's own fault: its code, its words, its detail."""
    is_senders = error.xroad_code.startswith(_SENDER_CODES)
    return Fault(
        code=error.code,
        xroad_code=error.xroad_code,
        reason=error.fault_string,
        fault_id=fault_id,
        message_id=message_id,
        request_digest=request_digest,
        is_retryable=False,
        keeps_spelling=True,
        soap_code=SoapCode.SENDER if is_senders else SoapCode.RECEIVER,
        actor=error.actor,
        detail_content=error.detail_content,
    )
