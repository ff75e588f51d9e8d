"""What we sign is canonical as it stands, and our own verifier accepts it."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from signing import names
from signing import policy as uri
from signing.errors import KeyUnusableError
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.utc_text import text_in_milliseconds
from signing.wss.canonical import canonicalise
from signing.wss.sign import (
    AttachmentPart,
    CanonicalPart,
    CanonicalParts,
    security_header,
    together,
    with_reference,
)
from signing.wss.verify import SignedPart, verify_signature
from tests.nation import NOW, SmallNation

PART = CanonicalPart("p1", f'<p xmlns:wsu="{names.WSU}" wsu:Id="p1">Nghệ An</p>'.encode())
MINUTE = timedelta(minutes=1)


def tree(security: bytes, *parts: CanonicalPart) -> etree._Element:
    raw = b"<e>" + security + b"".join(part.canonical for part in parts) + b"</e>"
    return parse_xml(raw, bytes_max=len(raw))


@pytest.mark.parametrize("kind", ["rsa-2048", "p-256", "p-384", "ed25519"])
def test_our_verifier_accepts_what_each_kind_of_key_signs(nation: SmallNation, kind: str) -> None:
    signer = nation.client_signers[kind]
    root = tree(security_header([PART], signer, NOW, MINUTE), PART)

    verified = verify_signature(
        root[0], [SignedPart("p", root[1])], SignaturePolicy(), TrustStore([nation.anchor]), NOW
    )

    assert verified.canonical_parts == {"p": PART.canonical}
    assert verified.certificate.digest == signer.certificate_sha256
    assert verified.certificate.der == signer.certificate_der


def test_what_is_digested_is_canonical_as_it_is_sent(nation: SmallNation) -> None:
    security = security_header([PART], nation.client_signers["p-256"], NOW, MINUTE)
    root = tree(security)

    for name in (names.SIGNED_INFO, names.TIMESTAMP):
        element = root.find(f".//{name}")
        assert element is not None
        assert canonicalise(element) in security


def test_an_algorithm_may_be_named(nation: SmallNation) -> None:
    signer = nation.client_signers["rsa-2048"]
    security = security_header([PART], signer, NOW, MINUTE, algorithm=uri.RSA_PSS_SHA512)

    methods = tree(security).findall(f".//{names.SIGNATURE_METHOD}")

    assert [method.get("Algorithm") for method in methods] == [uri.RSA_PSS_SHA512]


def test_an_algorithm_of_another_kind_of_key_is_refused(nation: SmallNation) -> None:
    with pytest.raises(KeyUnusableError):
        security_header(
            [PART], nation.client_signers["p-256"], NOW, MINUTE, algorithm=uri.RSA_SHA256
        )


def test_a_timestamp_is_utc_with_milliseconds_cut_off() -> None:
    moment = datetime(2026, 3, 1, 8, 0, 0, 999_999, tzinfo=UTC)

    assert text_in_milliseconds(moment) == "2026-03-01T08:00:00.999Z"


def test_the_timestamp_says_from_when_to_when(nation: SmallNation) -> None:
    security = tree(security_header([PART], nation.client_signers["p-256"], NOW, MINUTE))

    assert security.findtext(f".//{names.CREATED}") == "2026-03-01T08:00:00.000Z"
    assert security.findtext(f".//{names.EXPIRES}") == "2026-03-01T08:01:00.000Z"


def test_an_attachment_is_signed_by_its_content(nation: SmallNation) -> None:
    attachment = AttachmentPart("tờ khai@motcua", bytes(range(32)))
    signer = nation.client_signers["p-256"]

    root = tree(security_header([PART], signer, NOW, MINUTE, attachments=[attachment]))

    last = root.findall(f".//{names.REFERENCE}")[-1]
    transforms = [one.get("Algorithm") for one in last.iter(names.TRANSFORM)]
    assert last.get("URI") == "cid:t%E1%BB%9D%20khai@motcua"
    assert transforms == [names.ATTACHMENT_CONTENT]
    assert last.findtext(names.DIGEST_VALUE) == base64.b64encode(attachment.digest).decode()


def test_a_header_for_soap_1_2_must_be_understood_in_its_words(nation: SmallNation) -> None:
    signer = nation.client_signers["p-256"]

    root = tree(security_header([PART], signer, NOW, MINUTE, soap_namespace=names.SOAP12))

    assert root[0].get(f"{{{names.SOAP12}}}mustUnderstand") == "true"


def test_nothing_stands_between_the_elements_that_we_write(nation: SmallNation) -> None:
    parts = [PART, CanonicalPart("p2", PART.canonical.replace(b"p1", b"p2"), prefixes=("wsu",))]
    beside = [AttachmentPart(f"{number}@example.vn", bytes(32)) for number in range(2)]
    signer = nation.client_signers["p-256"]

    for ready in (None, together([]), together(parts)):
        security = security_header(parts, signer, NOW, MINUTE, attachments=beside, ready=ready)
        root = tree(security)

        assert not [one for one in root.iter() if one.tail or (len(one) and one.text)]


def test_whatever_is_to_be_signed_has_its_reference(nation: SmallNation) -> None:
    first, second = (
        CanonicalPart(one, PART.canonical.replace(b"p1", one.encode())) for one in "ab"
    )
    beside = [AttachmentPart("c@example.vn", bytes(32))]
    signer = nation.client_signers["p-256"]

    def signed(parts: list[CanonicalPart], **more: Any) -> list[str | None]:
        root = tree(security_header(parts, signer, NOW, MINUTE, **more))
        return [one.get("URI") for one in root.iter(names.REFERENCE)]

    assert signed([]) == ["#timestamp"]
    assert signed([first, second]) == ["#a", "#b", "#timestamp"]
    assert signed([], ready=together([first, second])) == ["#a", "#b", "#timestamp"]
    assert signed([second], ready=together([first])) == ["#a", "#b", "#timestamp"]
    assert signed([], attachments=beside) == ["#timestamp", "cid:c@example.vn"]


def test_a_reference_that_was_made_before_is_written(nation: SmallNation) -> None:
    ready = replace(PART, reference=b"<made/>")
    signer = nation.client_signers["p-256"]

    assert security_header([ready], signer, NOW, MINUTE).count(b"<made/>") == 1
    assert together([ready, ready]) == CanonicalParts(PART.canonical * 2, b"<made/>" * 2)
    assert together([PART]).references == with_reference(PART).reference
    assert together([]) == CanonicalParts(b"", b"")


def test_a_part_without_prefixes_has_no_list_of_them(nation: SmallNation) -> None:
    signer = nation.client_signers["p-256"]
    listed = replace(PART, prefixes=("a", "b"))

    assert b"PrefixList" not in security_header([PART], signer, NOW, MINUTE)
    assert b'PrefixList="a b"' in security_header([listed], signer, NOW, MINUTE)
