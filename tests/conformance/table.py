"""Read the table of expectations: rows as data, and the bytes that each of them sends."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bus.core.registry import FaultSpelling
from bus.protocols.soap_xroad.faults import spell

VECTORS = Path(__file__).parents[1] / "vectors" / "xroad"
TABLE = VECTORS / "conformance.yaml"
ANSWER = "answer"
HUB, UNSIGNED, ACCESS_POINT, SNAKE = "hub", "unsigned", "access-point", "access-point-snake"
PATHS = (HUB, UNSIGNED, ACCESS_POINT, SNAKE)
UNSIGNED_IS_REFUSED = "Server.ServerProxy.MissingSignature"
_MESSAGE_FAULTS = "Client."
_ROW_KEYS = frozenset(
    {
        "name",
        "request",
        "replace",
        "fill",
        "content_type",
        "soap_action",
        "method",
        "target",
        "provider",
    }
    | {"charset", "without_grant", "expect", "expect_at_hub", "keeps_spelling", "paths", "clause"}
)
_PROVIDER_KEYS = frozenset(
    {"answer", "body", "replace", "remove", "status", "content_type", "charset", "handed"}
)


@dataclass(frozen=True, slots=True)
class ProviderReply:
    """What the service behind the hub is to answer."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    handed: tuple[str, ...] = ()
    """What must stand in the head or body of the request that the service got."""


@dataclass(frozen=True, slots=True)
class Row:
    """One message with its head, what the service says to it, and what is expected."""

    name: str
    fixture: str
    method: str
    target: str
    content_type: str | None
    soap_action: str | None
    body: bytes = field(repr=False)
    """In UTF-8; it travels in `charset`."""
    charset: str
    """Of the envelope, as Python names it."""
    provider: ProviderReply | None
    without_grant: str
    expect: str
    expect_at_hub: str
    """The same at the hub's own door; empty: no other."""
    keeps_spelling: bool
    """Whether the code that is expected is the sender's or the service's own."""
    paths: tuple[str, ...]
    clause: str

    def expected_on(self, path: str) -> str:
        """What is expected along a path."""
        at_hub = self.expect_at_hub or self.expect
        if path == UNSIGNED and not at_hub.startswith(_MESSAGE_FAULTS):
            return UNSIGNED_IS_REFUSED
        if path in (HUB, UNSIGNED):
            return at_hub
        if path != SNAKE or self.expect == ANSWER:
            return self.expect
        if self.keeps_spelling:
            # The client's own code stands behind a word of X-Road's.
            return re.sub(f"^{_MESSAGE_FAULTS}", _MESSAGE_FAULTS.lower(), self.expect)
        return spell(self.expect, FaultSpelling.SNAKE)


def read_rows(table: Path = TABLE) -> list[Row]:
    """Every row of the table."""
    values = yaml.safe_load(table.read_text("utf-8"))
    return [_row(row, values["defaults"]) for row in values["rows"]]


def read_registry() -> dict[str, Any]:
    """routes.yaml of the nation that the messages name."""
    nation: dict[str, Any] = yaml.safe_load((VECTORS / "nation.yaml").read_text("utf-8"))
    return nation


def fixtures() -> set[str]:
    """Every message there is."""
    return {path.name for path in (VECTORS / "queries").iterdir()}


def used_fixtures() -> Iterator[str]:
    """Every message that a row names."""
    for row in yaml.safe_load(TABLE.read_text("utf-8"))["rows"]:
        yield row["request"]
        if "answer" in row.get("provider", {}):
            yield row["provider"]["answer"]


def _row(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> Row:
    assert values.keys() <= _ROW_KEYS, values
    return Row(
        name=values["name"],
        fixture=values["request"],
        method=values.get("method", defaults["method"]),
        target=values.get("target", defaults["target"]),
        content_type=values.get("content_type", defaults["content_type"]),
        soap_action=values.get("soap_action", defaults["soap_action"]),
        body=_filled(
            _message(values["request"], values.get("replace", {}), "utf-8"), values.get("fill", {})
        ),
        charset=values.get("charset", "utf-8"),
        provider=_provider(values["provider"], defaults) if "provider" in values else None,
        without_grant=values.get("without_grant", ""),
        expect=values["expect"],
        expect_at_hub=values.get("expect_at_hub", ""),
        keeps_spelling=values.get("keeps_spelling", False),
        paths=tuple(values.get("paths", PATHS)),
        clause=values["clause"],
    )


def _provider(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> ProviderReply:
    assert values.keys() <= _PROVIDER_KEYS, values
    charset = values.get("charset", "utf-8")
    if "answer" in values:
        body = _message(values["answer"], values.get("replace", {}), charset)
    else:
        body = values["body"].encode(charset)
    if "remove" in values:
        body = _without(body, values["remove"])
    return ProviderReply(
        values.get("status", defaults["provider_status"]),
        values.get("content_type", defaults["provider_content_type"]),
        body,
        tuple(values.get("handed", ())),
    )


def _message(name: str, replace: Mapping[str, str], charset: str) -> bytes:
    text = (VECTORS / "queries" / name).read_bytes().decode("utf-8")
    for old, new in replace.items():
        assert old in text, (name, old)
        text = text.replace(old, new)
    return text.encode(charset)


def _filled(body: bytes, fill: Mapping[str, Any]) -> bytes:
    """In the place of each mark a text so many times; `#` in it is its number."""
    for mark, (text, times) in fill.items():
        assert mark.encode() in body, mark
        content = "".join(text.replace("#", str(number)) for number in range(times))
        body = body.replace(mark.encode(), content.encode())
    return body


def _without(body: bytes, local_name: str) -> bytes:
    """The message without an element, by its tags."""
    pattern = rb"<([\w-]+:)?%s\b[^>]*>.*?</\1?%s>" % ((local_name.encode(),) * 2)
    changed, count = re.subn(pattern, b"", body, flags=re.DOTALL)
    assert count == 1, local_name
    return changed
