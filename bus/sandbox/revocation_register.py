"""Keep what the sandbox's authority revoked: serial numbers, since when, and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

REASONS = {
    flag.value: flag for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl
}
"""RFC 5280 §5.3.1, by the names that `sandbox revoke` takes."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """One revoked certificate."""

    serial_number: int
    since: datetime
    reason: x509.ReasonFlags


class RevocationRegister:
    """The register in one file; what one process writes another one reads at its next question."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def revoked(self) -> dict[int, Revocation]:
        """Everything that is revoked, by serial number."""
        try:
            entries = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        return {
            int(serial): Revocation(
                int(serial), datetime.fromisoformat(one["since"]), REASONS[one["reason"]]
            )
            for serial, one in entries.items()
        }

    def revoke(self, certificate: x509.Certificate, now: datetime, reason: str) -> Revocation:
        """Enter a certificate; one that stands there stays as it is."""
        revoked = self.revoked()
        serial = certificate.serial_number
        entry = revoked.get(serial) or Revocation(
            serial, now.replace(microsecond=0), REASONS[reason]
        )
        self._write({**revoked, serial: entry})
        return entry

    def _write(self, revoked: dict[int, Revocation]) -> None:
        values = {
            str(one.serial_number): {"since": one.since.isoformat(), "reason": one.reason.value}
            for one in revoked.values()
        }
        new = self._path.with_name(self._path.name + ".new")
        new.write_text(json.dumps(values, indent=1), "ascii")
        new.replace(self._path)
