"""Audit a log's folder whole: its bytes, its contents, and its decisions made again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bus.core.log_verification import LogReport
from bus.core.replay import Replay
from bus.edge.log_verify import Progress, verify_log
from bus.edge.past_rules import PastRules
from bus.protocols.soap_xroad.parse import parse
from signing.signed_note import VerifyingKey


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """What the auditor holds."""

    checkpoint_key: VerifyingKey | None = None
    """None: the key that lies in the folder is believed."""
    read_key: bytes | None = None
    """None: payloads stay sealed, and decisions cannot be made again."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was seen."""

    report: LogReport
    replay: Replay | None
    """None: no decision was to be made again."""


def audit_log(
    folder: Path, keys: AuditKeys, *, is_quick: bool = False, progress: Progress | None = None
) -> Audit:
    """Verify the log in `folder`; quickly: bytes and tree only, payloads stay sealed.

    Raises LogUnavailable: it could not be checked.
    """
    if is_quick or keys.read_key is None:
        report = verify_log(folder, checkpoint_key=keys.checkpoint_key, progress=progress)
        return Audit(report, None)
    with PastRules(folder) as past:
        replay = Replay(parse, past.rules)
        report = verify_log(
            folder,
            checkpoint_key=keys.checkpoint_key,
            read_key=keys.read_key,
            progress=progress,
            examine=replay.examine,
        )
    return Audit(report, replay)
