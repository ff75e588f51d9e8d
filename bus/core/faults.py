"""Say to a stranger what went wrong: only what is safe to say."""

from __future__ import annotations

from dataclasses import dataclass

from bus.core.errors import BusError, Recovery

UNVERIFIED_CODE = "sender.not-verified"
UNVERIFIED_XROAD = "Server.ServerProxy.SignatureVerification"
UNVERIFIED_REASON = "The sender of the message could not be verified."


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is told to an agency."""

    code: str
    """Our stable code, as in docs/errors.md."""
    xroad_code: str
    """The code of X-Road's fault table, PascalCase."""
    reason: str
    fault_id: str
    """To quote to the operator; stands in the log."""
    message_id: str
    """Of the request; empty if it could not be read."""
    request_digest: bytes
    """SHA-256 of the request."""
    is_retryable: bool


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
    code, xroad_code, reason = error.code, error.xroad, error.public_reason
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
    )
