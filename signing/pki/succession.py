"""Choose with which of a signer's keys to sign: the newest certificate that is valid now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from signing.pki.keys import Signer

_INSTANT = timedelta(microseconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


class KeySuccession:
    """The keys of one signer, one after the other.

    While two certificates are valid both are believed, and the newer one signs. Owns the choice
    made last and until when it holds; used from one thread.
    """

    __slots__ = ("_chosen", "_from", "_until", "signers")

    def __init__(self, *signers: Signer) -> None:
        """At least one signer; of two certificates of one age the later one named is newer."""
        self.signers: tuple[Signer, ...] = signers
        self._chosen = signers[0]
        # An empty span of time: the first question chooses.
        self._from = self._until = _LAST

    def at(self, now: datetime) -> Signer:
        """The signer to sign with at `now` (aware, UTC).

        Without any certificate that is valid then, the one that began last: whoever checks will
        say what is wrong with it.
        """
        if not self._from <= now < self._until:
            self._choose(now)
        return self._chosen

    def _choose(self, now: datetime) -> None:
        spans = [_span(signer) for signer in self.signers]
        limits = [_FIRST, *(limit for span in spans for limit in span), _LAST]
        self._from = max(limit for limit in limits if limit <= now)
        self._until = min(limit for limit in limits if limit > now)
        self._chosen = self.signers[newest_at(spans, now)]


def newest_at(spans: Sequence[tuple[datetime, datetime]], now: datetime) -> int:
    """The place of the span (first instant, and the one after the last) that is to be used."""
    places = range(len(spans))
    valid = [place for place in places if spans[place][0] <= now < spans[place][1]]
    begun = [place for place in places if spans[place][0] <= now]
    return max(valid or begun or [0], key=lambda place: (spans[place][0], place))


def _span(signer: Signer) -> tuple[datetime, datetime]:
    certificate = signer.certificate
    # Valid through notAfter, inclusive. RFC 5280 §4.1.2.5.
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc + _INSTANT
