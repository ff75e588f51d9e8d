"""Read what a broker is reached with: a password, and the certificates of TLS."""

from __future__ import annotations

import ssl

from cryptography.hazmat.primitives.serialization import Encoding

from bus.broker.connection import RabbitAddress
from bus.core.errors import ConfigurationError, Problem
from bus.settings.broker import RabbitSettings, RabbitTlsFiles
from bus.trust.key_store import read_certificates, read_private, read_secret


def rabbit_address(settings: RabbitSettings) -> RabbitAddress:
    """Where a broker is, and who connects. Raises ConfigurationError with every problem."""
    problems: list[Problem] = []
    password, tls = "", None
    try:
        password = read_secret(settings.password_file)
    except ConfigurationError as error:
        problems += error.problems
    try:
        tls = None if settings.tls is None else _client_context(settings.tls)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return RabbitAddress(settings.nodes, settings.user, password, settings.virtual_host, tls)


def _client_context(files: RabbitTlsFiles) -> ssl.SSLContext:
    """The client's side of TLS 1.2 or later; the broker's name is checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    anchors = read_certificates(files.anchors)
    context.load_verify_locations(
        cadata=b"".join(one.public_bytes(Encoding.DER) for one in anchors)
    )
    if files.certificate is not None and files.key is not None:
        read_private(files.key, "a private key in PEM")
        try:
            context.load_cert_chain(files.certificate, files.key, password="")
        except (OSError, ssl.SSLError) as error:
            message = f"cannot be used for TLS: {error}"
            raise ConfigurationError([Problem(str(files.certificate), "tls", message)]) from error
    return context
