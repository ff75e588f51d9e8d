"""A certificate is found by every reference of the X.509 profile, and by nothing weaker."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from asn1crypto.parser import emit
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from lxml import etree

from signing import names
from signing.errors import CertificateRejectedError, SignatureError, SignatureMalformedError
from signing.pki.keys import Signer, make_signer
from signing.pki.known_certificates import CERTIFICATE_BYTES_MAX, KnownCertificates
from signing.policy import ECDSA_SHA256
from signing.wss.key_references import id_referred_to
from signing.wss.verify import VerifiedSignature
from signing.wss.x509_tokens import CERTIFICATES_MAX, TOKEN_BYTES_MAX
from tests.certificates import make_certificate
from tests.nation import NOW, SmallNation, der
from tests.signing.wss.handmade import (
    TO_TOKEN,
    Handmade,
    attached,
    attachment,
    binary_token,
    issuer_serial,
    key_identifier,
    token_reference,
    x509_certificate,
    x509_data,
)
from tests.signing.wss.signed_parts import BODY, verify


@dataclass(frozen=True)
class Facts:
    """What a message can say about a certificate."""

    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return der(self.certificate)

    @property
    def ski(self) -> bytes:
        public = self.certificate.public_key()
        return x509.SubjectKeyIdentifier.from_public_key(public).digest

    @property
    def thumbprint(self) -> bytes:
        return hashlib.sha1(self.der).digest()

    @property
    def issuer(self) -> str:
        return self.certificate.issuer.rfc4514_string()

    @property
    def serial(self) -> int:
        return self.certificate.serial_number


@pytest.fixture(scope="module")
def signer(nation: SmallNation) -> Signer:
    return nation.client_signers["rsa-2048"]


@pytest.fixture(scope="module")
def facts(signer: Signer) -> Facts:
    return Facts(signer.certificate)


def told(
    nation: SmallNation, key_info: str, tokens: str = "", **options: object
) -> VerifiedSignature:
    signer = nation.client_signers["rsa-2048"]
    return verify(Handmade(signer, key_info, tokens).raw(), nation, **options)  # type: ignore[arg-type]


def path_token(*ders: bytes) -> bytes:
    sequence = 16
    return emit(0, 1, sequence, b"".join(ders))  # type: ignore[no-any-return]


# --- certificates that the message carries ------------------------------------------------------


CARRIED: dict[str, Callable[[bytes, bytes], tuple[str, str]]] = {
    "a token": lambda mine, root: (token_reference(TO_TOKEN), binary_token(mine)),
    "a path": lambda mine, root: (
        token_reference(TO_TOKEN),
        binary_token(path_token(root, mine), names.X509_PKI_PATH),
    ),
    "a path of one": lambda mine, root: (
        token_reference(TO_TOKEN),
        binary_token(path_token(mine), names.X509_PKI_PATH),
    ),
    "a bag": lambda mine, root: (
        token_reference(TO_TOKEN),
        binary_token(
            serialize_certificates(
                [x509.load_der_x509_certificate(one) for one in (root, mine)], Encoding.DER
            ),
            names.X509_PKCS7,
        ),
    ),
    "an embedded token": lambda mine, root: (
        token_reference(f"<wsse:Embedded>{binary_token(mine, attributes='')}</wsse:Embedded>"),
        "",
    ),
    "a key identifier that is the certificate": lambda mine, root: (
        token_reference(key_identifier(mine, names.X509_V3)),
        "",
    ),
    "X509Data": lambda mine, root: (x509_data(x509_certificate(mine)), ""),
    "X509Data in a token reference": lambda mine, root: (
        token_reference(x509_data(x509_certificate(mine))),
        "",
    ),
    "X509Data with its issuer, leaf first": lambda mine, root: (
        x509_data(x509_certificate(mine), x509_certificate(root)),
        "",
    ),
    "X509Data with its issuer, leaf last": lambda mine, root: (
        x509_data(x509_certificate(root), x509_certificate(mine)),
        "",
    ),
    "X509Data beside names of the key": lambda mine, root: (
        "<ds:KeyName>me</ds:KeyName>" + x509_data(x509_certificate(mine), "<ds:X509CRL/>"),
        "",
    ),
}


@pytest.mark.parametrize("way", CARRIED)
def test_a_certificate_in_the_message_is_found(way: str, nation: SmallNation, facts: Facts) -> None:
    key_info, tokens = CARRIED[way](facts.der, nation.anchor)

    verified = told(nation, key_info, tokens)

    assert facts.der == verified.certificate.der
    assert BODY.canonical == verified.canonical_parts["Body"]


def test_of_several_certificates_the_named_one_signs(nation: SmallNation, facts: Facts) -> None:
    other = der(nation.client_signers["p-256"].certificate)
    both = x509_certificate(other) + x509_certificate(facts.der)

    verified = told(nation, x509_data(both, issuer_serial(facts.issuer, facts.serial)))

    assert facts.der == verified.certificate.der


# --- certificates that the message only names -----------------------------------------------------


NAMED: dict[str, Callable[[Facts], str]] = {
    "subject key identifier": lambda known: token_reference(
        key_identifier(known.ski, names.X509_KEY_IDENTIFIER)
    ),
    "thumbprint": lambda known: token_reference(
        key_identifier(known.thumbprint, names.THUMBPRINT_SHA1)
    ),
    "issuer and serial": lambda known: token_reference(
        x509_data(issuer_serial(known.issuer, known.serial))
    ),
    "issuer and serial in KeyInfo": lambda known: x509_data(
        issuer_serial(known.issuer, f" {known.serial}\n")
    ),
    "X509SKI": lambda known: x509_data(
        f"<ds:X509SKI>{base64.b64encode(known.ski).decode()}</ds:X509SKI>"
    ),
    "subject name": lambda known: x509_data(
        f"<ds:X509SubjectName>{known.certificate.subject.rfc4514_string()}</ds:X509SubjectName>"
    ),
    "two names of one certificate": lambda known: x509_data(
        issuer_serial(known.issuer, known.serial),
        f"<ds:X509SubjectName>{known.certificate.subject.rfc4514_string()}</ds:X509SubjectName>",
    ),
}


@pytest.mark.parametrize("way", NAMED)
def test_a_known_certificate_is_found_by_its_name(
    way: str, nation: SmallNation, facts: Facts
) -> None:
    stranger = der(
        make_certificate(
            nation.issuer, ec.generate_private_key(ec.SECP256R1()).public_key(), NOW, name="other"
        )
    )

    verified = told(nation, NAMED[way](facts), known=[stranger, facts.der])

    assert facts.der == verified.certificate.der


@pytest.mark.parametrize("way", NAMED)
def test_a_certificate_that_is_not_known_is_not_looked_for_elsewhere(
    way: str, nation: SmallNation, facts: Facts
) -> None:
    with pytest.raises(CertificateRejectedError, match="no certificate is known by this"):
        told(nation, NAMED[way](facts), binary_token(facts.der))


def test_what_is_known_is_not_trusted_for_that(nation: SmallNation, signer: Signer) -> None:
    own = make_certificate(
        nation.issuer, signer.certificate.public_key(), NOW, valid_until=timedelta(hours=-1)
    )

    with pytest.raises(CertificateRejectedError, match="expired"):
        told(nation, NAMED["thumbprint"](Facts(own)), known=[der(own)])


def test_names_that_belong_to_two_certificates_find_none(nation: SmallNation, facts: Facts) -> None:
    other = nation.client_signers["p-256"].certificate
    name = facts.certificate.subject.rfc4514_string()
    said = x509_data(
        issuer_serial(Facts(other).issuer, Facts(other).serial),
        f"<ds:X509SKI>{base64.b64encode(facts.ski).decode()}</ds:X509SKI>",
    )

    with pytest.raises(CertificateRejectedError, match="issuer and serial number and subject key"):
        told(nation, said, known=[facts.der, der(other)])
    with pytest.raises(CertificateRejectedError, match="2 known certificates of different keys"):
        told(
            nation,
            x509_data(f"<ds:X509SubjectName>{name}</ds:X509SubjectName>"),
            known=[facts.der, der(other)],
        )


# --- renewal -----------------------------------------------------------------------------------


@pytest.mark.parametrize("known_first", [False, True])
def test_of_two_certificates_for_one_key_the_valid_one_is_taken(
    nation: SmallNation, signer: Signer, facts: Facts, known_first: bool
) -> None:
    day = timedelta(days=1)
    expired = make_certificate(
        nation.issuer, signer.certificate.public_key(), NOW, valid_from=-20 * day, valid_until=-day
    )
    known = [der(expired), facts.der]

    verified = told(
        nation,
        NAMED["subject key identifier"](facts),
        known=known if known_first else known[::-1],
    )

    assert facts.der == verified.certificate.der


def test_of_two_valid_certificates_for_one_key_the_newer_one_is_taken(
    nation: SmallNation, signer: Signer, facts: Facts
) -> None:
    newer = make_certificate(
        nation.issuer, signer.certificate.public_key(), NOW, valid_from=timedelta(hours=-1)
    )

    verified = told(nation, NAMED["subject key identifier"](facts), known=[facts.der, der(newer)])

    assert der(newer) == verified.certificate.der


# --- what names no certificate -------------------------------------------------------------------


def bag_of(*certificates: x509.Certificate) -> str:
    return binary_token(serialize_certificates(list(certificates), Encoding.DER), names.X509_PKCS7)


REFUSED: dict[str, tuple[Callable[[Facts], tuple[str, str]], type[SignatureError], str]] = {
    "a bare key": (
        lambda known: (
            "<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQ==</ds:Modulus></ds:RSAKeyValue></ds:KeyValue>",
            binary_token(known.der),
        ),
        SignatureMalformedError,
        "0 references",
    ),
    "a key's name": (
        lambda known: ("<ds:KeyName>me</ds:KeyName>", ""),
        SignatureMalformedError,
        "0 ref",
    ),
    "two references": (
        lambda known: (token_reference(TO_TOKEN) * 2, binary_token(known.der)),
        SignatureMalformedError,
        "2 references",
    ),
    "an empty reference": (
        lambda known: (token_reference(""), binary_token(known.der)),
        SignatureMalformedError,
        "must hold one reference",
    ),
    "a reference with two ways": (
        lambda known: (token_reference(TO_TOKEN + TO_TOKEN), binary_token(known.der)),
        SignatureMalformedError,
        "must hold one reference",
    ),
    "a reference of another kind": (
        lambda known: (token_reference("<wsse:KeyName>me</wsse:KeyName>"), ""),
        SignatureMalformedError,
        "in a way that is not followed",
    ),
    "a SAML assertion by its identifier": (
        lambda known: (
            token_reference(
                key_identifier(
                    b"_1",
                    "http://docs.oasis-open.org/wss/oasis-wss-saml-token-profile-1.1#SAMLID",
                )
            ),
            "",
        ),
        SignatureMalformedError,
        "KeyIdentifier of this ValueType",
    ),
    "a key identifier in hexadecimal": (
        lambda known: (
            token_reference(
                key_identifier(known.ski, names.X509_KEY_IDENTIFIER).replace(
                    "Base64Binary", "HexBinary"
                )
            ),
            "",
        ),
        SignatureMalformedError,
        "KeyIdentifier must be encoded as Base64Binary",
    ),
    "something else embedded": (
        lambda known: (token_reference("<wsse:Embedded><a/></wsse:Embedded>"), ""),
        SignatureMalformedError,
        "Embedded must hold one BinarySecurityToken",
    ),
    "two tokens embedded": (
        lambda known: (
            token_reference(
                f"<wsse:Embedded>{binary_token(known.der, attributes='') * 2}</wsse:Embedded>"
            ),
            "",
        ),
        SignatureMalformedError,
        "Embedded must hold one BinarySecurityToken",
    ),
    "a Kerberos ticket": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(known.der, "http://docs.oasis-open.org/wss/#Kerberosv5_AP_REQ"),
        ),
        SignatureMalformedError,
        "must hold X.509",
    ),
    "empty X509Data": (
        lambda known: (x509_data(), ""),
        SignatureMalformedError,
        "names no certificate",
    ),
    "X509Data of too many elements": (
        lambda known: (x509_data("<ds:X509CRL/>" * 17), ""),
        SignatureMalformedError,
        "17 elements; at most 16",
    ),
    "X509Data with a stranger in it": (
        lambda known: (x509_data(x509_certificate(known.der), "<ds:Other/>"), ""),
        SignatureMalformedError,
        "something that is not read",
    ),
    "X509Data with too many certificates": (
        lambda known: (x509_data(x509_certificate(known.der) * (CERTIFICATES_MAX + 1)), ""),
        SignatureMalformedError,
        "11 certificates; at most 10",
    ),
    "a serial number that is none": (
        lambda known: (x509_data(issuer_serial(known.issuer, "0x1f")), ""),
        SignatureMalformedError,
        "not a decimal number",
    ),
    "a serial number without end": (
        lambda known: (x509_data(issuer_serial(known.issuer, "1" * 65)), ""),
        SignatureMalformedError,
        "not a decimal number",
    ),
    "the longest serial number": (
        lambda known: (x509_data(issuer_serial(known.issuer, "1" * 64)), ""),
        CertificateRejectedError,
        "no certificate is known by this issuer",
    ),
    "no subject": (
        lambda known: (x509_data("<ds:X509SubjectName/>"), ""),
        SignatureMalformedError,
        "RFC 4514",
    ),
    "a serial number in other digits": (
        lambda known: (x509_data(issuer_serial(known.issuer, "\u0661\u0662")), ""),
        SignatureMalformedError,
        "not a decimal number",
    ),
    "no serial number": (
        lambda known: (x509_data(issuer_serial(known.issuer, "")), ""),
        SignatureMalformedError,
        "not a decimal number",
    ),
    "no issuer": (
        lambda known: (x509_data(issuer_serial("", known.serial)), ""),
        SignatureMalformedError,
        "RFC 4514",
    ),
    "a token under another name": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(known.der).replace("BinarySecurityToken", "BinaryToken"),
        ),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "an Id in the place of a fragment": (
        lambda known: (
            token_reference(TO_TOKEN.replace("#token", "xtoken")),
            binary_token(known.der),
        ),
        SignatureMalformedError,
        "must refer to a BinarySecurityToken",
    ),
    "an issuer that is no name": (
        lambda known: (x509_data(issuer_serial("somebody", known.serial)), ""),
        SignatureMalformedError,
        "RFC 4514",
    ),
    "a path that is none": (
        lambda known: (token_reference(TO_TOKEN), binary_token(known.der, names.X509_PKI_PATH)),
        CertificateRejectedError,
        "no PkiPath",
    ),
    "an empty path": (
        lambda known: (token_reference(TO_TOKEN), binary_token(path_token(), names.X509_PKI_PATH)),
        CertificateRejectedError,
        "must hold 1 to 10 certificates",
    ),
    "too long a path": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(path_token(*[known.der] * 11), names.X509_PKI_PATH),
        ),
        CertificateRejectedError,
        "must hold 1 to 10 certificates",
    ),
    "a path with something behind it": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(path_token(known.der) + b"\x05\x00", names.X509_PKI_PATH),
        ),
        CertificateRejectedError,
        "no PkiPath",
    ),
    "a path of something else": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(path_token(b"\x02\x01\x01"), names.X509_PKI_PATH),
        ),
        CertificateRejectedError,
        "no PkiPath",
    ),
    "a bag that is none": (
        lambda known: (token_reference(TO_TOKEN), binary_token(known.der, names.X509_PKCS7)),
        CertificateRejectedError,
        "as PKCS #7 writes them",
    ),
    "too large a token": (
        lambda known: (
            token_reference(TO_TOKEN),
            binary_token(bytes(TOKEN_BYTES_MAX + 1), names.X509_PKCS7),
        ),
        CertificateRejectedError,
        "not looked at",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_else_leads_to_a_key(what: str, nation: SmallNation, facts: Facts) -> None:
    make, error, reason = REFUSED[what]
    key_info, tokens = make(facts)

    with pytest.raises(error, match=reason):
        told(nation, key_info, tokens, known=[facts.der])


@pytest.mark.parametrize(
    "inside",
    [
        lambda mine: [x509_certificate(mine), *["<ds:X509CRL/>"] * 15],
        lambda mine: [x509_certificate(mine)] * CERTIFICATES_MAX,
    ],
)
def test_x509_data_may_be_as_long_as_its_bounds(
    inside: Callable[[bytes], list[str]], nation: SmallNation, facts: Facts
) -> None:
    assert facts.der == told(nation, x509_data(*inside(facts.der))).certificate.der


def test_a_path_may_be_as_long_as_its_bound(nation: SmallNation, facts: Facts) -> None:
    path = path_token(*[facts.der] * CERTIFICATES_MAX)

    verified = told(nation, token_reference(TO_TOKEN), binary_token(path, names.X509_PKI_PATH))

    assert facts.der == verified.certificate.der


def test_the_largest_token_is_read(nation: SmallNation) -> None:
    token = binary_token(bytes(TOKEN_BYTES_MAX), names.X509_PKCS7)

    with pytest.raises(CertificateRejectedError, match="as PKCS #7 writes them"):
        told(nation, token_reference(TO_TOKEN), token)


@pytest.mark.parametrize(
    ("key_info", "identifier"),
    [
        (token_reference(TO_TOKEN), "token"),
        (token_reference('<wsse:Reference URI="#t"/>'), "t"),
        (token_reference('<wsse:Reference URI="token"/>'), ""),
        (token_reference('<wsse:Reference URI="token#"/>'), ""),
        (token_reference("<wsse:Reference/>"), ""),
        (token_reference('<wsse:KeyIdentifier URI="#token"/>'), ""),
        ('<wsse:Embedded><wsse:Reference URI="#token"/></wsse:Embedded>', ""),
        (token_reference(TO_TOKEN + "<a/>"), ""),
        (token_reference("<a/>" + TO_TOKEN), ""),
        (token_reference(TO_TOKEN) + "<ds:KeyName>me</ds:KeyName>", ""),
        ("<ds:KeyName>me</ds:KeyName>" + token_reference(TO_TOKEN), ""),
        (token_reference(""), ""),
        ("", ""),
    ],
)
def test_an_id_is_remembered_where_key_info_says_nothing_else(
    key_info: str, identifier: str
) -> None:
    declared = f'xmlns:ds="{names.DS}" xmlns:wsse="{names.WSSE}"'

    assert identifier == id_referred_to(
        etree.fromstring(f"<ds:KeyInfo {declared}>{key_info}</ds:KeyInfo>")
    )


def test_a_bag_of_two_signers_says_not_who_signed(nation: SmallNation, facts: Facts) -> None:
    other = nation.client_signers["p-256"].certificate

    with pytest.raises(CertificateRejectedError, match="2 certificates of the message could be"):
        told(nation, token_reference(TO_TOKEN), bag_of(facts.certificate, other))
    with pytest.raises(CertificateRejectedError, match="2 certificates of the message could be"):
        told(nation, x509_data(x509_certificate(facts.der), x509_certificate(der(other))))


def test_a_certificate_that_does_not_bear_the_name_beside_it_is_refused(
    nation: SmallNation, facts: Facts
) -> None:
    with pytest.raises(CertificateRejectedError, match="0 certificates of the message could be"):
        told(nation, x509_data(x509_certificate(facts.der), issuer_serial(facts.issuer, 1)))


# --- tokens in attachments: optimised messages -------------------------------------------------


def included(href: str, beside: str = "", attributes: str = "") -> str:
    include = f'<xop:Include xmlns:xop="{names.XOP}" href="{href}"{attributes}/>'
    return (
        f'<wsse:BinarySecurityToken ValueType="{names.X509_V3}" wsu:Id="token">{include}{beside}'
        "</wsse:BinarySecurityToken>"
    )


def test_a_token_in_an_attachment_is_found_and_is_no_attachment_of_the_message(
    nation: SmallNation, facts: Facts
) -> None:
    token = attachment(facts.der, "t@example.vn")

    verified = told(
        nation, token_reference(TO_TOKEN), included("cid:t%40example.vn"), attachments=[token]
    )

    assert facts.der == verified.certificate.der
    assert verified.attachments == ()


def test_a_token_in_an_attachment_that_is_signed_is_an_attachment_of_the_message(
    nation: SmallNation, facts: Facts
) -> None:
    token = attachment(facts.der, "t@example.vn")
    message = Handmade(
        nation.client_signers["rsa-2048"],
        token_reference(TO_TOKEN),
        included("cid:t@example.vn"),
        references=[attached("t@example.vn", facts.der)],
    )

    assert (token,) == verify(message.raw(), nation, attachments=[token]).attachments


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (included("cid:other@example.vn"), "no attachment of this message"),
        (included("http://example.vn/t"), "no attachment of this message"),
        (included("cid:t@example.vn", "AAAA"), "only content"),
        (included("cid:t@example.vn", "<a/>"), "only content"),
        (included("cid:t@example.vn", "", ' x="1"'), "only content"),
        (included("").replace("Include", "Exclude"), "must hold text only"),
    ],
)
def test_a_token_includes_one_attachment_and_nothing_else(
    token: str, reason: str, nation: SmallNation, facts: Facts
) -> None:
    beside = attachment(facts.der, "t@example.vn")

    with pytest.raises(SignatureMalformedError, match=reason):
        told(nation, token_reference(TO_TOKEN), token, attachments=[beside])


def test_a_large_attachment_is_not_read_as_a_token(nation: SmallNation) -> None:
    def unread() -> Iterator[bytes]:
        raise AssertionError("it was read")

    large = replace(attachment(bytes(TOKEN_BYTES_MAX + 1), "t@example.vn"), chunks=unread)

    with pytest.raises(CertificateRejectedError, match="65537 bytes is not looked at"):
        told(nation, token_reference(TO_TOKEN), included("cid:t@example.vn"), attachments=[large])


def test_the_largest_token_in_an_attachment_is_read(nation: SmallNation) -> None:
    large = attachment(bytes(TOKEN_BYTES_MAX), "t@example.vn", piece_bytes=4096)

    with pytest.raises(CertificateRejectedError, match="a certificate of 65536 bytes"):
        told(nation, token_reference(TO_TOKEN), included("cid:t@example.vn"), attachments=[large])


def test_a_signer_without_a_key_identifier_is_found_by_the_digest_of_its_key(
    nation: SmallNation,
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = make_certificate(nation.issuer, key.public_key(), NOW).subject
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(nation.issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .sign(nation.issuer.key, hashes.SHA256())
    )
    message = Handmade(
        make_signer(key, certificate),
        NAMED["subject key identifier"](Facts(certificate)),
        algorithm=ECDSA_SHA256,
    )

    verified = verify(message.raw(), nation, known=[der(certificate)])

    assert der(certificate) == verified.certificate.der


@pytest.mark.parametrize("known", [b"", b"no certificate", bytes(CERTIFICATE_BYTES_MAX + 1)])
def test_what_is_no_certificate_is_not_known(known: bytes) -> None:
    with pytest.raises(CertificateRejectedError):
        KnownCertificates([known])
