"""Name people in the log so that only who has the key can tell who they are."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime

from bus.core.log.leaf import text_of_digest

PSEUDONYM_BYTES = 16


class Pseudonyms:
    """Turn identifiers into pseudonyms; who lacks the master key cannot turn them back.

    A pseudonym changes with the UTC month of the policy time, so that deleting one month's key
    unlinks that month; the key of an inbox claim never changes, because a message id is taken for
    ever.
    """

    __slots__ = ("_inbox_hmac", "_master_key", "_month_of_hmac")

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != 32:
            raise ValueError("the pseudonym key must have 32 bytes")
        self._master_key = master_key
        # Keyed once, copied for each text: hmac.digest keys anew each time, and lets go of the
        # interpreter's lock for a few bytes.
        self._inbox_hmac = hmac.new(self._derive("inbox"), digestmod=hashlib.sha256)
        # One pair, replaced as a whole: two threads may at worst derive the same key twice.
        self._month_of_hmac = ((0, 0), self._inbox_hmac)

    def _derive(self, purpose: str) -> bytes:
        return hmac.digest(self._master_key, b"lienthong.vn/" + purpose.encode(), "sha256")

    def _hmac_of(self, time: datetime) -> hmac.HMAC:
        month = (time.year, time.month)
        known_month, keyed = self._month_of_hmac
        if known_month != month:
            key = self._derive(f"pseudonym/{time.year:04d}-{time.month:02d}")
            keyed = hmac.new(key, digestmod=hashlib.sha256)
            self._month_of_hmac = (month, keyed)
        return keyed

    def of(self, text: str, time: datetime) -> str:
        """The pseudonym of `text` in the month of `time` (UTC)."""
        keyed = self._hmac_of(time).copy()
        keyed.update(text.encode())
        return text_of_digest(keyed.digest()[:PSEUDONYM_BYTES])

    def over_months(self, text: str, first: datetime, last: datetime) -> Iterator[str]:
        """Every pseudonym that `text` had from the month of `first` to that of `last`."""
        for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
            yield self.of(text, datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC))

    def claim_key(self, client: str, message_id: str) -> bytes:
        """The inbox key of one sender's message id: 16 bytes, the same for ever."""
        keyed = self._inbox_hmac.copy()
        keyed.update(f"{client}\n{message_id}".encode())
        return keyed.digest()[:PSEUDONYM_BYTES]

    def conversation_key(self, client: str, recipient: str, issue: str) -> bytes:
        """What deliveries have in common that go one after the other: 16 bytes, the same for ever.

        No client is called `conversation`, so that no claim has the same.
        """
        return self.claim_key("conversation", f"{client}\n{recipient}\n{issue}")
