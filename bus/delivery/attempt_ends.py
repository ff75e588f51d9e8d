"""Say what an error of an adapter means for a delivery: whether the recipient acted, what is next.

Nobody acted where nothing was sent (no connection, host unknown, TLS, no account, no room) or where
the recipient says so itself (HTTP 429 and 503, a refusal). Of everything else nobody knows.
"""

from __future__ import annotations

from bus.core import errors
from bus.core.deliveries import AttemptEnd

DETAIL_CHARACTERS_MAX = 200
"""Of what a recipient says of an attempt, so much is handed on."""
HTTP_DID_NOTHING = frozenset({429, 503})
"""Too Many Requests (RFC 6585 §4), Service Unavailable (RFC 9110 §15.6.4)."""
_REFUSED = (errors.RecipientRefused, errors.PayloadRejected)
_UNTOUCHED = (
    errors.RecipientHostUnknown,
    errors.RecipientUntrusted,
    errors.AccountRefused,
    errors.AgencyBusy,
    errors.WorkerAway,
)


def end_of(error: errors.BusError) -> AttemptEnd:
    """How an attempt ended that an adapter, or its caller, gave this error for."""
    if isinstance(error, _REFUSED):
        return AttemptEnd.REFUSED
    if isinstance(error, _UNTOUCHED) or type(error) is errors.RecipientUnavailable:
        return AttemptEnd.FAILED
    if isinstance(error, errors.RecipientHttpError) and error.status in HTTP_DID_NOTHING:
        return AttemptEnd.FAILED
    return AttemptEnd.UNKNOWN


def needs_operator(code: str) -> bool:
    """Whether another attempt would end as the one did that this code was told for.

    What the recipient can repair, or its way to us, is asked for again: its certificate, its
    account. What is no message of its schema, or a mistake of an adapter, comes again unchanged.
    """
    return code in _HOPELESS


def bounded_line(text: str) -> str:
    """What a recipient or an adapter says, as one line of letters, within the bound."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _MAX])
    return " ".join(shown.split())[:_MAX]


_MAX = DETAIL_CHARACTERS_MAX
_HOPELESS = frozenset(
    one.code
    for parent in (errors.AdapterBroken, errors.AnswerInvalid)
    for one in (parent, *errors.all_errors(parent))
)
