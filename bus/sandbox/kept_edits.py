"""Write a settings file anew without losing what its operator changed in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

Values = Mapping[str, Any]
_MISSING = object()


def write_settings(
    path: Path, header: str, values: Values, *, mode: int, tell: Callable[[str], None]
) -> None:
    """Put `values` into a settings file; what was changed in it since we wrote it stays changed.

    A file that was not changed is written anew. One that was, and would get the same values again,
    is left as it is, comments and all; so is one that is no YAML, for whoever reads it to complain
    of. Else the changes are taken over, key by key, and `tell` says so, and where the file lies as
    it was.
    """
    new = _dumped(header, values)
    written, found = _text(_written(path)), _text(path)
    if found is None or found == written:
        _write(path, new, mode)
        _write(_written(path), new, mode)
        return
    edited = _values(found)
    if new == written or edited is None:
        return
    copy = path.with_name(f"{path.name}.edited")
    _write(copy, found, mode)
    if written is None:
        # Of a version that did not remember what it wrote: what is ours in it cannot be known.
        tell(f"{path} is written anew; as it was, it is {copy}.")
        _write(path, new, mode)
    else:
        tell(f"{path} is written anew, with your changes; as you left it, it is {copy}.")
        _write(path, _dumped(header, _merged(_values(written) or {}, edited, values)), mode)
    _write(_written(path), new, mode)


def edited_port(path: Path, section: str) -> int:
    """The port that was written into a section by hand; 0: none was."""
    found, written = ((_values(_text(one)) or {}).get(section) for one in (path, _written(path)))
    if not isinstance(found, dict) or not isinstance(written, dict):
        return 0
    port = found.get("port")
    return port if isinstance(port, int) and port != written.get("port") else 0


def found_text(path: Path, key: str) -> str:
    """A text of the file as it stands; empty: there is none."""
    text = (_values(_text(path)) or {}).get(key)
    return text if isinstance(text, str) else ""


def _merged(written: Values, found: Values, new: Values) -> dict[str, Any]:
    """`new`, but `found` where it says another thing than `written`; lists are one thing each."""
    merged: dict[str, Any] = {}
    for key in [*new, *(key for key in found if key not in new)]:
        value = _one(written.get(key, _MISSING), found.get(key, _MISSING), new.get(key, _MISSING))
        if value is not _MISSING:
            merged[key] = value
    return merged


def _one(written: object, found: object, new: object) -> object:
    if found == written:
        return new
    if isinstance(found, dict) and isinstance(new, dict):
        return _merged(written if isinstance(written, dict) else {}, found, new)
    return found


def _dumped(header: str, values: Values) -> str:
    return header + yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)


def _values(text: str | None) -> Values | None:
    """None: nothing that has keys."""
    try:
        values = yaml.safe_load(text or "")
    except yaml.YAMLError:
        return None
    return values if isinstance(values, dict) else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except FileNotFoundError:
        return None


def _written(path: Path) -> Path:
    """What we wrote last, as we wrote it."""
    return path.with_name(f".{path.name}.written")


def _write(path: Path, text: str, mode: int) -> None:
    path.touch(mode=mode)  # before the content, so that a secret is never readable by others
    path.chmod(mode)
    path.write_text(text, "utf-8")
