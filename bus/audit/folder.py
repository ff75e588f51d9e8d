"""Audit, verify and read the log that lies in a folder, or whose entries lie in a database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from bus.audit.audit import Audit, AuditKeys, audit_source
from bus.audit.checks.entry_checks import Examine, LogReport
from bus.audit.postgres.source import LogDatabase, open_database
from bus.audit.reader import LogReader, open_reader
from bus.audit.sqlite.source import open_folder
from bus.audit.verify import Progress, verify_source
from bus.core.ports.log_source import LogSource
from signing.pki.timestamps import TimestampTrust
from signing.signed_note import VerifyingKey


def open_source(
    folder: Path, database: LogDatabase | None = None
) -> AbstractContextManager[LogSource]:
    """The log in `folder`, or the one with its entries in `database`. Raises LogUnavailable."""
    return open_folder(folder) if database is None else open_database(folder, database)


def audit_log(
    folder: Path,
    keys: AuditKeys,
    *,
    database: LogDatabase | None = None,
    is_quick: bool = False,
    progress: Progress | None = None,
) -> Audit:
    """`audit_source` of the log in `folder`: live, closed, killed, or a copy.

    Raises LogUnavailable: it could not be checked.
    """
    with open_source(folder, database) as source:
        return audit_source(source, keys, is_quick=is_quick, progress=progress)


def verify_log(
    folder: Path,
    *,
    database: LogDatabase | None = None,
    checkpoint_key: VerifyingKey | None = None,
    read_key: bytes | None = None,
    timestamp_trust: TimestampTrust | None = None,
    progress: Progress | None = None,
    examine: Examine | None = None,
) -> LogReport:
    """`verify_source` of the log in `folder`: live, closed, killed, or a copy.

    Raises LogUnavailable: it could not be checked.
    """
    with open_source(folder, database) as source:
        return verify_source(
            source,
            checkpoint_key=checkpoint_key,
            read_key=read_key,
            timestamp_trust=timestamp_trust,
            progress=progress,
            examine=examine,
        )


@contextlib.contextmanager
def open_log_reader(folder: Path, database: LogDatabase | None = None) -> Iterator[LogReader]:
    """Read the log in `folder`, live or not; nothing is written into it.

    While it is open, the hub that writes there cannot fold: do not keep it open for hours.
    Raises LogUnavailable, LogCorrupt.
    """
    with open_source(folder, database) as source, open_reader(source) as reader:
        yield reader
