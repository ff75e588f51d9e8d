"""A part of an optimised message may be signed with its binary content in its place (XOP)."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from lxml import etree

from signing import names
from signing import policy as uri
from signing.errors import (
    CoverageInsufficientError,
    DigestMismatchError,
    SignatureMalformedError,
)
from signing.wss.canonical import EXCLUSIVE
from signing.wss.inlined_parts import included_attachment, inlined
from tests.nation import SmallNation
from tests.signing.wss.handmade import (
    TO_TOKEN,
    Handmade,
    Ref,
    attached,
    attachment,
    binary_token,
    canonical,
    part,
    token_reference,
)
from tests.signing.wss.signed_parts import POLICY, verify

PDF = b"%PDF-1.7 1234567890"


@pytest.fixture(scope="module")
def plain(nation: SmallNation) -> Handmade:
    """A message with a token; the tests change it."""
    signer = nation.client_signers["rsa-2048"]
    return Handmade(
        signer, token_reference(TO_TOKEN, 'wsu:Id="str"'), binary_token(signer.certificate_der)
    )


INCLUDE = f'<xop:Include xmlns:xop="{names.XOP}" href="cid:a1@example.vn"/>'


def optimised(plain: Handmade, inside: str = INCLUDE) -> Handmade:
    return replace(plain, body=plain.body.replace("1</x>", f"{inside}</x>"))


def as_before(plain: Handmade, content: bytes, digest: str = uri.DIGEST_SHA256) -> Ref:
    """The Body with base64 in it, as its signer saw it."""
    text = base64.b64encode(content).decode()
    body = etree.fromstring(plain.body.replace("1</x>", f"{text}</x>"))
    return Ref("#body", lambda root: canonical(body), digest=digest)


@pytest.mark.parametrize("content", [b"", b"1", b"12", b"123", PDF])
@pytest.mark.parametrize("piece_bytes", [1, 2, 4, 1000])
@pytest.mark.parametrize("digest", [uri.DIGEST_SHA256, uri.DIGEST_SHA512])
def test_a_part_may_be_signed_as_it_was_before_it_was_optimised(
    content: bytes, piece_bytes: int, digest: str, plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(content, piece_bytes=piece_bytes)
    parts = [as_before(plain, content, digest), part("route")]

    verified = verify(replace(optimised(plain), parts=parts).raw(), nation, attachments=[beside])

    assert (beside,) == verified.attachments
    assert b"xop:Include" in verified.canonical_parts["Body"]


def test_a_part_may_be_signed_as_it_stands_together_with_its_attachment(
    plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(PDF)
    message = replace(optimised(plain), references=[attached("a1@example.vn", PDF)])

    assert (beside,) == verify(message.raw(), nation, attachments=[beside]).attachments


def test_a_part_as_it_stands_does_not_cover_what_it_includes(
    plain: Handmade, nation: SmallNation
) -> None:
    with pytest.raises(CoverageInsufficientError, match="an attachment is not signed"):
        verify(optimised(plain).raw(), nation, attachments=[attachment(PDF)])


def test_an_attachment_in_its_place_is_signed_without_its_headers(
    plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(PDF)
    message = replace(optimised(plain), parts=[as_before(plain, PDF), part("route")])
    strict = replace(POLICY, are_attachment_headers_required=True)

    with pytest.raises(CoverageInsufficientError, match="not signed with its headers"):
        verify(message.raw(), nation, strict, attachments=[beside])


def test_a_part_that_includes_what_is_not_there_is_a_changed_part(
    plain: Handmade, nation: SmallNation
) -> None:
    message = replace(optimised(plain), parts=[as_before(plain, PDF), part("route")])

    with pytest.raises(DigestMismatchError, match=r"b .line 1. was changed"):
        verify(message.raw(), nation)


def test_another_content_than_the_signed_one_is_seen(plain: Handmade, nation: SmallNation) -> None:
    message = replace(optimised(plain), parts=[as_before(plain, PDF), part("route")])

    with pytest.raises(DigestMismatchError, match=r"b .line 1. was changed"):
        verify(message.raw(), nation, attachments=[attachment(PDF[:-1] + b"1")])


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("text" + INCLUDE, "only content"),
        (INCLUDE + "text", "only content"),
        (INCLUDE + INCLUDE, "only content"),
        (INCLUDE + "<y/>", "only content"),
        ("<y/>" + INCLUDE, "only content"),
        (INCLUDE.replace("/>", "><a/></xop:Include>"), "only content"),
        (INCLUDE.replace("href", "src"), "only content"),
        (INCLUDE.replace("a1@", "a2@"), "no attachment of this message"),
        (INCLUDE.replace("cid:", "file:"), "no attachment of this message"),
        (INCLUDE.replace("cid:", "CID:"), "no attachment of this message"),
        (INCLUDE.replace("cid:", ""), "no attachment of this message"),
    ],
)
def test_an_include_stands_alone_for_one_attachment(
    inside: str, reason: str, plain: Handmade, nation: SmallNation
) -> None:
    message = replace(optimised(plain, inside), parts=[as_before(plain, PDF), part("route")])

    with pytest.raises(SignatureMalformedError, match=reason):
        verify(message.raw(), nation, attachments=[attachment(PDF)])


@pytest.mark.parametrize("before", ["", " ", "\n\t"])
@pytest.mark.parametrize("after", ["", " ", "\n\t"])
def test_white_space_around_an_include_is_no_content(
    before: str, after: str, plain: Handmade, nation: SmallNation
) -> None:
    inside = f"{before}{INCLUDE}{after}"
    beside = attachment(PDF)
    message = replace(optimised(plain, inside), parts=[as_before(plain, PDF), part("route")])

    assert (beside,) == verify(message.raw(), nation, attachments=[beside]).attachments


def test_an_include_is_no_part_by_itself(plain: Handmade, nation: SmallNation) -> None:
    include = INCLUDE.replace("/>", f' xmlns:wsu="{names.WSU}" wsu:Id="include"/>')
    reference = Ref("#include", lambda root: b"")
    message = replace(optimised(plain, include), references=[reference])

    with pytest.raises(SignatureMalformedError, match="only content"):
        verify(message.raw(), nation, attachments=[attachment(PDF)])


def test_a_changed_part_without_includes_is_a_changed_part(
    plain: Handmade, nation: SmallNation
) -> None:
    raw = replace(plain, references=[attached("a1@example.vn", PDF)]).raw()

    with pytest.raises(DigestMismatchError, match="was changed after signing"):
        verify(raw.replace(b"<x>1", b"<x>2"), nation, attachments=[attachment(PDF)])


def test_an_attachment_is_included_once(plain: Handmade, nation: SmallNation) -> None:
    body = optimised(plain).body.replace("</b>", f"<y>{INCLUDE}</y></b>")
    message = replace(plain, body=body, parts=[as_before(plain, PDF), part("route")])

    with pytest.raises(SignatureMalformedError, match="included twice"):
        verify(message.raw(), nation, attachments=[attachment(PDF)])


# --- what an element includes --------------------------------------------------------------------


def holder(inside: str) -> etree._Element:
    return etree.fromstring(f"<x>{inside}</x>")


def test_an_element_may_hold_an_attachment_in_the_place_of_its_text() -> None:
    beside, other = attachment(PDF), attachment(PDF, "a2@example.vn")

    for inside in (INCLUDE, f" {INCLUDE}\n"):
        assert included_attachment(holder(inside), [other, beside]) is beside


@pytest.mark.parametrize("inside", ["", "text", "<y/>", "<y/><z/>", f"<y>{INCLUDE}</y>"])
def test_an_element_without_an_include_holds_its_own_content(inside: str) -> None:
    assert included_attachment(holder(inside), [attachment(PDF)]) is None


@pytest.mark.parametrize(
    "inside",
    [
        f"text{INCLUDE}",
        f"{INCLUDE}text",
        f"{INCLUDE}<y/>",
        f"<y/>{INCLUDE}",
        INCLUDE * 2,
        INCLUDE.replace("/>", "><a/></xop:Include>"),
        INCLUDE.replace("/>", ' id="a"/>'),
        INCLUDE.replace("href", "src"),
    ],
)
def test_nothing_else_stands_beside_what_an_element_includes(inside: str) -> None:
    with pytest.raises(SignatureMalformedError, match="only content"):
        included_attachment(holder(inside), [attachment(PDF)])


@pytest.mark.parametrize("ids", [[], ["a2@example.vn"], ["a1@example.vn", "a1@example.vn"]])
def test_an_element_includes_one_attachment_that_there_is(ids: list[str]) -> None:
    with pytest.raises(SignatureMalformedError, match="no attachment of this message"):
        included_attachment(holder(INCLUDE), [attachment(PDF, one) for one in ids])


def test_a_part_that_includes_nothing_is_not_built_anew() -> None:
    assert inlined(holder("<y>text</y>"), EXCLUSIVE, [attachment(PDF)]) is None
