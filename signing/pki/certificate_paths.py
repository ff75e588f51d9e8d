"""Read from a certificate path where its certificates say that their status can be asked."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pyhanko_certvalidator.path import ValidationPath

from signing.pki.certificates import UNREADABLE

SOURCES_MAX = 4
"""Addresses of one kind that are taken from one certificate."""


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate of a path below its anchor, with the one that issued it."""

    digest: bytes
    """SHA-256 of the DER."""
    issuer_digest: bytes
    serial_number: int
    der: bytes = field(repr=False)
    issuer_der: bytes = field(repr=False)
    name: str
    """The subject, for messages to operators."""
    issuer_name: bytes = field(repr=False)
    """The issuer's subject in DER: by it a CRL is known."""
    ocsp_urls: tuple[str, ...]
    """Authority information access: RFC 5280 §4.2.2.1."""
    crl_urls: tuple[str, ...]
    """CRL distribution points: RFC 5280 §4.2.1.13."""

    @property
    def names_a_source(self) -> bool:
        """Whether the certificate says where its status can be asked."""
        return bool(self.ocsp_urls or self.crl_urls)


def path_links(path: ValidationPath) -> tuple[Link, ...]:
    """The certificates of a path below its anchor, from the anchor on."""
    certificates = list(path.iter_certs(include_root=True))
    return tuple(
        _link(certificate, issuer) for issuer, certificate in itertools.pairwise(certificates)
    )


def _link(certificate: asn1_x509.Certificate, issuer: asn1_x509.Certificate) -> Link:
    return Link(
        digest=certificate.sha256,
        issuer_digest=issuer.sha256,
        serial_number=certificate.serial_number,
        der=certificate.dump(),
        issuer_der=issuer.dump(),
        name=certificate.subject.human_friendly[:256],
        issuer_name=issuer.subject.dump(),
        ocsp_urls=_http_urls(_ocsp_names(certificate)),
        crl_urls=_http_urls(_crl_names(certificate)),
    )


def _ocsp_names(certificate: asn1_x509.Certificate) -> list[asn1_x509.GeneralName]:
    entries = certificate.authority_information_access_value or ()
    return [
        entry["access_location"] for entry in entries if entry["access_method"].native == "ocsp"
    ]


def _crl_names(certificate: asn1_x509.Certificate) -> list[asn1_x509.GeneralName]:
    points = certificate.crl_distribution_points_value or ()
    return [
        name
        for point in points
        if point["distribution_point"].name == "full_name"
        for name in point["distribution_point"].chosen
    ]


def _http_urls(names: list[asn1_x509.GeneralName]) -> tuple[str, ...]:
    urls = [str(name.native) for name in names if name.name == "uniform_resource_identifier"]
    return tuple(url for url in urls if url.startswith(("http://", "https://")))[:SOURCES_MAX]


def ocsp_request(link: Link) -> bytes:
    """The question that an OCSP responder is asked about a certificate, in DER.

    Without nonce: an answer is fresh by its window, and responders that sign ahead have none.
    """
    certificate = x509.load_der_x509_certificate(link.der)
    issuer = x509.load_der_x509_certificate(link.issuer_der)
    # SHA-1 names the issuer here, and protects nothing: RFC 5019 §2.1.1 asks for it.
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1())  # noqa: S303
    return builder.build().public_bytes(Encoding.DER)


def crl_issuer_name(der: bytes) -> bytes:
    """The name of who issued a CRL, in DER; empty: these bytes are no CRL."""
    try:
        listed: bytes = x509.load_der_x509_crl(der).issuer.public_bytes()
    except UNREADABLE:
        return b""
    return listed


def listed_serial_numbers(der: bytes) -> frozenset[int]:
    """The serial numbers that a CRL lists; none: these bytes are no CRL. Proves nothing."""
    try:
        return frozenset(entry.serial_number for entry in x509.load_der_x509_crl(der))
    except UNREADABLE:
        return frozenset()
