"""Messages with attachments that WSS4J 3.0.4 signed: its transforms are those that we know."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.xml import parse_xml
from bus.protocols.mime.signed_part import read_xml_attachment
from signing import names
from signing.attachments import Attachment
from signing.errors import CoverageInsufficientError, DigestMismatchError, SignatureError
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.wss.verify import SignedPart, VerifiedSignature, verify_signature
from tests.nation import NOW

VECTORS = Path(__file__).parent / "wss4j"
PDF, TEXT, XML = "pdf@example.vn", "text@example.vn", "xml@example.vn"
SIGNED = {
    "content": [PDF, TEXT, XML],
    "complete": [PDF, TEXT, XML],
    "mtom": [PDF],
    "token-in-attachment": [PDF],
}


def attachments(form: str) -> list[Attachment]:
    return [read(path) for path in sorted((VECTORS / form).glob("attachment-?"))]


def read(path: Path) -> Attachment:
    lines = Path(f"{path}.headers").read_text().splitlines()
    (_, content_id), (_, media_type), *headers = (line.split("\t", 1) for line in lines)
    return with_content(
        Attachment(
            content_id,
            media_type,
            tuple((name, value) for name, value in headers),
            0,
            {},
            lambda: iter(()),
        ),
        path.read_bytes(),
    )


def with_content(one: Attachment, content: bytes) -> Attachment:
    def chunks() -> Iterator[bytes]:
        yield content[:3]
        yield content[3:]

    return replace(one, bytes_count=len(content), chunks=chunks)


def verified(
    form: str, beside: Sequence[Attachment], policy: SignaturePolicy | None = None
) -> VerifiedSignature:
    raw = (VECTORS / form / "message.xml").read_bytes()
    root = parse_xml(raw, bytes_max=len(raw))
    security = root[0].find(names.SECURITY)
    assert security is not None
    timestamp = security.find(names.TIMESTAMP)
    assert timestamp is not None
    return verify_signature(
        security,
        [SignedPart("Body", root[1]), SignedPart("Timestamp", timestamp)],
        policy or SignaturePolicy(),
        TrustStore([(VECTORS / "anchor.der").read_bytes()]),
        NOW,
        attachments=beside,
        read_xml=read_xml_attachment,
    )


@pytest.mark.parametrize("form", SIGNED)
def test_what_wss4j_signs_is_verified(form: str) -> None:
    proved = verified(form, attachments(form))

    assert [one.content_id for one in proved.attachments] == SIGNED[form]


def test_wss4j_signs_the_headers_where_a_policy_demands_them() -> None:
    strict = SignaturePolicy(are_attachment_headers_required=True)

    assert len(verified("complete", attachments("complete"), strict).attachments) == 3
    with pytest.raises(CoverageInsufficientError, match="with its headers"):
        verified("content", attachments("content"), strict)


@pytest.mark.parametrize(
    ("form", "place"),
    [(form, place) for form, signed in SIGNED.items() for place in range(len(signed))],
)
def test_a_changed_attachment_is_seen(form: str, place: int) -> None:
    beside = attachments(form)
    content = b"".join(beside[place].chunks())
    changed = content.replace(b"PDF", b"pdf").replace(b"b", b"c")
    assert changed != content
    beside[place] = with_content(beside[place], changed)

    with pytest.raises(DigestMismatchError):
        verified(form, beside)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda value: value.replace("Ho So", "ho so"), None),
        (lambda value: value.replace("; size", ";\r\n\tSIZE"), None),
        (lambda value: value.replace("Ho So", "Ho-So"), DigestMismatchError),
        (lambda value: value.replace("attachment", "inline"), DigestMismatchError),
    ],
)
def test_a_changed_header_is_seen_and_another_spelling_is_none(
    change: Callable[[str], str], error: type[SignatureError] | None
) -> None:
    beside = attachments("complete")
    headers = tuple((name, change(value)) for name, value in beside[0].headers)
    beside[0] = replace(beside[0], headers=headers)

    if error is None:
        assert len(verified("complete", beside).attachments) == 3
        return
    with pytest.raises(error):
        verified("complete", beside)


@pytest.mark.parametrize("form", SIGNED)
def test_an_attachment_beside_the_signed_ones_is_refused(form: str) -> None:
    beside = attachments(form)

    with pytest.raises(CoverageInsufficientError, match="an attachment is not signed"):
        verified(form, [*beside, replace(beside[0], content_id="more@example.vn")])
