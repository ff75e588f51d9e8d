"""Take signed messages apart by their bytes: move, leave out, sign again.

Every part that we write is canonical as it stands, so that its digest survives a move.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from datetime import timedelta

from signing.pki.keys import Signer
from signing.wss.sign import CanonicalPart, security_header
from tests.nation import NOW

HEADER_BLOCKS = ("client", "service", "userId", "id", "issue", "protocolVersion")


def block(message: bytes, name: str) -> bytes:
    """A header block of the X-Road namespace, as it stands."""
    return _found(rb"<xrd:%s .*?</xrd:%s>" % (name.encode(), name.encode()), message)


def body(message: bytes) -> bytes:
    return _found(rb"<soap:Body .*</soap:Body>", message)


def security(message: bytes) -> bytes:
    return _found(rb"<wsse:Security .*</wsse:Security>", message)


def timestamp(message: bytes) -> bytes:
    return _found(rb"<wsu:Timestamp .*</wsu:Timestamp>", message)


def with_header(message: bytes, extra: bytes) -> bytes:
    """The message with something more at the end of its Header."""
    return message.replace(b"</soap:Header>", extra + b"</soap:Header>", 1)


def signed_again(
    message: bytes,
    signer: Signer,
    *,
    blocks: Iterable[str] = HEADER_BLOCKS,
    signs_body: bool = True,
) -> bytes:
    """The message with a new signature over these header blocks, and the Body."""
    parts = [CanonicalPart(name, block(message, name)) for name in blocks]
    if signs_body:
        parts.append(CanonicalPart("body", body(message)))
    header = security_header(parts, signer, NOW, timedelta(minutes=5))
    return message.replace(security(message), header)


def with_part(message: bytes, old: bytes, new: bytes, signer: Signer) -> bytes:
    """The message with another part in the place of one, and a signature that fits again."""
    changed = message.replace(old, new).replace(_digest(old), _digest(new))
    info = _found(rb"<ds:SignedInfo .*</ds:SignedInfo>", changed)
    value = base64.b64encode(signer.sign(signer.algorithm, info))
    old_value = _found(rb"<ds:SignatureValue>.*</ds:SignatureValue>", changed)
    return changed.replace(old_value, b"<ds:SignatureValue>" + value + b"</ds:SignatureValue>")


def _digest(part: bytes) -> bytes:
    return base64.b64encode(hashlib.sha256(part).digest())


def _found(pattern: bytes, message: bytes) -> bytes:
    found = re.search(pattern, message, re.DOTALL)
    assert found is not None, pattern
    return found[0]
