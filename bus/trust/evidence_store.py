"""Keep the newest evidence of revocation in memory, and on disk for a restart in an outage."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import structlog

from signing.pki.revocation import Evidence, Good, Revoked

KEPT_MAX = 8192
"""Pieces of evidence that are kept in memory."""
_SUFFIXES = (".ocsp", ".crl")

_log = structlog.get_logger()


class EvidenceStore:
    """The newest proved evidence about each certificate, by kind. Used from one thread at a time.

    The folder is a cache: what is read from it is verified again, and a loss costs a question.
    """

    def __init__(self, folder: Path, *, kept_max: int = KEPT_MAX) -> None:
        """The folder is made when something is to be kept; `kept_max` pieces are in memory."""
        self._folder = folder
        self._kept_max = kept_max
        self._kept: dict[tuple[bytes, str], Evidence] = {}
        self._looked_for: set[bytes] = set()

    def about(self, subjects: Iterable[bytes]) -> list[Evidence]:
        """Everything that is kept about certificates, named by their digests."""
        found = []
        for subject in subjects:
            if subject not in self._looked_for:
                self._looked_for.add(subject)
                self._load(subject)
            for suffix in _SUFFIXES:
                if piece := self._kept.get((subject, suffix)):
                    found.append(piece)
        return found

    def keep(self, proved: Good | Revoked) -> None:
        """Keep the one piece that `proved` rests on. The caller knows that it is the newest."""
        (piece,) = proved.evidence
        suffix = ".ocsp" if piece.is_ocsp else ".crl"
        if self._kept.get((piece.about, suffix)) == piece:
            return
        self._hold(piece, suffix)
        path = self._path(piece.about, suffix)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(f"{suffix}.new")
            new.write_bytes(piece.der)
            new.replace(path)
        except OSError as error:  # memory has it; the next restart may have to ask
            _log.warning("revocation.not-cached", path=str(path), reason=error.strerror)

    def _load(self, subject: bytes) -> None:
        for suffix in _SUFFIXES:
            if (subject, suffix) in self._kept:
                continue
            try:
                der = self._path(subject, suffix).read_bytes()
            except OSError:
                continue  # nothing was kept, or nothing can be read: it is asked for
            self._hold(Evidence(subject, der), suffix)

    def _hold(self, piece: Evidence, suffix: str) -> None:
        if len(self._kept) >= self._kept_max:
            let_go, _ = next(iter(self._kept))
            for each in _SUFFIXES:
                self._kept.pop((let_go, each), None)
            self._looked_for.discard(let_go)  # it lies on disk and is found there again
        self._kept[piece.about, suffix] = piece

    def _path(self, subject: bytes, suffix: str) -> Path:
        return self._folder / f"{subject.hex()}{suffix}"
