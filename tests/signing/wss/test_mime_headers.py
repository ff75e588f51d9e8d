"""MIME headers are signed in one form, however they were written: SwA Profile 1.1.1 §5.4.1."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from signing.errors import SignatureMalformedError
from signing.wss.mime_headers import canonical_headers

PDF = ("Content-Type", "application/pdf")


def form(name: str, value: str) -> str:
    """What is signed of one header, without its name; a Content-Type stands below it."""
    lines = canonical_headers([(name, value), PDF]).decode()
    assert lines.endswith("\r\nContent-Type:application/pdf\r\n")
    return lines.removeprefix(f"{name}:").removesuffix("\r\nContent-Type:application/pdf\r\n")


HEADERS = [
    ("Content-Description", "hồ sơ"),
    ("Content-Disposition", "attachment"),
    ("Content-ID", "<a>"),
    ("Content-Location", "a.pdf"),
    ("Content-Type", "application/pdf"),
]
SIGNED = (
    "Content-Description:hồ sơ\r\nContent-Disposition:attachment\r\nContent-ID:<a>\r\n"
    "Content-Location:a.pdf\r\nContent-Type:application/pdf\r\n"
).encode()


@pytest.mark.parametrize("order", list(itertools.permutations(range(5)))[::17])
def test_five_headers_are_signed_in_one_order(order: tuple[int, ...]) -> None:
    sent = [HEADERS[place] for place in order]
    beside = [("Content-Transfer-Encoding", "binary"), ("X-Content-ID", "b"), ("MIME-Version", "1")]

    assert canonical_headers([*beside, *sent]) == SIGNED


@pytest.mark.parametrize("spell", [str.lower, str.upper, str.swapcase])
def test_a_name_in_any_case_is_one_name(spell: Callable[[str], str]) -> None:
    assert canonical_headers([(spell(name), value) for name, value in HEADERS]) == SIGNED


@pytest.mark.parametrize("name", [name for name, _ in HEADERS])
def test_a_header_stands_once(name: str) -> None:
    for second in (name, name.lower()):
        with pytest.raises(SignatureMalformedError, match=f"two headers {name}"):
            canonical_headers([*HEADERS, (second, "a")])


def test_without_a_type_an_attachment_is_text() -> None:
    text = 'Content-Type:text/plain;charset="us-ascii"\r\n'

    assert canonical_headers([]).decode() == text
    assert canonical_headers([("Content-ID", "<a>")]).decode() == f"Content-ID:<a>\r\n{text}"


@pytest.mark.parametrize(
    ("value", "unfolded"),
    [
        ("<a>", "<a>"),
        (" \t<a>\t ", "<a>"),
        ("<a\r\n b>", "<a b>"),
        ("<a\n\tb>", "<a\tb>"),
        ("<a\r\n \r\n b>", "<a  b>"),
        ("\r\n <a>", "<a>"),
        ("<a>\x0b", "<a>\x0b"),
    ],
)
def test_a_header_is_unfolded_and_stands_without_blanks_around_it(
    value: str, unfolded: str
) -> None:
    assert form("Content-ID", value) == unfolded
    assert form("Content-Location", value) == unfolded


def test_bytes_that_are_no_utf_8_are_signed_as_they_came() -> None:
    lines = canonical_headers([("Content-ID", b"<\xff>".decode(errors="surrogateescape")), PDF])

    assert lines == b"Content-ID:<\xff>\r\nContent-Type:application/pdf\r\n"


COMMENTS = {
    "none": ("a b", "a b"),
    "one": ("a (b) c", "a  c"),
    "two": ("(a) b (c) d", " b  d"),
    "nested": ("a (b (c) d) e", "a  e"),
    "not ended": ("a (b", "a "),
    "ended, and never begun": ("a) b", "a) b"),
    "in quotes": ('"a (b)" (c)', '"a (b)" '),
    "between quotes": ('"(" (b) ")"', '"("  ")"'),
    "a quote in it": ('(a ") b (c)', " b "),
    "a quote before another in it": ('(a " (b) c) d', " d"),
    "an escaped end": (r"(a\) b) c", " c"),
    "an escaped start in it": (r"(a\( b) c", " c"),
    "an escaped start": (r"a\(b) c", r"a\(b) c"),
    "an escaped backslash before it": (r"a\\(b) c", r"a\\ c"),
    "an escaped quote in quotes": (r'"a\" (b)" c', r'"a\" (b)" c'),
    "an escaped backslash in quotes": (r'"a\\" (b) c', r'"a\\"  c'),
}


@pytest.mark.parametrize("what", COMMENTS)
@pytest.mark.parametrize("name", ["Content-Description", "Content-ID", "Content-Location"])
def test_comments_are_not_signed(what: str, name: str) -> None:
    value, kept = COMMENTS[what]

    assert form(name, value) == kept


def test_an_encoded_word_may_hold_a_comment() -> None:
    assert form("Content-Description", "=?UTF-8?Q?H=E1=BB=93_(1)?= =?UTF-8?B?c8ahYQ==?=") == (
        "Hồ sơa"
    )


@pytest.mark.parametrize(
    "parameter",
    [
        "charset",
        "creation-date",
        "filename",
        "modification-date",
        "padding",
        "read-date",
        "size",
        "type",
    ],
)
def test_some_values_are_compared_without_regard_to_case(parameter: str) -> None:
    assert form("Content-Disposition", f"a;{parameter.title()}=Hồ") == f'a;{parameter}="hồ"'


@pytest.mark.parametrize("parameter", ["name", "boundary", "file", "types"])
def test_other_values_are_signed_in_their_case(parameter: str) -> None:
    assert form("Content-Disposition", f"a;{parameter.title()}=Hồ") == f'a;{parameter}="Hồ"'


PARAMETERS = {
    "none": ("Inline", "inline"),
    "blanks before the end": ("Inline ; a=b", 'inline;a="b"'),
    "blanks everywhere": ("inline;\t a = b ; c=d ", 'inline;a="b";c="d"'),
    "in another order": ('inline;c=d;B="e";a=f', 'inline;a="f";b="e";c="d"'),
    "an empty value": ('inline;a=;b=""', 'inline;a="";b=""'),
    "a semicolon in quotes": ('inline;a="b;c=d"', 'inline;a="b;c=d"'),
    "an escaped letter": (r'inline;a="\b\"\\"', r'inline;a="b\"\\"'),
    "a backslash without quotes": (r"inline;a=b\c", r'inline;a="b\\c"'),
    "continued": ('inline;a*0=b;a*1="c";A*2=d', 'inline;a="bcd"'),
    "extended": ("inline;a*=UTF-8'vi'H%E1%BB%93", 'inline;a="Hồ"'),
    "extended, of no language": ("inline;a*=UTF-8''H%E1%BB%93", 'inline;a="Hồ"'),
    "extended, of another charset": ("inline;a*=iso-8859-1''%e9", 'inline;a="é"'),
    "extended, of no charset": ("inline;a*=''%41'b", 'inline;a="A\'b"'),
    "extended, without apostrophes": ("inline;a*=b%41", 'inline;a="bA"'),
    "extended, with one apostrophe": ("inline;a*=b'%41", 'inline;a="b\'A"'),
    "not extended": ("inline;a=UTF-8'vi'%41", "inline;a=\"UTF-8'vi'%41\""),
    "extended in quotes": ("inline;a*=\"UTF-8''%41\"", "inline;a=\"UTF-8''%41\""),
    "extended and continued": ("inline;a*0*=UTF-8''%41;a*1=%41", 'inline;a="A%41"'),
    "a comment": ("inline (a;b=c) ; d=e", 'inline;d="e"'),
}


@pytest.mark.parametrize("what", PARAMETERS)
@pytest.mark.parametrize("name", ["Content-Disposition", "Content-Type"])
def test_parameters_are_signed_in_one_form(what: str, name: str) -> None:
    value, written = PARAMETERS[what]

    assert f"{name}:{written}\r\n" in canonical_headers([(name, value)]).decode()


@pytest.mark.parametrize(
    "value", ["a;", "a;b", "a;=b", "a;b=c;", 'a;b="c', 'a;b="c"d', "a;b=c;;d=e"]
)
def test_parameters_without_the_form_are_not_signed(value: str) -> None:
    with pytest.raises(SignatureMalformedError, match="cannot be read"):
        canonical_headers([("Content-Type", value)])


@pytest.mark.parametrize("value", ["x'y'%41", "us-ascii''%c3", "''%c3", "%c3", "UTF-8''%ff"])
def test_an_extended_value_that_its_charset_does_not_have_is_not_signed(value: str) -> None:
    with pytest.raises(SignatureMalformedError, match="cannot be decoded"):
        canonical_headers([("Content-Type", f"a;b*={value}")])


@pytest.mark.parametrize("value", ["=?x?Q?a?=", "=?UTF-8?B?a?=", "=?UTF-8?Q?=FF?="])
def test_an_encoded_word_that_is_none_is_not_signed(value: str) -> None:
    with pytest.raises(SignatureMalformedError, match="cannot be decoded"):
        canonical_headers([("Content-Description", value)])
