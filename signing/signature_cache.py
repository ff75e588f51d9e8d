"""Remember what proved signatures said, by the text around their values."""

from __future__ import annotations

from typing import Generic, TypeVar

Known = TypeVar("Known")

SIGNATURES_KEPT_MAX = 256
"""Signatures that are remembered; the oldest is forgotten first."""
SEEN_ONCE_MAX = 8192
"""Signatures of which is known, by a hash, that they came once."""


class SignatureCache(Generic[Known]):
    """What proved signatures said, by the text around their values. Used from one thread."""

    __slots__ = ("_known", "_seen_once")

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Known] = {}
        self._seen_once: set[int] = set()

    def lookup(self, around: tuple[str, ...]) -> Known | None:
        """What a signature with this text says; None: read it with care."""
        return self._known.get(around)

    def has_seen(self, around: tuple[str, ...]) -> bool:
        """This text came before; from now on it has."""
        mark = hash(around)
        if mark in self._seen_once:
            return True
        if len(self._seen_once) >= SEEN_ONCE_MAX:
            self._seen_once.clear()
        self._seen_once.add(mark)
        return False

    def keep(self, around: tuple[str, ...], known: Known) -> None:
        """Know this text from now on."""
        if len(self._known) >= SIGNATURES_KEPT_MAX:
            self._known.pop(next(iter(self._known)))
        self._known[around] = known
