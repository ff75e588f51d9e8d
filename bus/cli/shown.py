"""Show text that others wrote so that a terminal does nothing with it: the one way out.

What strangers sent, what stands in a folder of somebody who is not trusted, names of files: all of
it may hold what moves a cursor, colours, clears, sets titles, types for whoever reads, or turns the
order of what is read (ECMA-48; UAX #9; CWE-150). Everything that commands write goes through
`tell`; a test holds that nothing else writes.
"""

from __future__ import annotations

import re
import sys
import unicodedata

import click

_FINE = re.compile(r"[\n\t\x20-\x7e\u00a0-\u00ac\u00ae-\u024f\u0300-\u036f\u1e00-\u1eff]*\Z")
"""Latin letters with every Vietnamese one, in either normal form: what most texts consist of."""
_BLANKS = "Zs"


def printable(text: str) -> str:
    r"""The text with all that is no letter, mark, digit, sign or blank as JSON escapes it.

    That is controls (C0, DEL, C1), directions and other formats, line and paragraph separators,
    lone surrogates, what Unicode does not know. A line's end and a tab stay. What is JSON stays the
    same JSON.

    >>> printable("Nguyễn\x1b[31m\x9b")
    'Nguyễn\\u001b[31m\\u009b'
    """
    if _FINE.match(text):
        return text
    return "".join(
        letter if letter in "\n\t" or _is_shown(letter) else _escaped(letter)
        for letter in text.replace("\r\n", "\n")
    )


def one_line(text: str) -> str:
    """The same where only one line is expected, so that nobody writes a line of ours."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def tell(text: str = "", *, err: bool = False) -> None:
    """Write text, and a line's end, to stdout or stderr."""
    click.echo(printable(text), err=err)


def tell_bytes(raw: bytes) -> None:
    """Write bytes as they are; to a terminal, as text that does nothing."""
    if sys.stdout.isatty():
        tell(raw.decode("utf-8", "replace"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or unicodedata.category(letter) == _BLANKS


def _escaped(letter: str) -> str:
    code = ord(letter)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
