"""A prefix that only a value uses keeps its meaning through signing, or the message is refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from bus.core.errors import BusError, NoCanonicalForm
from bus.core.value_prefixes import (
    VALUE_PREFIXES_MAX,
    alone,
    bound_prefixes,
    canonical_element,
    value_uses,
)
from bus.core.xml import parse_xml
from signing.names import EXCLUSIVE_C14N, SOAP11
from signing.wss.canonical import Canonicalisation, canonicalise

XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XSI = f'xmlns:xsi="{XSI}"'


def inside(payload: str, *, envelope: str = "", body: str = "") -> etree._Element:
    """The payload, read where it stands."""
    raw = (
        f'<s:Envelope xmlns:s="{SOAP11}" {envelope}><s:Body {body}>{payload}</s:Body></s:Envelope>'
    ).encode()
    return parse_xml(raw, bytes_max=len(raw))[0][0]


def meant(element: etree._Element) -> list[tuple[str, str]]:
    """What each value means: the namespace and the name that it stands for."""
    return [
        ("" if use.is_of_envelope else use.namespace, use.local_name)
        for use in value_uses(element, all_values=True)
        if use.is_of_envelope or use.namespace.startswith("urn:") or not use.namespace
    ]


VALUES = {
    "type": ' xsi:type="{name}">x',
    "content": ">{name}",
    "content between blanks": ">\n  {name}\n",
    "attribute": ' which="{name}">x',
    "list": ">p:here {name} p:there",
}
PLACES = ("envelope", "body", "payload", "child")


@pytest.mark.parametrize(
    ("value", "place", "prefix"), list(itertools.product(VALUES, PLACES, ("q", "")))
)
def test_what_a_value_means_stays_wherever_its_prefix_is_bound(
    value: str, place: str, prefix: str
) -> None:
    bound = f'xmlns:{prefix}="urn:q"' if prefix else 'xmlns="urn:q"'
    at = {one: bound if one == place else "" for one in PLACES}
    held = VALUES[value].format(name=f"{prefix}:Kind" if prefix else "Kind")
    payload = inside(
        f'<p:Ask xmlns:p="urn:p" {_XSI} {at["payload"]}><p:One {at["child"]}{held}</p:One></p:Ask>',
        envelope=at["envelope"],
        body=at["body"],
    )
    assert ("urn:q", "Kind") in meant(payload)

    form = canonical_element(payload, all_values=True)

    again = parse_xml(form.canonical, bytes_max=len(form.canonical))
    assert meant(payload) == meant(again)
    by = Canonicalisation(EXCLUSIVE_C14N, form.prefixes)
    assert form.canonical == canonicalise(again, by)
    assert meant(payload) == meant(alone(payload))
    assert set(bound_prefixes(payload)) >= ({prefix} if prefix else set())


@pytest.mark.parametrize(
    "content",
    [
        "<p:One>x</p:One>",
        f'<p:One {_XSI} xsi:nil="true"/>',
        f'<p:One {_XSI} xsi:schemaLocation="urn:p p.xsd">x</p:One>',
        f'<p:One {_XSI} xsi:type="p:Kind">x</p:One>',
        f'<p:One {_XSI} xsi:type="unbound:Kind">x</p:One>',
        f'<p:One {_XSI} xsi:type="">x</p:One>',
        f'<p:One {_XSI} xsi:type="a:b:c d">x</p:One>',
        '<p:One xmlns:q="urn:q">q</p:One>',
        "<p:One>Tuổi: 41, lúc 10:30</p:One>",
    ],
)
def test_an_element_whose_values_use_no_hidden_prefix_is_written_as_ever(content: str) -> None:
    payload = inside(f'<p:Ask xmlns:p="urn:p">{content}</p:Ask>', envelope='xmlns:r="urn:r"')

    for all_values in (False, True):
        form = canonical_element(payload, all_values=all_values)
        assert (form.canonical, form.prefixes) == (canonicalise(payload), ())


def test_words_are_not_taken_for_names_of_the_envelopes_own_default_namespace() -> None:
    raw = (
        f'<Envelope xmlns="{SOAP11}"><Body><p:Ask xmlns:p="urn:p"><p:One>Hanoi</p:One></p:Ask>'
        "</Body></Envelope>"
    ).encode()

    form = canonical_element(parse_xml(raw, bytes_max=len(raw))[0][0], all_values=True)

    assert form.prefixes == ()


def test_a_prefix_that_was_bound_anew_in_between_is_told_apart() -> None:
    payload = inside(
        '<q:Ask xmlns:q="urn:outer"><p:Box xmlns:p="urn:p" xmlns:q="urn:inner"><p:One>q:a</p:One>'
        "</p:Box><p:Two xmlns:p='urn:p'>q:b</p:Two></q:Ask>"
    )

    form = canonical_element(payload, all_values=True)

    again = parse_xml(form.canonical, bytes_max=len(form.canonical))
    assert meant(payload) == meant(again) == [("urn:inner", "a"), ("urn:outer", "b")]


@pytest.mark.parametrize("namespace", ["rel", "MyService", "../x", "#f"])
@pytest.mark.parametrize("is_used", [True, False])
def test_an_element_without_canonical_form_is_refused_with_its_line(
    namespace: str, is_used: bool
) -> None:
    one = f'<r:One xmlns:r="{namespace}"/>' if is_used else ""
    payload = inside(f'\n<p:Ask xmlns:p="urn:p" xmlns:r="{namespace}">{one}</p:Ask>')

    with pytest.raises(NoCanonicalForm, match="line 2, in Ask"):
        canonical_element(payload)


def test_more_prefixes_than_a_signature_can_name_are_refused() -> None:
    def with_prefixes(count: int) -> etree._Element:
        declared = "".join(f' xmlns:n{number}="urn:{number}"' for number in range(count))
        words = " ".join(f"n{number}:x" for number in range(count))
        return inside(f'<p:Ask xmlns:p="urn:p"{declared}>{words}</p:Ask>')

    form = canonical_element(with_prefixes(VALUE_PREFIXES_MAX), all_values=True)
    assert len(form.prefixes) == VALUE_PREFIXES_MAX
    with pytest.raises(NoCanonicalForm, match="33 prefixes"):
        canonical_element(with_prefixes(VALUE_PREFIXES_MAX + 1), all_values=True)


_NAMES = st.sampled_from(["p", "q", ""])
_NAMESPACES = st.sampled_from(["urn:a", "urn:b", "rel", "", SOAP11, "a b", "http://[x"])
_TEXTS = st.sampled_from(
    ["q:a", "p:a q:b", "a", "x y", "10:30", "p:", ":q", "", "xsi:type", "a:b:c"]
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    def element(depth: int) -> str:
        declared = draw(st.dictionaries(_NAMES, _NAMESPACES, max_size=2))
        bindings = "".join(
            f' xmlns{":" + name if name else ""}="{uri}"'
            for name, uri in declared.items()
            if uri or not name
        )
        kind = draw(
            st.sampled_from(["", f' {_XSI} xsi:type="{draw(_TEXTS)}"', f' k="{draw(_TEXTS)}"'])
        )
        name = draw(st.sampled_from(["e", "p:e", "q:e"]))
        content = (
            draw(_TEXTS)
            if depth == 0
            else "".join(element(depth - 1) for _ in range(draw(st.integers(1, 2))))
        )
        return f"<{name}{bindings}{kind}>{content}</{name}>"

    return f'<r xmlns:p="urn:a" xmlns:q="urn:b">{element(2)}</r>'.encode()


@given(documents())
@example(
    b'<r xmlns:p="urn:a" xmlns:q="urn:b"><e><e xmlns="urn:a"><p:e xmlns="">a</p:e></e></e></r>'
)
def test_any_element_keeps_its_meaning_or_is_refused(raw: bytes) -> None:
    try:
        payload = parse_xml(raw, bytes_max=len(raw))[0]
        form = canonical_element(payload, all_values=True)
    except BusError:
        return

    again = parse_xml(form.canonical, bytes_max=len(form.canonical))

    assert meant(payload) == meant(again)
    assert [one.tag for one in payload.iter()] == [one.tag for one in again.iter()]
    assert form.canonical == canonicalise(again, Canonicalisation(EXCLUSIVE_C14N, form.prefixes))
