"""A certificate of a path says where its status can be asked; addresses of other kinds are left."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID

from signing.pki.certificate_paths import Link, path_links
from signing.pki.certificates import TrustStore
from tests.certificates import make_certificate, make_root
from tests.nation import NOW, der

ROOT = make_root("root", NOW)
KEY = ec.generate_private_key(ec.SECP256R1())


def link(*extensions: x509.ExtensionType, name: str = "leaf") -> Link:
    certificate = der(
        make_certificate(ROOT, KEY.public_key(), NOW, name=name, extensions=extensions)
    )
    (found,) = path_links(TrustStore([der(ROOT.certificate)]).path(certificate, NOW))
    return found


def responders(urls: Sequence[str]) -> x509.AuthorityInformationAccess:
    ocsp, issuers = AuthorityInformationAccessOID.OCSP, AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(issuers, x509.UniformResourceIdentifier("http://issuer.vn/")),
            x509.AccessDescription(ocsp, x509.DNSName("http.example.vn")),
            *(x509.AccessDescription(ocsp, x509.UniformResourceIdentifier(url)) for url in urls),
        ]
    )


def lists(urls: Sequence[str]) -> x509.CRLDistributionPoints:
    names = [x509.UniformResourceIdentifier(url) for url in urls]
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([one], None, None, None) for one in names]
    )


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_addresses_of_responders_and_lists_are_read(scheme: str) -> None:
    found = link(responders([f"{scheme}://ocsp.vn/"]), lists([f"{scheme}://crl.vn/a.crl"]))

    assert found.ocsp_urls == (f"{scheme}://ocsp.vn/",)
    assert found.crl_urls == (f"{scheme}://crl.vn/a.crl",)


@pytest.mark.parametrize("url", ["ldap://crl.vn/cn=a", "file:///etc/passwd", "//crl.vn/http://"])
def test_other_addresses_are_left(url: str) -> None:
    found = link(responders([url]), lists([url]))

    assert (found.ocsp_urls, found.crl_urls) == ((), ())


def test_four_addresses_of_a_kind_are_taken() -> None:
    urls = [f"http://{number}.vn/" for number in range(5)]

    found = link(responders(urls), lists(urls))

    assert found.ocsp_urls == found.crl_urls == tuple(urls[:4])


@pytest.mark.parametrize(
    ("extensions", "names_one"),
    [
        ([], False),
        ([responders([])], False),
        ([responders(["http://ocsp.vn/"])], True),
        ([lists(["http://crl.vn/a.crl"])], True),
    ],
)
def test_one_source_is_enough(extensions: list[x509.ExtensionType], names_one: bool) -> None:
    assert link(*extensions).names_a_source is names_one


def test_a_name_that_is_not_http_is_not_read_as_an_address() -> None:
    names = [x509.DNSName("http://crl.vn/a.crl"), x509.UniformResourceIdentifier("http://b.vn/")]
    points = x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)])

    assert link(points).crl_urls == ("http://b.vn/",)
