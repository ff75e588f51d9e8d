"""Exclusive canonicalisation: the form that W3C gives it, byte for byte."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import xmlsec
from lxml import etree
from xmlsec import constants as consts

from bus.core.xml import parse_xml
from signing import names
from signing.errors import SignatureMalformedError
from signing.wss.canonical import EXCLUSIVE, Canonicalisation, canonicalise


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


@pytest.mark.parametrize(
    "by",
    [
        EXCLUSIVE,
        Canonicalisation(names.EXCLUSIVE_C14N),
        Canonicalisation(names.EXCLUSIVE_C14N, ("p",)),
        Canonicalisation(names.EXCLUSIVE_C14N, ("#default",)),
        Canonicalisation(names.INCLUSIVE_C14N),
    ],
)
def test_what_follows_an_element_and_comments_have_no_part_in_it(by: Canonicalisation) -> None:
    # Ours drops comments; whoever parses otherwise must find the same form.
    root = etree.fromstring("<a><b>1<!-- c --></b>tail<b/></a>")

    assert canonicalise(root[0], by) == b"<b>1</b>"
    assert canonicalise(root, by) == b"<a><b>1</b>tail<b></b></a>"


@pytest.mark.parametrize(
    "by", [EXCLUSIVE, Canonicalisation(), Canonicalisation(names.INCLUSIVE_C14N)]
)
def test_a_relative_namespace_has_no_form_by_any_method(by: Canonicalisation) -> None:
    with pytest.raises(SignatureMalformedError, match="no canonical form"):
        canonicalise(etree.fromstring('<a xmlns="relative"/>'), by)


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
    with pytest.raises(SignatureMalformedError, match="no canonical form"):
        canonical('<a xmlns:p="relative"><p:b/></a>', "{relative}b")


# --- #default in a PrefixList. Exclusive C14N §3 -------------------------------------------------

DEFAULT = '<a xmlns="urn:d" xmlns:p="urn:p"><p:b>1<c xmlns=""/></p:b></a>'


def test_the_default_namespace_of_the_list_is_kept_as_inclusive_canonicalisation_keeps_it() -> None:
    without = '<p:b xmlns:p="urn:p">1<c></c></p:b>'
    kept = '<p:b xmlns="urn:d" xmlns:p="urn:p">1<c xmlns=""></c></p:b>'

    assert canonical(DEFAULT, "{urn:p}b") == without
    assert canonical(DEFAULT, "{urn:p}b", ("#default",)) == kept
    assert canonical(DEFAULT, "{urn:p}b", ("unknown", "#default")) == kept
    assert canonical(DEFAULT, "{urn:p}b") == without


def test_the_default_namespace_is_kept_on_every_thread() -> None:
    kept = canonical(DEFAULT, "{urn:p}b", ("#default",))

    with ThreadPoolExecutor(max_workers=1) as threads:
        found = threads.submit(canonical, DEFAULT, "{urn:p}b", ("#default",)).result()

    assert kept == found


# --- Canonical XML 1.0 ---------------------------------------------------------------------------


def inclusive(xml: str, path: str) -> str:
    raw = xml.encode()
    element = parse_xml(raw, bytes_max=len(raw)).find(path)
    assert element is not None
    return canonicalise(element, Canonicalisation(names.INCLUSIVE_C14N)).decode()


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        ('<a xmlns="urn:d" xmlns:p="urn:p"><b/></a>', '<b xmlns="urn:d" xmlns:p="urn:p"></b>'),
        ('<a xmlns="" xml:lang="vi"><b/></a>', '<b xml:lang="vi"></b>'),
        ('<a xmlns="" xml:lang="vi"><b xml:lang="en"/></a>', '<b xml:lang="en"></b>'),
        (
            '<a xmlns="" xml:lang="vi" x="1"><x xml:space="preserve" xml:lang="fr"><b/></x></a>',
            '<b xml:lang="fr" xml:space="preserve"></b>',
        ),
        ('<a xmlns:p="urn:p" xml:lang="vi"><b/></a>', '<b xmlns:p="urn:p" xml:lang="vi"></b>'),
    ],
)
def test_inclusive_canonicalisation_takes_over_what_stands_around(xml: str, expected: str) -> None:
    path = ".//{urn:d}b" if "urn:d" in xml else ".//b"

    assert inclusive(xml, path) == expected
    assert outside_canonical(xml, path) == expected


def outside_canonical(xml: str, path: str) -> str:
    """What libxmlsec1 makes of it: an outside judge."""
    root = etree.fromstring(xml)
    element = root.find(path)
    assert element is not None
    element.set("Id", "judged")
    template = xmlsec.template.create(
        root, consts.TransformInclC14N, consts.TransformHmacSha256, ns="ds"
    )
    etree.SubElement(root, "end").append(template)
    reference = xmlsec.template.add_reference(template, consts.TransformSha256, uri="#judged")
    xmlsec.template.add_transform(reference, consts.TransformInclC14N)
    xmlsec.tree.add_ids(root, ["Id"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_binary_data(consts.KeyDataHmac, b"secret")
    context.sign(template)
    digest = template.findtext(".//{*}DigestValue")
    ours = inclusive(etree.tostring(root).decode(), path)
    assert base64.b64encode(hashlib.sha256(ours.encode()).digest()).decode() == digest
    return ours.replace(' Id="judged"', "")
