"""Attachments that are exchanged, left out, added, renamed or retyped are not what was signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from bus.core.attachments import parsing_with_attachments
from bus.core.errors import BusError
from bus.core.verification import verify
from bus.kit.contract import attachment_of_bytes
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from signing.attachments import Attachment
from tests.attacks.keys import corpus_signer
from tests.nation import CLIENT, LOOKUP, NOW, SmallNation, payload

Attachments = tuple[Attachment, ...]


def pdf(content: bytes = b"%PDF-1.7 \x00\xff", content_id: str = "a@x") -> Attachment:
    return attachment_of_bytes(content, content_id=content_id, media_type="application/pdf")


def text(content: bytes = b"a\r\nb", content_id: str = "t@x") -> Attachment:
    return attachment_of_bytes(content, content_id=content_id, media_type="text/plain")


def xml(content: bytes = b"<a b='1'>c</a>", content_id: str = "x@x") -> Attachment:
    return attachment_of_bytes(content, content_id=content_id, media_type="text/xml")


SIGNED: Attachments = (pdf(), text(), xml())


def message() -> bytes:
    return write_request(
        RequestHeader(CLIENT, LOOKUP, "attachments-1"),
        payload(),
        corpus_signer("h41-rsa"),
        SigningTime(NOW),
        attachments=[signed_part(one) for one in SIGNED],
    )


def verdict(raw: bytes, attachments: Attachments, corpus: SmallNation) -> str:
    rules = corpus.rules
    try:
        envelope = parsing_with_attachments(parse, attachments)(raw, rules.registry.limits)
        verified = verify(envelope, rules.registry, rules.trust, NOW)
    except BusError as error:
        return error.code
    assert [one.content_id for one in verified.attachments] == [
        one.content_id for one in attachments
    ]
    return "verified"


CHANGES: dict[str, tuple[Callable[[Attachments], Attachments], str]] = {
    "nothing": (lambda all_: all_, "verified"),
    "another order": (lambda all_: all_[::-1], "verified"),
    "text whose line ends were rewritten on the way": (
        lambda all_: (all_[0], text(b"a\nb"), all_[2]),
        "verified",
    ),
    "XML that is quoted otherwise": (
        lambda all_: (all_[0], all_[1], xml(b'<a  b="1" >c</a>')),
        "verified",
    ),
    "another byte": (
        lambda all_: (pdf(b"%PDF-1.7 \x01\xff"), *all_[1:]),
        "signature.digest-mismatch",
    ),
    "a byte more": (
        lambda all_: (pdf(b"%PDF-1.7 \x00\xff "), *all_[1:]),
        "signature.digest-mismatch",
    ),
    "nothing in it": (lambda all_: (pdf(b""), *all_[1:]), "signature.digest-mismatch"),
    "contents exchanged under their names": (
        lambda all_: (pdf(b"a\r\nb"), text(b"%PDF-1.7 \x00\xff"), all_[2]),
        "signature.digest-mismatch",
    ),
    "names exchanged": (
        lambda all_: (
            replace(all_[0], content_id="t@x"),
            replace(all_[1], content_id="a@x"),
            all_[2],
        ),
        "signature.digest-mismatch",
    ),
    "one left out": (lambda all_: all_[1:], "signature.malformed"),
    "all left out": (lambda _: (), "signature.malformed"),
    "one more": (lambda all_: (*all_, pdf(b"evil", "e@x")), "signature.coverage"),
    "one more before the others": (
        lambda all_: (pdf(b"evil", "e@x"), *all_),
        "signature.coverage",
    ),
    "another name": (
        lambda all_: (replace(all_[0], content_id="b@x"), *all_[1:]),
        "signature.malformed",
    ),
    "a name in capitals": (
        lambda all_: (replace(all_[0], content_id="A@X"), *all_[1:]),
        "signature.malformed",
    ),
    "a name in angle brackets": (
        lambda all_: (replace(all_[0], content_id="<a@x>"), *all_[1:]),
        "signature.malformed",
    ),
    "a name that is escaped": (
        lambda all_: (replace(all_[0], content_id="a%40x"), *all_[1:]),
        "signature.malformed",
    ),
    "XML with a comment": (
        lambda all_: (*all_[:2], xml(b"<a b='1'>c<!-- d --></a>")),
        "attachment.xml",
    ),
    "XML with a document type": (
        lambda all_: (*all_[:2], xml(b"<!DOCTYPE a><a b='1'>c</a>")),
        "attachment.xml",
    ),
    "XML that is none": (lambda all_: (*all_[:2], xml(b"<a")), "attachment.xml"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_attachments_are_the_signed_ones_or_refused(change: str, corpus: SmallNation) -> None:
    make, expected = CHANGES[change]

    assert verdict(message(), make(SIGNED), corpus) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b'URI="cid:', b'URI="mid:', "signature.malformed"),
        (b'URI="cid:a', b'URI="cid:b', "signature.value-invalid"),
        (b'URI="cid:a', b'URI="http://127.0.0.1:9/a', "signature.malformed"),
        (b"Attachment-Complete", b"Attachment-Ciphertext", "signature.algorithm-forbidden"),
        (b"Attachment-Complete", b"Attachment-Content-Only", "signature.algorithm-forbidden"),
    ],
)
def test_a_reference_to_an_attachment_is_read_as_it_was_signed(
    old: bytes, new: bytes, expected: str, corpus: SmallNation
) -> None:
    raw = message()
    old = old if old in raw else old.replace(b"Complete", b"Content")
    assert old in raw

    assert verdict(raw.replace(old, new), SIGNED, corpus) == expected
