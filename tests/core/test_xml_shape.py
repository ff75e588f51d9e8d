"""What XML may be made of: counted before it is parsed, looked at where much stands together."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core.errors import BusError, TooComplex
from bus.core.limits import Limits
from bus.core.xml import parse_xml

FEW = replace(Limits(), nodes_max=20, attributes_of_element_max=5, namespaces_in_scope_max=5)
MANY_BYTES = 10 * 1024 * 1024
SECONDS_HANGING = 20
"""Of processor time: a limit for the square of ten million only."""


def read(raw: bytes, limits: Limits = FEW) -> etree._Element:
    return parse_xml(raw, bytes_max=MANY_BYTES, limits=limits)


def attributes(count: int, form: str = " a{}=''") -> bytes:
    return "".join(form.format(number) for number in range(count)).encode()


PREFIXES = " xmlns:p{}='urn:p'"
WITHIN = {
    "elements": b"<a>" + b"<b/>" * 19 + b"</a>",
    "elements with end tags": b"<a>" + b"<b></b>" * 19 + b"</a>",
    "attributes": b"<a>" + b"<b c='' d='' e=''/>" * 4 + b"<f g=''/>" + b"</a>",
    "attributes of one element": b"<a%s/>" % attributes(5),
    "attributes around a sign of more": b"<a b='>' c='>' d='='/>",
    "declarations in scope": b"<a%s><b%s/></a>" % (attributes(3, PREFIXES), b" xmlns:q='r' s=''"),
    "declarations beside each other": b"<a>" + b"<b xmlns='c'/>" * 9 + b"</a>",
    "text full of tags": b"<a><![CDATA[%s]]></a>" % (b"<b>" * 200),
    "a comment full of tags": b"<a><!-- %s --></a>" % (b"<b c='d'>" * 200),
    "text full of equals signs": b"<a>%s</a>" % (b"b=c;" * 200),
    "text of attributes": b"<a>%s</a>" % (b" b='c'" * 200),
    "text of equals signs behind many tags": b"<a>%s</a>" % (b"<b/>===" * 19),
    "CDATA full of declarations": b"<a><![CDATA[%s]]></a>" % attributes(200, PREFIXES),
}
BEYOND = {
    "elements": (b"<a>" + b"<b/>" * 20 + b"</a>", "at most 20"),
    "elements within what looks like a comment in an instruction": (
        b"<a><?x <!-- ?>" + b"<b/>" * 20 + b"<?x --> ?></a>",
        "at most 20",
    ),
    "elements behind a comment": (b"<a><!-- -->" + b"<b/>" * 20 + b"</a>", "at most 20"),
    "attributes": (b"<a>" + b"<b c='' d='' e=''/>" * 5 + b"</a>", "some 21 elements"),
    "attributes behind a sign of more": (
        b"<a>" + b"<b c='>' d='>' e='>'>t</b>" * 5 + b"</a>",
        "some 21 elements",
    ),
    "attributes of one element": (b"<r>\n<a%s/></r>" % attributes(6), "line 2: more than 5 attr"),
    "attributes of an element with text": (b"<a%s>t</a>" % attributes(6), "line 1"),
    "attributes of the last element": (b"<r><a b='c'/><a%s/></r>" % attributes(6), "line 1"),
    "declarations on one element": (b"<a%s/>" % attributes(6, PREFIXES), "line 1 or below"),
    "declarations in scope": (
        b"<a%s>\n<b><c xmlns='d' xmlns:q='r'/></b></a>" % attributes(4, PREFIXES),
        "line 2 or below: more than 5 namespace",
    ),
}


@pytest.mark.parametrize("name", WITHIN)
def test_what_is_within_the_bounds_is_taken(name: str) -> None:
    assert read(WITHIN[name]).tag == "a"


@pytest.mark.parametrize("name", BEYOND)
def test_what_is_beyond_a_bound_is_refused_with_the_bound_and_the_place(name: str) -> None:
    raw, words = BEYOND[name]

    with pytest.raises(TooComplex, match=words):
        read(raw)


def test_signs_of_less_beyond_so_many_sections_count_as_tags() -> None:
    some, more = b"<![CDATA[<]]>" * 10_000, b"<![CDATA[<]]>" * 10_021
    assert read(b"<a>%s</a>" % some).tag == "a"

    with pytest.raises(TooComplex):
        read(b"<a>%s</a>" % more)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b"<l>"
            + b'<Row xmlns="http://tempuri.org/"><A>12</A><B>3</B><C>4</C></Row>' * 75_000
            + b"</l>",
            id="a list of 75,000 rows as .NET writes them",
        ),
        pytest.param(b"<a>" + b"QUJD" * 2_000_000 + b"</a>", id="8 MB of base64"),
        pytest.param(b"<a>" + b"=E1=BA=BF" * 900_000 + b"</a>", id="8 MB of quoted-printable"),
        pytest.param(
            b"<a><![CDATA[" + b"<p class='x'>y</p>" * 400_000 + b"]]></a>",
            id="7 MB of HTML as text",
        ),
    ],
)
def test_large_honest_messages_pass(raw: bytes) -> None:
    assert read(raw, Limits()) is not None


def closed_attributes(count: int, form: bytes = b" a%d='>'") -> bytes:
    return b"".join(form % number for number in range(count))


@pytest.mark.parametrize("form", [b" a%d='>'", b' xmlns:a%d="urn:%%d"', b" a%d = \"a='b'\""])
def test_what_stands_in_one_tag_is_refused_before_anybody_parses_it(form: bytes) -> None:
    # What is not well-formed behind it was never looked at.
    raw = b"<l>\n<!--\n--><a%s/></nothing>" % closed_attributes(600, form)

    with pytest.raises(TooComplex, match=r"line 3: more than 512 attributes and namespace"):
        read(raw, Limits())


@pytest.mark.parametrize(
    "raw",
    [
        b"<a><![CDATA[<b%s/>]]></a>" % closed_attributes(600),
        b"<a><!--<b%s/>--></a>" % closed_attributes(600),
        b"<a>%s</a>" % (b" b='c'" * 600),
        b"<a b='%s'/>" % (b' c="d"' * 600),
        b"<a>t%s</a>" % (b"=" * 5000),
        b"<a b='c'></a%s>" % (b" " * 5000),
    ],
    ids=["CDATA", "comment", "text", "one value", "signs", "end tag"],
)
def test_what_only_looks_like_attributes_is_not_counted(raw: bytes) -> None:
    assert read(raw, Limits()).tag == "a"


@pytest.mark.parametrize("start", [b"<!--", b"<![CDATA[", b"<?", b"<!--x", b"<?!", b"<!"])
def test_what_never_ends_is_looked_through_once(start: bytes) -> None:
    raw = b"<a>" + start * (MANY_BYTES // len(start) - 1)
    begun = time.process_time()

    with pytest.raises(BusError):
        read(raw, Limits())

    assert time.process_time() - begun < SECONDS_HANGING


@given(st.binary(max_size=400) | st.text("<>/='\" ab!-[]?CDAT", max_size=400).map(str.encode))
def test_what_is_counted_is_never_less_than_what_is_there(raw: bytes) -> None:
    try:
        root = parse_xml(b"<a>%s</a>" % raw, bytes_max=MANY_BYTES)
    except BusError:
        return
    nodes = sum(1 + len(one.attrib) for one in root.iter(etree.Element))
    limits = replace(FEW, nodes_max=nodes - 1)

    if nodes > 1:
        with pytest.raises(TooComplex):
            read(b"<a>%s</a>" % raw, limits)
