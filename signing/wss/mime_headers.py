"""Write the MIME headers of an attachment in canonical form.

Source: WS-Security SOAP Messages with Attachments Profile 1.1.1 §5.4.1. Only the five headers that
describe the content are signed, so that transfers may add others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from urllib.parse import unquote_to_bytes

from signing.errors import SignatureMalformedError

_DEFAULT_CONTENT_TYPE = "text/plain; charset=us-ascii"
_FOLD = re.compile(r"\r?\n(?=[ \t])")
_LOWER_CASE_PARAMETERS = frozenset(
    {
        "charset",
        "creation-date",
        "filename",
        "modification-date",
        "padding",
        "read-date",
        "size",
        "type",
    }
)
"""Parameters whose values are compared without regard to case."""
_PARAMETER = re.compile(
    r"""\s*;\s*(?P<name>[^\s=;"*]+)(?:\*(?P<section>[0-9]+))?(?P<extended>\*)?\s*=\s*
    (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s;"]*))\s*""",
    re.VERBOSE | re.DOTALL,
)


def canonical_headers(headers: Iterable[tuple[str, str]]) -> bytes:
    """The canonical form of those `headers` that are signed. Raises SignatureMalformedError."""
    written: dict[str, str] = {}
    for name, value in headers:
        canonical_name = _SIGNED.get(name.lower())
        if canonical_name is None:
            continue
        if canonical_name in written:
            raise SignatureMalformedError(f"an attachment has two headers {canonical_name}")
        unfolded = _FOLD.sub("", value).strip(" \t")
        written[canonical_name] = _FORMS[canonical_name](unfolded)
    written.setdefault("Content-Type", _with_parameters(_DEFAULT_CONTENT_TYPE))
    lines = (f"{name}:{value}\r\n" for name, value in sorted(written.items()))
    return "".join(lines).encode("utf-8", errors="surrogateescape")


def _description(value: str) -> str:
    """Encoded words are decoded. RFC 2047."""
    try:
        return _without_comments(str(make_header(decode_header(value))))
    except (HeaderParseError, LookupError, UnicodeError, ValueError) as error:
        raise SignatureMalformedError("a Content-Description cannot be decoded") from error


def _without_comments(value: str) -> str:
    """Leave out what stands in parentheses outside quotes; they nest. RFC 5322 §3.2.2."""
    kept: list[str] = []
    depth, is_quoted, is_escaped = 0, False, False
    for letter in value:
        if is_escaped:
            is_escaped = False
        elif letter == "\\":
            is_escaped = True
        elif letter == '"' and not depth:
            is_quoted = not is_quoted
        elif letter == "(" and not is_quoted:
            depth += 1
        elif letter == ")" and depth:
            depth -= 1
            continue
        if not depth:
            kept.append(letter)
    return "".join(kept)


def _with_parameters(value: str) -> str:
    """Type and parameter names in lower case, parameters sorted, their values quoted."""
    uncommented = _without_comments(value)
    kind, separator, rest = uncommented.partition(";")
    parameters: dict[str, str] = {}
    position, rest = 0, separator + rest
    while position < len(rest):
        found = _PARAMETER.match(rest, position)
        if found is None:
            raise SignatureMalformedError("a parameter of an attachment's header cannot be read")
        name = found["name"].lower()
        # Continuations of one parameter follow each other. RFC 2231 §3.
        parameters[name] = parameters.get(name, "") + _parameter_value(found)
        position = found.end()
    written = [
        f';{name}="{_escaped(text.lower() if name in _LOWER_CASE_PARAMETERS else text)}"'
        for name, text in sorted(parameters.items())
    ]
    return kind.strip().lower() + "".join(written)


def _parameter_value(found: re.Match[str]) -> str:
    if found["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", found["quoted"])
    text = found["plain"]
    if not found["extended"]:
        return text
    charset, _, rest = text.partition("'")
    _, language_end, encoded = rest.partition("'")
    if not language_end:
        charset, encoded = "", text
    try:
        return unquote_to_bytes(encoded).decode(charset or "us-ascii")
    except (LookupError, UnicodeError) as error:
        raise SignatureMalformedError(
            "a parameter of an attachment's header cannot be decoded"
        ) from error


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


_FORMS: dict[str, Callable[[str], str]] = {
    "Content-Description": _description,
    "Content-Disposition": _with_parameters,
    "Content-ID": _without_comments,
    "Content-Location": _without_comments,
    "Content-Type": _with_parameters,
}
_SIGNED = {name.lower(): name for name in _FORMS}
