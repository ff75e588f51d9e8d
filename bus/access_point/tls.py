"""Make the TLS of an access point: only the certificates of its systems are taken at all.

A certificate that is pinned is an anchor by itself, whoever issued it; any other one does not get
through the handshake. Whether it is that of the system that asks is for the access point to see:
TLS alone says only that it is one of them. A connection without a certificate gets through, and
is told so in a fault, as X-Road does.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bus.access_point.settings import TlsFiles
from bus.core.errors import ConfigurationError, Problem
from bus.trust.key_store import read_certificate_file, read_private


def make_tls_context(files: TlsFiles, pinned: Iterable[x509.Certificate]) -> ssl.SSLContext:
    """The server side of TLS 1.2 or later. Raises ConfigurationError."""
    read_private(files.key, "a private key in PEM")
    read_certificate_file(files.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(files.certificate, files.key, password="")
    except (OSError, ssl.SSLError) as error:
        raise _refused(str(files.certificate), f"cannot be used for TLS: {error}") from error
    # A session that is resumed shows no certificate anew: one that expired, or is pinned no longer,
    # would live on in a ticket. RFC 8446 §4.6.1.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    # Expired certificates fail here, whoever pinned them.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    der = b"".join(one.public_bytes(Encoding.DER) for one in pinned)
    if der:
        context.load_verify_locations(cadata=der)
    return context


def _refused(file: str, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(file, "tls", message)])
