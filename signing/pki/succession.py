"""Choose with which of a signer's keys to sign: the newest certificate that is valid now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from signing.pki.keys import Signer

_INSTANT = timedelta(microseconds=1)


class KeySuccession:
    """The keys of one signer, one after the other.

    While two certificates are valid both are believed, and the newer one signs.
    """

    __slots__ = ("_spans", "signers")

    def __init__(self, *signers: Signer) -> None:
        """At least one signer; of two certificates of one age the later one named is newer."""
        self.signers: tuple[Signer, ...] = signers
        self._spans = [_span(signer) for signer in signers]

    def at(self, now: datetime) -> Signer:
        """The signer to sign with at `now` (aware, UTC).

        Without any certificate that is valid then, the one that began last: whoever checks will
        say what is wrong with it.
        """
        if len(self.signers) == 1:
            return self.signers[0]
        return self.signers[newest_at(self._spans, now)]


def newest_at(spans: Sequence[tuple[datetime, datetime]], now: datetime) -> int:
    """The place of the span (first instant, and the one after the last) that is to be used."""
    if len(spans) == 1:
        return 0
    places = range(len(spans))
    valid = [place for place in places if spans[place][0] <= now < spans[place][1]]
    begun = [place for place in places if spans[place][0] <= now]
    return max(valid or begun or [0], key=lambda place: (spans[place][0], place))


def _span(signer: Signer) -> tuple[datetime, datetime]:
    certificate = signer.certificate
    # Valid through notAfter, inclusive. RFC 5280 §4.1.2.5.
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc + _INSTANT
