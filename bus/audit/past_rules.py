"""Bring back the rules of the past from the texts that a log keeps."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bus.audit.reader import LogReader, open_log_reader
from bus.core.errors import BusError, ConfigurationError, LogCorrupt
from bus.core.pipeline import Rules
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import parse_nation
from signing.errors import CertificateRejected
from signing.pki.certificates import TrustStore

ReadText = Callable[[bytes], bytes]
_Unreadable = (
    ValueError,
    KeyError,
    TypeError,
    RecursionError,
    ConfigurationError,
    CertificateRejected,
    BusError,
)


def restore_rules(digest: bytes, read_text: ReadText) -> Rules:
    """The rules that `digest` names, compiled anew from texts.

    The text of that digest is the manifest that `bus.hub` writes: it names every other one.
    Raises LogCorrupt: a text is missing, was changed, or does not have its form.
    """
    manifest: dict[str, Any] = json.loads(_text(digest, read_text))
    nation = parse_nation(_text(bytes.fromhex(manifest["routes"]), read_text), file="routes.yaml")
    with tempfile.TemporaryDirectory() as folder:
        compiled = {
            path: _compile(Path(folder), place, _text(bytes.fromhex(named), read_text))
            for place, (path, named) in enumerate(sorted(manifest["schemas"].items()))
        }
    # Logs from before certificates could be known beforehand name none.
    anchors, intermediates, certificates = (
        [base64.b64decode(one, validate=True) for one in named]
        for named in (
            manifest["anchors"],
            manifest["intermediates"],
            manifest.get("certificates", []),
        )
    )
    return Rules(
        nation=nation,
        trust=TrustStore(anchors, intermediates, certificates),
        schemas={known: compiled[service.schema] for known, service in nation.services.items()},
        digest=digest,
        revocation=_revocation_policy(manifest.get("revocation")),
    )


def _revocation_policy(values: dict[str, Any] | None) -> RevocationPolicy:
    if values is None:  # written before revocation was asked of certificates
        return RevocationPolicy(RevocationCheck.NONE)
    return RevocationPolicy(RevocationCheck(values["check"]), int(values["grace_seconds"]))


def _text(digest: bytes, read_text: ReadText) -> bytes:
    text = read_text(digest)
    if hashlib.sha256(text).digest() != digest:
        raise LogCorrupt(f"the text {digest.hex()} was changed")
    return text


def _compile(folder: Path, place: int, text: bytes) -> CompiledSchema:
    path = folder / f"{place}.xsd"
    path.write_bytes(text)
    return CompiledSchema(path)


class PastRules:
    """The rules in one log's folder, each restored once. Used from one thread."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read before it is asked for."""
        self._folder = folder
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
                # What is wrong with a stored text is a finding of its own in `verify_log`.
                self._restored[digest] = None
        return self._restored[digest]

    def _read_text(self, digest: bytes) -> bytes:
        if self._reader is None:
            self._reader = self._resources.enter_context(open_log_reader(self._folder))
        return self._reader.text(digest)
