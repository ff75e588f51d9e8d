"""Write JSON in its one canonical form (RFC 8785), for values without fractions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

INTEGER_MAX = 2**53 - 1
"""Largest integer that every JSON reader holds exactly. RFC 8785 §3.2.2.3, RFC 7493 §2.2."""
DEPTH_MAX = 32

JsonValue = None | bool | int | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


class NotCanonical(ValueError):
    """A value has no canonical form here, or bytes are not in it."""


# The order of keys is made before; json.dumps escapes exactly as RFC 8785 §3.2.2.2 wants.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def canonical_json(value: JsonValue) -> bytes:
    """The canonical bytes of objects, lists, texts, booleans, null and integers below 2**53.

    Raises NotCanonical: for a fraction, a larger integer, a lone surrogate, a key that is no text.

    >>> canonical_json({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    try:
        return _encode(_ordered(value, 0)).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical("a lone surrogate has no UTF-8 form") from error


def parse_canonical_json(raw: bytes) -> Any:
    """Read bytes that must be in canonical form. Raises NotCanonical."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotCanonical("not JSON") from error
    if canonical_json(value) != raw:
        raise NotCanonical("not in canonical form")
    return value


def _ordered(value: Any, depth: int) -> Any:
    if value is None or value is True or value is False or isinstance(value, str):
        return value
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise NotCanonical("an integer must be smaller than 2**53")
        return int(value)
    if depth == DEPTH_MAX:
        raise NotCanonical(f"deeper than {DEPTH_MAX} levels")
    if isinstance(value, Mapping):
        return {key: _ordered(value[key], depth + 1) for key in sorted(value, key=_utf16_units)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_ordered(item, depth + 1) for item in value]
    raise NotCanonical(f"no canonical form for {type(value).__name__}")


def _utf16_units(key: Any) -> bytes:
    """RFC 8785 §3.2.3 sorts by UTF-16 code units, Python by code points."""
    if not isinstance(key, str):
        raise NotCanonical("a key must be text")
    return key.encode("utf-16-be", "surrogatepass")
