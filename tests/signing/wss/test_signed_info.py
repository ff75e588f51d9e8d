"""The plain shape of SignedInfo reads as the tree does, and any other shape is left to the tree."""

from __future__ import annotations

import pytest
from lxml import etree

from signing import names
from signing.errors import AlgorithmForbiddenError, SignatureMalformedError
from signing.policy import SignaturePolicy
from signing.wss import signed_info
from signing.wss.canonical import canonicalise
from tests.nation import SmallNation
from tests.signing.wss.handmade import EXCLUSIVE, TO_TOKEN, Handmade, binary_token, token_reference
from tests.signing.wss.signed_parts import verify

POLICY = SignaturePolicy()
RSA = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
METHOD = f'<ds:CanonicalizationMethod Algorithm="{names.EXCLUSIVE_C14N}"/>'
DIGEST = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def reference(
    p: str = "ds:", uri: str = "#body", digest: str = DIGEST, method: str = SHA256
) -> str:
    return (
        f'<{p}Reference URI="{uri}"><{p}Transforms>'
        f'<{p}Transform Algorithm="{names.EXCLUSIVE_C14N}"/></{p}Transforms>'
        f'<{p}DigestMethod Algorithm="{method}"/><{p}DigestValue>{digest}</{p}DigestValue>'
        f"</{p}Reference>"
    )


def info(inside: str = "", prefix: str = "ds", algorithm: str = RSA, attributes: str = "") -> str:
    p, declared = (f"{prefix}:", f"xmlns:{prefix}") if prefix else ("", "xmlns")
    return (
        f'<{p}SignedInfo {declared}="{names.DS}"{attributes}>'
        f'<{p}CanonicalizationMethod Algorithm="{names.EXCLUSIVE_C14N}"/>'
        f'<{p}SignatureMethod Algorithm="{algorithm}"/>{inside}</{p}SignedInfo>'
    )


def plain(text: str) -> signed_info.SignedInfo | None:
    return signed_info._read_plain(canonicalise(etree.fromstring(text)), POLICY)


def tree(text: str) -> signed_info.SignedInfo:
    element = etree.fromstring(text)
    return signed_info._read_tree(element, canonicalise(element), POLICY)


@pytest.mark.parametrize("prefix", ["ds", "dsig", ""])
@pytest.mark.parametrize("gap", ["", "\n  ", " \t\n"])
def test_the_plain_shape_reads_as_the_tree_does(prefix: str, gap: str) -> None:
    p = f"{prefix}:" if prefix else ""
    text = info(gap + reference(p) + gap + reference(p, "#timestamp") + gap, prefix)

    found = plain(text)

    assert found is not None
    assert tree(text) == found
    assert [one.id for one in found.references] == ["body", "timestamp"]


def test_a_very_long_one_is_left_to_the_tree() -> None:
    identifier = "a" * 40_000
    text = info(reference(uri=f"#{identifier}") + reference())

    assert plain(text) is None
    assert [one.id for one in tree(text).references] == [identifier, "body"]


@pytest.mark.parametrize(
    "identifier", ["aDigestValue>", "aDigestValue>AAAADigestValue>", "DigestValue>" * 3]
)
def test_an_id_that_looks_like_the_end_of_a_tag_is_an_id(identifier: str) -> None:
    text = info(reference(uri=f"#{identifier}") + reference())

    assert tree(text) == plain(text)
    assert [one.id for one in tree(text).references] == [identifier, "body"]


@pytest.mark.parametrize("digest", ["<ds:a/>", DIGEST + "<ds:a/>", "", DIGEST[:-1], "é"])
def test_the_plain_shape_takes_digests_only(digest: str) -> None:
    found = plain(info(reference(digest=digest)))
    assert found is None or found.digest_values == [b""]


def with_prefixes(prefixes: str, more: str = "", text: str = "") -> str:
    return (text or reference()).replace(
        "/></ds:Transforms>",
        f'><e:InclusiveNamespaces xmlns:e="{names.EXCLUSIVE_C14N}" PrefixList="{prefixes}"{more}/>'
        "</ds:Transform></ds:Transforms>",
    )


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        (info(reference(), attributes=' Id="si" xmlns:other="urn:x"'), ()),
        (info(reference(digest=DIGEST[:20] + "\n" + DIGEST[20:])), ()),
        (info(with_prefixes("soap xs")), ("soap", "xs")),
        (info(with_prefixes("")), ()),
        (info(with_prefixes("#default")), ("#default",)),
    ],
    ids=["an Id", "wrapped digest", "prefix list", "empty prefix list", "default prefix"],
)
def test_what_common_clients_add_is_still_the_plain_shape(
    text: str, prefixes: tuple[str, ...]
) -> None:
    found = plain(text)

    assert found is not None
    assert prefixes == found.references[0].canonicalisation.prefixes
    assert found == tree(text)


@pytest.mark.parametrize(
    "text",
    [
        info(reference("sig:"), "sig"),
        info(reference().replace("URI=", 'Type="x" URI=')),
        info(reference().replace('URI="#body"', 'URI="#body" Type="x"')),
        info(reference(uri="#b&amp;c")),
        info(reference().replace('URI="#body"', 'URI="#body" with="x"')),
        info(with_prefixes("a&#9;b")),
        info(with_prefixes("a", ' Id="x"')),
    ],
    ids=[
        "other prefix",
        "an Id",
        "a Type",
        "an escaped Id",
        "an attribute behind the URI",
        "an escaped prefix",
        "another list",
    ],
)
def test_any_other_sound_shape_is_read_from_the_tree(text: str) -> None:
    assert plain(text) is None
    element = etree.fromstring(text)
    assert signed_info.read_signed_info(element, POLICY) == tree(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (info(), SignatureMalformedError),
        (info(reference() * 33), SignatureMalformedError),
        (info(reference(uri="")), SignatureMalformedError),
        (info(reference(uri="http://example.vn/#body")), SignatureMalformedError),
        (info(reference() + "<ds:Object/>"), SignatureMalformedError),
        (info(reference(digest="====")), SignatureMalformedError),
        (info(reference(digest="A===")), SignatureMalformedError),
        (info(reference(digest="AB=")), SignatureMalformedError),
        (info(reference(method=SHA1)), AlgorithmForbiddenError),
        (info(reference(), algorithm=RSA_SHA1), AlgorithmForbiddenError),
        (info(reference().replace(names.EXCLUSIVE_C14N, XSLT)), AlgorithmForbiddenError),
        (info(with_prefixes(" ".join(f"p{n}" for n in range(33)))), SignatureMalformedError),
        (info(reference(uri="#")), SignatureMalformedError),
        (
            info(reference()).replace("<ds:SignatureMethod", "<ds:X/><ds:SignatureMethod"),
            SignatureMalformedError,
        ),
        (info(reference()).replace("<ds:Canon", "<ds:X/><ds:Canon", 1), SignatureMalformedError),
        (
            info(reference()).replace("<ds:SignatureMethod", f"{METHOD}<ds:SignatureMethod"),
            SignatureMalformedError,
        ),
        (
            info(reference()).replace(
                "<ds:SignatureMethod", "<ds:CanonicalizationMethod/><ds:SignatureMethod"
            ),
            SignatureMalformedError,
        ),
        (
            info(reference()).replace(
                "<ds:SignatureMethod", '<ds:CanonicalizationMethod A="x"/><ds:SignatureMethod'
            ),
            SignatureMalformedError,
        ),
        (f'<ds:SignedInfo xmlns:ds="{names.DS}"/>', SignatureMalformedError),
    ],
)
def test_what_the_policy_or_the_form_forbids_is_refused_whatever_the_shape(
    text: str, error: type[Exception]
) -> None:
    assert plain(text) is None
    with pytest.raises(error):
        signed_info.read_signed_info(etree.fromstring(text), POLICY)


def test_another_canonicalisation_is_refused_before_anything_is_read() -> None:
    text = info(reference()).replace(names.EXCLUSIVE_C14N, INCLUSIVE, 1)

    with pytest.raises(AlgorithmForbiddenError, match="SignedInfo must be canonicalised"):
        signed_info.read_signed_info(etree.fromstring(text), POLICY)


MANY = " ".join(f"p{number}" for number in range(32))


@pytest.mark.parametrize(
    "text",
    [
        info(reference() * 32),
        info(reference() * 31 + reference(uri="#b&amp;c")),
        info(with_prefixes(MANY)),
        info(with_prefixes(MANY, ' Id="x"')),
        info(reference(uri="#a")),
        info(reference(uri="#a") + reference(uri="#b&amp;c")),
    ],
    ids=[
        "references",
        "references of a tree",
        "prefixes",
        "prefixes of a tree",
        "a short Id",
        "a short Id of a tree",
    ],
)
def test_what_just_keeps_within_the_bounds_is_read(text: str) -> None:
    element = etree.fromstring(text)

    assert signed_info.read_signed_info(element, POLICY) == tree(text)


def test_the_second_canonicalisation_is_told(nation: SmallNation) -> None:
    signer = nation.client_signers["rsa-2048"]
    second = f"<ds:CanonicalizationMethod {EXCLUSIVE}<ds:CanonicalizationMethod/>"
    raw = Handmade(
        signer, token_reference(TO_TOKEN), binary_token(signer.certificate_der), method=second
    ).raw()

    with pytest.raises(SignatureMalformedError, match="CanonicalizationMethod stands 2 times"):
        verify(raw, nation)


def test_text_between_the_elements_is_not_the_plain_shape() -> None:
    assert plain(info(reference() + "text")) is None


def test_a_namespace_bound_to_another_meaning_is_not_the_plain_shape() -> None:
    text = info(reference()).replace(names.DS, "urn:not-a-signature")
    assert plain(text) is None
    with pytest.raises(SignatureMalformedError):
        signed_info.read_signed_info(etree.fromstring(text), POLICY)
