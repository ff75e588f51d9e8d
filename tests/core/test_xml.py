"""The one parser: what it takes, what it refuses, and with which words."""

from __future__ import annotations

import codecs
import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bus.core.errors import BusError, ForbiddenXml, NotWellFormed, TooLarge
from bus.core.xml import parse_xml

BYTES_MAX = 1000
BOMB = (
    b'<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">'
    b'<!ENTITY z "&y;&y;&y;&y;&y;&y;&y;&y;">]><a>&z;</a>'
)


@pytest.mark.parametrize(
    "raw",
    [
        b"<a/>",
        codecs.BOM_UTF8 + b"<a/>",
        b'<?xml version="1.0"?><a/>',
        b'<?xml version="1.0" encoding="utf-8"?><a/>',
        b"<?xml version='1.0' encoding='UTF-8' standalone='yes'?><a/>",
        b'<?xml version="1.0" encoding="US-ASCII"?><a/>',
        "<a>Nghệ An</a>".encode(),
        b"<a/>\n",
        b"<!-- <!DOCTYPE x> --><a/>",
        b"<a><![CDATA[<!DOCTYPE html>]]></a>",
        b"<?xml version='1.0'?><a>who? <![CDATA[<?php ?>]]></a>",
    ],
)
def test_well_formed_utf_8_is_taken(raw: bytes) -> None:
    assert parse_xml(raw, bytes_max=BYTES_MAX).tag == "a"


@pytest.mark.parametrize(
    ("raw", "error", "words"),
    [
        (b"", NotWellFormed, "line"),
        (b" ", NotWellFormed, "line 1"),
        (b"hello", NotWellFormed, "line 1, column 1"),
        (b"<a>\n<b></a>", NotWellFormed, "line 2"),
        (b"<a>&nbsp;</a>", NotWellFormed, "line 1"),
        (b"<a>\x00</a>", NotWellFormed, "."),
        (b"<a>\xff</a>", NotWellFormed, "."),
        (b"<a>&#0;</a>", NotWellFormed, "."),
        (b'<p:a xmlns:p=""/>', NotWellFormed, "."),
        (b"<p:a/>", NotWellFormed, "."),
        (b"<a b='1' b='2'/>", NotWellFormed, "."),
        (b"<a/><b/>", NotWellFormed, "."),
        ("<a/>".encode("utf-16"), NotWellFormed, "must be UTF-8"),
        ("<a/>".encode("utf-16-be"), NotWellFormed, "must be UTF-8"),
        ("<a/>".encode("utf-16-le"), NotWellFormed, "must be UTF-8"),
        ("<?xml version='1.0'?><a/>".encode("cp500"), NotWellFormed, "must be UTF-8"),
        (b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>', NotWellFormed, "must be UTF-8"),
        (b"<?xml version='1.0' encoding = 'utf-7'?><a/>", NotWellFormed, "must be UTF-8"),
        (b"<!DOCTYPE a><a/>", ForbiddenXml, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', ForbiddenXml, "document type"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', ForbiddenXml, "."),
        (BOMB, ForbiddenXml, "document type"),
        (b"<!DOCTYPE a [<!ENTITY x 'y'>", ForbiddenXml, "document type"),
        (b"<!-- <a> --><!DOCTYPE a><a/>", ForbiddenXml, "document type"),
        (b"<?x <a> ?><!DOCTYPE a><a/>", ForbiddenXml, "document type"),
        (b"<a/><!DOCTYPE a>", NotWellFormed, "line 1"),
        (b"<?php evil ?><a/>", ForbiddenXml, "processing instruction"),
        (b"<a/><?php evil ?>", ForbiddenXml, "processing instruction"),
        (b"<a>\n<b><?php evil ?></b></a>", ForbiddenXml, "line 2"),
        (b"<a>" + b"x" * BYTES_MAX + b"</a>", TooLarge, "1007 bytes, at most 1000"),
    ],
)
def test_what_is_not_taken_has_an_error_with_a_place(
    raw: bytes, error: type[BusError], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        parse_xml(raw, bytes_max=BYTES_MAX)

    assert type(caught.value) is error
    assert caught.value.public_detail


def test_the_bound_itself_is_taken() -> None:
    raw = b"<a>" + b"x" * (BYTES_MAX - 7) + b"</a>"

    assert parse_xml(raw, bytes_max=BYTES_MAX).tag == "a"


def test_elements_nested_beyond_all_sense_are_refused() -> None:
    raw = b"<a>" * 5000 + b"</a>" * 5000

    with pytest.raises(NotWellFormed, match="resource limit"):
        parse_xml(raw, bytes_max=len(raw))


def test_comments_do_not_split_a_text() -> None:
    # A reader that took the text before a comment would read another name than was signed.
    root = parse_xml(b"<a>VN/GOV/H41<!-- -->.evil</a>", bytes_max=BYTES_MAX)

    assert root.text == "VN/GOV/H41.evil"


def test_character_data_sections_are_text() -> None:
    assert parse_xml(b"<a><![CDATA[1 < 2]]></a>", bytes_max=BYTES_MAX).text == "1 < 2"


@given(raw=st.binary(max_size=200))
@example(raw=b"<a>&#xD800;</a>")
@example(raw=b"\xef\xbb\xbf")
def test_any_bytes_give_a_tree_or_a_bus_error(raw: bytes) -> None:
    with contextlib.suppress(BusError):
        assert parse_xml(raw, bytes_max=150).getparent() is None


@pytest.mark.parametrize(
    "raw",
    [
        b"<a><![CDATA[040185766517",
        b"<a>040185766517<!--",
        b"<a>040185766517</a>040185766517",
        b"<a><n040185766517></a>",
        b"<a>&n040185766517;</a>",
        b"<a n040185766517='1' n040185766517='2'/>",
        b"<n040185766517:a/>",
    ],
)
def test_what_is_wrong_is_told_without_what_stands_there(raw: bytes) -> None:
    with pytest.raises(NotWellFormed) as refused:
        parse_xml(raw, bytes_max=100)

    assert "040185766517" not in refused.value.detail
    assert refused.value.detail.startswith("line 1, column ")
    assert "\n" not in refused.value.detail
