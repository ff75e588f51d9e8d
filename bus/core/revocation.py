"""Decide whether what is known of a certificate's revocation lets its message pass."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bus.core.errors import CertificateRevoked, RevocationUnknown
from signing.pki.revocation import CLOCK_TOLERANCE, Good, Revoked, Status, Unknown

GRACE_SECONDS_DEFAULT = 3600


class RevocationCheck(StrEnum):
    """Of which certificates the status must be known."""

    REQUIRED = "required"
    """Of each; one about which nobody can be asked is refused."""
    WHERE_NAMED = "where-named"
    """Of each that names a responder or a CRL, and of all if the operator named a source."""
    NONE = "none"
    """Of none: a revoked certificate is taken like any other."""


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """What happens when nothing, or nothing new, is known of a certificate."""

    check: RevocationCheck
    grace_seconds: int = GRACE_SECONDS_DEFAULT
    """For so long after its window the last evidence still counts, when there is none newer."""

    @property
    def is_off(self) -> bool:
        """Nothing is asked of any certificate."""
        return self.check is RevocationCheck.NONE

    @property
    def where_named_only(self) -> bool:
        """A certificate that names no source passes."""
        return self.check is RevocationCheck.WHERE_NAMED


def require_not_revoked(status: Status, policy: RevocationPolicy, now: datetime) -> None:
    """Let a message pass as of `now` (aware, UTC) if its certificate is known to be good.

    Raises CertificateRevoked, RevocationUnknown.
    """
    # The usual case first, without arithmetic: every message waits for this.
    if type(status) is Good and status.this_update <= now <= status.next_update:
        return
    if policy.is_off:
        return
    # (1) Revoked stays revoked until newer evidence says otherwise. RFC 5280 §6.3.3 (i), (j).
    if isinstance(status, Revoked):
        raise CertificateRevoked(f"revoked since {status.since.isoformat()}: {status.reason}")
    # (2) Not knowing is not being good.
    if isinstance(status, Unknown):
        raise RevocationUnknown(status.why)
    # (3) Outside of its window only a little before it, or within the grace. RFC 6960 §4.2.2.1.
    if now < status.this_update - CLOCK_TOLERANCE:
        issued = status.this_update.isoformat()
        raise RevocationUnknown(f"the evidence was issued later, at {issued}")
    if now > status.next_update + timedelta(seconds=policy.grace_seconds):
        until = status.next_update.isoformat()
        raise RevocationUnknown(f"the last evidence counted until {until}, and the grace is over")
