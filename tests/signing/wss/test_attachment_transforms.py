"""Attachments are signed by their content, or with their headers; every one must be signed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core.xml import parse_xml
from signing import names
from signing import policy as uri
from signing.algorithms import digest_pieces
from signing.attachments import Attachment
from signing.errors import (
    AlgorithmForbiddenError,
    CoverageInsufficientError,
    DigestMismatchError,
    SignatureError,
    SignatureMalformedError,
)
from signing.wss.attachment_transforms import (
    complete_digest,
    complete_digests,
    content_digest,
    content_digests,
)
from signing.wss.mime_headers import canonical_headers
from tests.attachments import attachment as whole_attachment
from tests.nation import SmallNation
from tests.signing.wss.handmade import (
    TO_TOKEN,
    Handmade,
    Ref,
    attached,
    attachment,
    binary_token,
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


def read_xml(found: Attachment) -> etree._Element:
    raw = b"".join(found.chunks())
    return parse_xml(raw, bytes_max=len(raw))


CONTENTS: dict[str, tuple[str, bytes, bytes]] = {
    "binary": ("application/pdf", b"a\nb\r\n", b"a\nb\r\n"),
    "nothing": ("application/pdf", b"", b""),
    "text": ("text/plain; charset=utf-8", b"a\nb\r\nc\rd\n\ne\r", b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n"),
    "text that begins with a line end": ("text/plain", b"\na", b"\r\na"),
    "text of another kind": ("TEXT/csv", b"a;b\n", b"a;b\r\n"),
    "XML": ("text/xml", b"<a  b='1'><c/>\n</a>", b'<a b="1"><c></c>\n</a>'),
    "XML of an application": ("application/xml;charset=utf-8", b"<a/>", b"<a></a>"),
    "XML of a kind": ("application/atom+xml", b"<a/>", b"<a></a>"),
    "XML of an image": ("Image/SVG+XML", b"<a/>", b"<a></a>"),
    "not XML": ("application/xmlish", b"<a/>", b"<a/>"),
}


@pytest.mark.parametrize("what", CONTENTS)
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 1000])
def test_an_attachment_is_signed_as_its_type_says(
    what: str, piece_bytes: int, plain: Handmade, nation: SmallNation
) -> None:
    media_type, content, octets = CONTENTS[what]
    beside = attachment(content, media_type=media_type, piece_bytes=piece_bytes)
    message = replace(plain, references=[attached("a1%40example.vn", octets)])

    verified = verify(message.raw(), nation, attachments=[beside], read_xml=read_xml)

    assert (beside,) == verified.attachments


HEADERS: dict[str, tuple[str, Sequence[tuple[str, str]], str]] = {
    "a plain type": (
        "application/pdf",
        (),
        "Content-ID:<a1@example.vn>\r\nContent-Type:application/pdf\r\n",
    ),
    "other headers are not signed": (
        "application/pdf",
        (("Content-Transfer-Encoding", "binary"), ("X-Path", "a")),
        "Content-ID:<a1@example.vn>\r\nContent-Type:application/pdf\r\n",
    ),
    "parameters": (
        'Application/PDF ; Name="Hồ.pdf"; CharSet=UTF-8',
        (),
        'Content-ID:<a1@example.vn>\r\nContent-Type:application/pdf;charset="utf-8";name="Hồ.pdf"\r\n',
    ),
    "comments, folds and quotes": (
        'application/pdf; (a (nested) "comment\\)") name="a\\"b\\\\c"',
        (("content-disposition", 'Attachment;\r\n filename="A (1).pdf"'),),
        (
            'Content-Disposition:attachment;filename="a (1).pdf"\r\n'
            "Content-ID:<a1@example.vn>\r\n"
            'Content-Type:application/pdf;name="a\\"b\\\\c"\r\n'
        ),
    ),
    "encoded words and continued parameters": (
        "application/pdf; name*0*=UTF-8'vi'H%E1%BB%93; name*1=so; title*=%41",
        (("Content-Description", "=?UTF-8?Q?H=E1=BB=93_s=C6=A1?="), ("Content-Location", "a.pdf")),
        (
            "Content-Description:Hồ sơ\r\nContent-ID:<a1@example.vn>\r\nContent-Location:a.pdf\r\n"
            'Content-Type:application/pdf;name="Hồso";title="A"\r\n'
        ),
    ),
}


@pytest.mark.parametrize("what", HEADERS)
def test_an_attachment_is_signed_with_its_headers(
    what: str, plain: Handmade, nation: SmallNation
) -> None:
    media_type, more, expected = HEADERS[what]
    beside = attachment(PDF, media_type=media_type, headers=more)
    octets = expected.encode() + PDF
    message = replace(
        plain, references=[attached("a1@example.vn", octets, names.ATTACHMENT_COMPLETE)]
    )
    strict = replace(POLICY, are_attachment_headers_required=True)

    assert (beside,) == verify(message.raw(), nation, strict, attachments=[beside]).attachments


def test_an_attachment_without_a_type_is_text(plain: Handmade, nation: SmallNation) -> None:
    beside = replace(attachment(b"a\n", media_type="text/plain"), headers=())
    octets = b'Content-Type:text/plain;charset="us-ascii"\r\na\r\n'
    message = replace(
        plain, references=[attached("a1@example.vn", octets, names.ATTACHMENT_COMPLETE)]
    )

    assert (beside,) == verify(message.raw(), nation, attachments=[beside]).attachments


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((("Content-Type", "a/b"),), "two headers Content-Type"),
        ((("Content-Disposition", "attachment; ="),), "cannot be read"),
        ((("Content-Disposition", 'attachment; a="'),), "cannot be read"),
        ((("Content-Disposition", "attachment; a*=x'y'%ff"),), "cannot be decoded"),
        ((("Content-Disposition", "attachment; a*=UTF-8''%ff"),), "cannot be decoded"),
        ((("Content-Description", "=?x?Q?a?="),), "cannot be decoded"),
        ((("Content-Description", "=?UTF-8?B?a?="),), "cannot be decoded"),
    ],
)
def test_headers_that_cannot_be_read_are_not_signed(
    headers: Sequence[tuple[str, str]], reason: str, plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(PDF, headers=headers)
    message = replace(plain, references=[attached("a1@example.vn", PDF, names.ATTACHMENT_COMPLETE)])

    with pytest.raises(SignatureMalformedError, match=reason):
        verify(message.raw(), nation, attachments=[beside])


def test_digests_made_on_arrival_spare_reading_again(plain: Handmade, nation: SmallNation) -> None:
    def chunks() -> object:
        raise AssertionError("read again")

    beside = replace(attachment(PDF, with_digests=True), chunks=chunks)  # type: ignore[arg-type]
    message = replace(plain, references=[attached("a1@example.vn", PDF)])

    assert (beside,) == verify(message.raw(), nation, attachments=[beside]).attachments


def test_a_digest_that_was_not_made_on_arrival_is_made_now(
    plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(PDF, with_digests=True)
    reference = replace(attached("a1@example.vn", PDF), digest=uri.DIGEST_SHA512)

    verified = verify(replace(plain, references=[reference]).raw(), nation, attachments=[beside])

    assert (beside,) == verified.attachments


def test_pieces_may_be_empty(plain: Handmade, nation: SmallNation) -> None:
    beside = replace(
        attachment(b"", media_type="text/plain"), chunks=lambda: iter([b"", b"a\r", b"", b"\nb"])
    )
    message = replace(plain, references=[attached("a1@example.vn", b"a\r\nb")])

    assert (beside,) == verify(message.raw(), nation, attachments=[beside]).attachments


def test_attachments_keep_their_order_and_may_be_signed_twice(
    plain: Handmade, nation: SmallNation
) -> None:
    first, second = attachment(b"1", "a"), attachment(b"2", "b")
    headers = b"Content-ID:<b>\r\nContent-Type:application/pdf\r\n"
    references = [
        attached("b", headers + b"2", names.ATTACHMENT_COMPLETE),
        attached("b", b"2"),
        attached("a", b"1"),
    ]
    raw = replace(plain, references=references).raw()

    assert (first, second) == verify(raw, nation, attachments=[first, second]).attachments


@pytest.mark.parametrize(
    ("references", "error", "reason"),
    [
        ([], CoverageInsufficientError, "an attachment is not signed"),
        ([attached("a1@example.vn", PDF + b" ")], DigestMismatchError, "attachment was changed"),
        (
            [attached("a2@example.vn", PDF)],
            SignatureMalformedError,
            "no attachment of this message",
        ),
        (
            [attached("a1@example.vn", PDF, names.EXCLUSIVE_C14N)],
            AlgorithmForbiddenError,
            "attachment transforms only",
        ),
        (
            [
                replace(
                    attached("a1@example.vn", PDF),
                    transform=f'<ds:Transform Algorithm="{names.ATTACHMENT_CONTENT}"><a/>'
                    "</ds:Transform>",
                )
            ],
            SignatureMalformedError,
            "takes no parameters",
        ),
        (
            [replace(part("body"), transform=attached("a", b"").transform)],
            AlgorithmForbiddenError,
            "must be canonicalised",
        ),
    ],
)
def test_an_attachment_that_is_not_signed_as_it_is_is_refused(
    references: list[Ref],
    error: type[SignatureError],
    reason: str,
    plain: Handmade,
    nation: SmallNation,
) -> None:
    with pytest.raises(error, match=reason):
        verify(replace(plain, references=references).raw(), nation, attachments=[attachment(PDF)])


def test_every_attachment_must_be_signed(plain: Handmade, nation: SmallNation) -> None:
    raw = replace(plain, references=[attached("a1@example.vn", PDF)]).raw()

    with pytest.raises(CoverageInsufficientError, match="an attachment is not signed"):
        verify(raw, nation, attachments=[attachment(PDF), attachment(PDF, "a2@example.vn")])
    with pytest.raises(SignatureMalformedError, match="no attachment of this message"):
        verify(raw, nation, attachments=[attachment(PDF), attachment(PDF)])


def test_a_policy_can_demand_signed_headers(plain: Handmade, nation: SmallNation) -> None:
    raw = replace(plain, references=[attached("a1@example.vn", PDF)]).raw()
    strict = replace(POLICY, are_attachment_headers_required=True)

    with pytest.raises(CoverageInsufficientError, match="not signed with its headers"):
        verify(raw, nation, strict, attachments=[attachment(PDF)])


def test_xml_is_not_read_where_nobody_gave_a_parser(plain: Handmade, nation: SmallNation) -> None:
    raw = replace(plain, references=[attached("a1@example.vn", b"<a></a>")]).raw()

    with pytest.raises(AlgorithmForbiddenError, match="XML type are not read here"):
        verify(raw, nation, attachments=[attachment(b"<a/>", media_type="text/xml")])


@given(
    content=st.binary(min_size=1, max_size=40),
    place=st.integers(0, 39),
    change=st.integers(1, 255),
    piece_bytes=st.integers(1, 50),
)
def test_any_change_to_an_attachment_fails(
    content: bytes, place: int, change: int, piece_bytes: int, nation: SmallNation
) -> None:
    signer = nation.client_signers["p-256"]
    message = Handmade(
        signer,
        token_reference(TO_TOKEN),
        binary_token(signer.certificate_der),
        algorithm=uri.ECDSA_SHA256,
        references=[attached("a1@example.vn", content)],
    )
    changed = bytearray(content)
    changed[place % len(content)] ^= change

    verify(message.raw(), nation, attachments=[attachment(content, piece_bytes=piece_bytes)])
    with pytest.raises(DigestMismatchError):
        verify(message.raw(), nation, attachments=[attachment(bytes(changed))])


# --- the bytes as they are -----------------------------------------------------------------------


@pytest.mark.parametrize("media_type", ["text/xml", "text/plain", "application/pdf"])
@pytest.mark.parametrize("algorithm", [uri.DIGEST_SHA256, uri.DIGEST_SHA384])
def test_a_digest_of_the_very_bytes_is_taken_before_any_other(
    media_type: str, algorithm: str
) -> None:
    one = whole_attachment(b"<a>\n</a>", "a", media_type)
    one = replace(one, chunks=lambda: iter([b"", b"<a>\n", b"</a>"]))
    headers = canonical_headers(one.headers)

    content = list(content_digests(one, algorithm, read_xml))
    complete = list(complete_digests(one, algorithm, read_xml))

    assert content[0] == digest_pieces([b"<a>\n</a>"], algorithm)
    assert complete[0] == digest_pieces([headers, b"<a>\n</a>"], algorithm)
    assert content[-1] == content_digest(one, algorithm, read_xml)
    assert complete[-1] == complete_digest(one, algorithm, read_xml)


def test_an_empty_piece_does_not_part_a_line_end() -> None:
    whole = attachment(b"a\r\nb", media_type="text/plain")
    parted = replace(whole, chunks=lambda: iter([b"a\r", b"", b"\nb"]))

    digests = {content_digest(one, uri.DIGEST_SHA256, read_xml) for one in (whole, parted)}

    assert digests == {hashlib.sha256(b"a\r\nb").digest()}


@pytest.mark.parametrize("order", [1, -1])
def test_headers_that_are_signed_once_are_signed(
    order: int, plain: Handmade, nation: SmallNation
) -> None:
    beside = attachment(b"%PDF")
    headers = canonical_headers(beside.headers)
    both = [
        attached("a1@example.vn", b"%PDF"),
        attached("a1@example.vn", headers + b"%PDF", names.ATTACHMENT_COMPLETE),
    ]
    message = replace(plain, references=both[::order])
    strict = replace(POLICY, are_attachment_headers_required=True)

    assert verify(message.raw(), nation, strict, attachments=[beside]).attachments == (beside,)
