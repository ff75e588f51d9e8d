"""Bring back the rules of the past from the texts that a log keeps."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

from bus.audit.reader import LogReader, open_reader
from bus.core.errors import BusError, ConfigurationError
from bus.core.pipeline import Rules
from bus.core.ports.log_source import LogSource
from bus.judging.rules_manifest import restore_rules
from signing.errors import CertificateRejectedError

_Unreadable = (
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    ConfigurationError,
    CertificateRejectedError,
    BusError,
)


class PastRules:
    """The rules in one log, each restored once. Used from one thread."""

    def __init__(self, source: LogSource) -> None:
        """Nothing is read before it is asked for."""
        self._source = source
        self._resources = contextlib.ExitStack()
        self._reader: LogReader | None = None
        self._restored: dict[bytes, Rules | None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def rules(self, digest: bytes) -> Rules | None:
        """The rules of that digest; None: they cannot be brought back from this log."""
        if digest not in self._restored:
            try:
                self._restored[digest] = restore_rules(digest, self._read_text)
            except _Unreadable:
                # What is wrong with a stored text is a finding of its own in `verify_source`.
                self._restored[digest] = None
        return self._restored[digest]

    def _read_text(self, digest: bytes) -> bytes:
        if self._reader is None:
            self._reader = self._resources.enter_context(open_reader(self._source))
        return self._reader.text(digest)
