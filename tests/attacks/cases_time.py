"""Timestamps that are late, early, odd, or more than one."""

from __future__ import annotations

from datetime import timedelta

from tests.attacks.cases import SAME, Group, Stage, applied
from tests.attacks.forge import moment_text, timestamp
from tests.attacks.source import Source
from tests.nation import NOW

TIMES = Group("time", "WSS 1.1.1 §10; XML Schema Part 2 §3.2.7")

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_YEAR = timedelta(days=365)
_EXPIRED = "envelope.expired"
_MALFORMED = "signature.malformed"


_AGAIN = f"<awsu:Created>{moment_text(NOW)}</awsu:Created>"
_LATER = f"<awsu:Expires>{moment_text(NOW + _MINUTE)}</awsu:Expires>"
_NESTED = timestamp().replace("<awsu:Created>", "<awsu:Created><a/>")

for _name, _stamp, _code in (
    ("created 301 seconds ago", timestamp(NOW - 301 * _SECOND, NOW + _MINUTE), _EXPIRED),
    (
        "created a year ago, good for ten",
        timestamp("2025-03-01T08:00:00Z", "2035-01-01T00:00:00Z"),
        _EXPIRED,
    ),
    ("created in 61 seconds", timestamp(NOW + 61 * _SECOND), _EXPIRED),
    ("created tomorrow", timestamp(NOW + timedelta(days=1)), _EXPIRED),
    ("expired a second ago", timestamp(NOW - _MINUTE, NOW - _SECOND), _EXPIRED),
    ("expiring this very second", timestamp(NOW - _MINUTE, NOW), _EXPIRED),
    ("expired before it was created", timestamp(NOW, NOW - _MINUTE), _EXPIRED),
    ("without Created", timestamp().replace("Created", "Creation"), _EXPIRED),
    ("with Created of no namespace", timestamp().replace("awsu:Created", "Created"), _EXPIRED),
    (
        "with two Created",
        timestamp(more=_AGAIN),
        _MALFORMED,
    ),
    (
        "with two Expires",
        timestamp(more=_LATER),
        _MALFORMED,
    ),
    (
        "with an element in Created",
        _NESTED,
        _MALFORMED,
    ),
    (
        "with a Created in Created",
        timestamp(_AGAIN, ""),
        _MALFORMED,
    ),
):
    TIMES.add(
        f"a message {_name}",
        "Signed by the member, at a time at which it must not pass.",
        _code,
        applied(lambda stage, text: stage.signed(timestamp=text), _stamp),
    )

_TEXTS = {
    "nothing": "",
    "a word": "now",
    "a date": "2026-03-01",
    "a time": "08:00:00Z",
    "no seconds": "2026-03-01T08:00Z",
    "no colons": "20260301T080000Z",
    "no colons in the time": "2026-03-01T080000Z",
    "a space between": "2026-03-01 08:00:00Z",
    "a small t": "2026-03-01t08:00:00Z",
    "a small z": "2026-03-01T08:00:00z",
    "a week": "2026-W09-7T08:00:00Z",
    "a day of the year": "2026-060T08:00:00Z",
    "a comma before the fraction": "2026-03-01T08:00:00,5Z",
    "a point and nothing behind it": "2026-03-01T08:00:00.Z",
    "an hour too much": "2026-03-01T24:00:01Z",
    "hour 25": "2026-03-01T25:00:00Z",
    "a leap second": "2026-03-01T07:59:60Z",
    "30 February": "2026-02-30T08:00:00Z",
    "29 February of no leap year": "2026-02-29T08:00:00Z",
    "month 13": "2026-13-01T08:00:00Z",
    "the year 0": "0000-03-01T08:00:00Z",
    "the year 10000": "10000-03-01T08:00:00Z",
    "a year before Christ": "-2026-03-01T08:00:00Z",
    "a year with a plus": "+2026-03-01T08:00:00Z",
    "a year of two digits": "26-03-01T08:00:00Z",
    "a zone of 24 hours": "2026-03-02T08:00:00+24:00",
    "a zone of 15 hours": "2026-03-01T23:00:00+15:00",
    "a zone with seconds": "2026-03-01T15:00:30+07:00:30",
    "a zone without colon": "2026-03-01T15:00:00+0700",
    "a zone of hours only": "2026-03-01T15:00:00+07",
    "a zone by name": "2026-03-01T08:00:00UTC",
    "two zones": "2026-03-01T08:00:00Z+00:00",
    "a zone of one digit": "2026-03-01T15:00:00+7:00",
    "digits of full width": "２０２６-03-01T08:00:00Z",
    "Arabic digits": "٢٠٢٦-03-01T08:00:00Z",
    "a minus sign that is none": "2026\u221203\u221201T08:00:00Z",
    "a zero-width space": "2026-03-01T08:00:00\u200bZ",
    "a no-break space before": "\u00a02026-03-01T08:00:00Z",
    "an em space behind": "2026-03-01T08:00:00Z\u2003",
    "200 digits of a fraction and then a letter": f"2026-03-01T08:00:00.{'0' * 200}xZ",
    "a million zeros": f"2026-03-01T08:00:00.{'0' * 1_000_000}x",
    "an exponent": "2.026e3-03-01T08:00:00Z",
    "a number": "1772352000",
}
for _name, _text in _TEXTS.items():
    TIMES.add(
        f"Created with {_name}",
        "Not an xs:dateTime: one reader takes it for now, another one for another day.",
        _MALFORMED,
        applied(
            lambda stage, text: stage.signed(timestamp=timestamp(text, "2026-03-01T08:05:00Z")),
            _text,
        ),
        source="XML Schema Part 2 §3.2.7.1",
    )
for _name in ("a word", "a week", "a leap second", "the year 10000", "no colons"):
    TIMES.add(
        f"Expires with {_name}",
        "Not an xs:dateTime, where only the end is odd.",
        _MALFORMED,
        applied(lambda stage, text: stage.signed(timestamp=timestamp(NOW, text)), _TEXTS[_name]),
        source="XML Schema Part 2 §3.2.7.1",
    )
for _name, _text in {
    "Hà Nội's zone": "2026-03-01T15:00:00+07:00",
    "a zone of minus nothing": "2026-03-01T08:00:00-00:00",
    "the zone farthest east": "2026-03-01T22:00:00+14:00",
    "the zone farthest west": "2026-02-28T18:00:00-14:00",
    "no zone, which is UTC": "2026-03-01T08:00:00",
    "nine digits of a fraction": "2026-03-01T08:00:00.000000000Z",
    "spaces and new lines around": "\n 2026-03-01T08:00:00Z\t\n",
}.items():
    TIMES.add(
        f"Created with {_name}",
        "The same moment in another spelling that the standard allows.",
        SAME,
        applied(
            lambda stage, text: stage.signed(timestamp=timestamp(text, "2026-03-01T08:05:00Z")),
            _text,
        ),
        source="XML Schema Part 2 §3.2.7.1",
    )
for _name, _text, _code in (
    ("local time without zone", "2026-03-01T15:00:00", _EXPIRED),
    ("a zone that makes yesterday of today", "2026-03-01T08:00:00+07:00", _EXPIRED),
    ("a zone that makes tomorrow of today", "2026-03-01T08:00:00-07:00", _EXPIRED),
    ("the first year and a zone before it", "0001-01-01T00:00:00+14:00", _EXPIRED),
    ("the last year and a zone behind it", "9999-12-31T23:59:59-14:00", _EXPIRED),
):
    TIMES.add(
        f"Created with {_name}",
        "A moment that is another one than it looks.",
        _code,
        applied(
            lambda stage, text: stage.signed(timestamp=timestamp(text, "2026-03-01T08:05:00Z")),
            _text,
        ),
    )
TIMES.add(
    "Expires in the last year and a zone behind it",
    "Good for ever, as far as the sender is concerned.",
    SAME,
    lambda stage: stage.signed(timestamp=timestamp(NOW, "9999-12-31T23:59:59-14:00")),
)
TIMES.add(
    "a message good for ever, sent again after the window",
    "However long a sender says that it holds: the hub forgets after its own window.",
    _EXPIRED,
    lambda stage: stage.signed(timestamp=timestamp(NOW, "9999-12-31T23:59:59Z")),
    later=timedelta(minutes=5, seconds=1),
)
TIMES.add(
    "a captured message sent again after its window",
    "A replay of a valid message, byte for byte.",
    _EXPIRED,
    lambda stage: stage.raw + b"\n",
    later=timedelta(minutes=10, seconds=1),
    every_stack=True,
)
TIMES.add(
    "a captured message sent before its time",
    "A message of a sender whose clock is far ahead.",
    _EXPIRED,
    lambda stage: stage.raw + b"\n",
    later=-timedelta(minutes=2),
    every_stack=True,
)


def beside(stage: Stage, other: str) -> bytes:
    """A second timestamp in the header, unsigned."""
    whole = Source(stage.signed())
    return whole.edited((whole.timestamp.end, whole.timestamp.end, other.encode()))


TIMES.add(
    "two timestamps",
    "A young one beside the signed one.",
    _MALFORMED,
    lambda stage: beside(stage, timestamp().replace("f-timestamp", "f-second")),
)
TIMES.add(
    "no timestamp",
    "Signed without one, from a stack that leaves it out.",
    _MALFORMED,
    lambda stage: stage.signed(timestamp="", leaves_out=frozenset({"timestamp"})),
)
TIMES.add(
    "a timestamp changed by a second",
    "The smallest change of a signed timestamp.",
    "signature.digest-mismatch",
    lambda stage: stage.raw.replace(b"Created>2026-03-01T08:00:00", b"Created>2026-03-01T08:00:01"),
    every_stack=True,
)
