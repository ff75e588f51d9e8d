"""Read what an operator asks of a running hub, do it, and say what came of it: JSON to JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bus.core.deliveries import DeliveryKey, DeliveryRow
from bus.core.errors import LogCorrupt, LogUnavailable
from bus.delivery.operating import DEAD_LETTERS_MAX, NotDone, Operating, OperatorAct, OperatorSays

TEXT_CHARACTERS_MAX = 1000
INDEX_MAX = 2**53 - 1
LIST = "list"


async def answer_operator(operating: Operating, request: bytes, *, who: str) -> bytes:
    """What came of a request, as one line of JSON. `who` asks, as the system knows it."""
    try:
        done = await _do(operating, _values(request), who)
    except NotDone as error:
        done = {"error": str(error)}
    except (LogUnavailable, LogCorrupt) as error:
        done = {"error": f"{error.code}: {error.detail}"}
    return (json.dumps(done, ensure_ascii=False) + "\n").encode()


async def _do(operating: Operating, values: Mapping[str, Any], who: str) -> dict[str, Any]:
    act = values.get("do")
    if act == LIST:
        recipient = _text(values, "recipient") or None
        limit = _number(values, "limit", DEAD_LETTERS_MAX)
        after = _key(values) if "entry" in values else None
        rows = await operating.dead(recipient, after, limit)
        return {"dead": [shown_row(row) for row in rows]}
    says = OperatorSays(f"{_text(values, 'by')} ({who})", _text(values, "reason"))
    if not says.reason:
        raise NotDone("a reason is needed: it stands in the log, sealed")
    match act:
        case OperatorAct.RESEND:
            return shown_row(await operating.send_again(_key(values), says))
        case OperatorAct.RESUBMIT:
            return shown_row(await operating.submit_anew(_key(values), says))
        case OperatorAct.DISCARD:
            await operating.discard(_key(values), says)
        case OperatorAct.PAUSE:
            await operating.pause(_text(values, "agency"), says)
        case OperatorAct.RESUME:
            await operating.resume(_text(values, "agency"), says)
        case _:
            raise NotDone("expected one of list, " + ", ".join(OperatorAct))
    return {"done": act}


def shown_row(row: DeliveryRow) -> dict[str, Any]:
    """A delivery as operators see it."""
    delivery = row.delivery
    return {
        "entry": row.key.received_index,
        "position": row.key.position,
        "recipient": row.recipient,
        "service": row.service,
        "state": delivery.state.value,
        "attempt": delivery.attempt,
        "doubt": delivery.doubt,
        "generation": row.generation,
        "expires": delivery.expires.isoformat(),
    }


def _values(request: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(request)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise NotDone("expected an object of JSON")
    return values


def _key(values: Mapping[str, Any]) -> DeliveryKey:
    return DeliveryKey(_number(values, "entry"), _number(values, "position", 0))


def _number(values: Mapping[str, Any], name: str, usual: int | None = None) -> int:
    value = values.get(name, usual)
    if type(value) is not int or not 0 <= value <= INDEX_MAX:
        raise NotDone(f"{name}: expected a number")
    return value


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name, "")
    if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
        raise NotDone(f"{name}: expected a text of at most {TEXT_CHARACTERS_MAX} characters")
    return value
