"""Exclusive canonicalisation: the form that W3C gives it, byte for byte."""

from __future__ import annotations

import pytest

from bus.core.xml import parse_xml
from signing import names
from signing.canonical import Canonicalisation, canonicalise
from signing.errors import SignatureMalformed


def canonical(xml: str, path: str = ".", prefixes: tuple[str, ...] = ()) -> str:
    raw = xml.encode()
    element = parse_xml(raw, bytes_max=len(raw)).find(path)
    assert element is not None
    return canonicalise(element, Canonicalisation(names.EXCLUSIVE_C14N, prefixes)).decode()


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        # Canonical XML 1.0 §1.1: empty elements get an end tag, attributes an order and quotes.
        ("<a b='1' a=\"2\"/>", '<a a="2" b="1"></a>'),
        # §2.3: what text and attributes escape.
        ("<a b='&#x9;&#xA;&#xD;&quot;&lt;&gt;'/>", '<a b="&#x9;&#xA;&#xD;&quot;&lt;>"></a>'),
        ("<a>&#xD;&lt;&gt;&amp;&quot;</a>", '<a>&#xD;&lt;&gt;&amp;"</a>'),
        ("<a><![CDATA[<x> & y]]></a>", "<a>&lt;x&gt; &amp; y</a>"),
        ("<a>Nghệ&#160;An</a>", "<a>Nghệ\u00a0An</a>"),
        # Line ends are normalised by the parser. XML 1.0 §2.11.
        ("<a>1\r\n2\r3</a>", "<a>1\n2\n3</a>"),
        ("<a><!-- gone -->1<!-- too --></a>", "<a>1</a>"),
    ],
)
def test_elements_have_one_form(xml: str, expected: str) -> None:
    assert expected == canonical(xml)


def test_a_namespace_is_declared_where_it_is_first_used() -> None:
    # Exclusive C14N §2.2: what surrounds an element does not change its form.
    inner = '<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://x"/>'
    first = f'<n0:local xmlns:n0="urn:bar" xmlns:n3="ftp://x">{inner}</n1:elem2></n0:local>'
    second = f'<n2:pdu xmlns:n1="http://example.com" xmlns:n2="urn:foo">{inner}</n1:elem2></n2:pdu>'

    forms = {canonical(xml, "{http://example.net}elem2") for xml in (first, second)}

    (form,) = forms
    assert form == (
        '<n1:elem2 xmlns:n1="http://example.net" xml:lang="en"><n3:stuff xmlns:n3="ftp://x"></n3:stuff>'
        "</n1:elem2>"
    )


def test_prefixes_of_the_list_are_kept_as_inclusive_canonicalisation_keeps_them() -> None:
    xml = '<a xmlns:p="urn:p" xmlns:q="urn:q"><b>p:x</b></a>'

    assert canonical(xml, "b") == "<b>p:x</b>"
    assert canonical(xml, "b", ("p",)) == '<b xmlns:p="urn:p">p:x</b>'


def test_what_follows_an_element_is_not_part_of_it() -> None:
    assert canonical("<a><b/>tail</a>", "b") == "<b></b>"


def test_a_relative_namespace_has_no_canonical_form() -> None:
    # Canonical XML 1.0 §1.3: implementations must report an error.
    with pytest.raises(SignatureMalformed, match="no canonical form"):
        canonical('<a xmlns:p="relative"><p:b/></a>', "{relative}b")
