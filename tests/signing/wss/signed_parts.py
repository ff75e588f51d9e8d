"""A message of two signed parts, and ways to put defects into it after signing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bus.core.xml import parse_xml
from signing import names
from signing.attachments import Attachment
from signing.pki.certificates import TrustStore
from signing.policy import SignaturePolicy
from signing.wss.attachment_transforms import ReadXml
from signing.wss.sign import CanonicalPart, security_header
from signing.wss.verify import PolicyOf, SignedPart, VerifiedSignature, verify_signature
from tests.nation import NOW, SmallNation

MINUTES = timedelta(minutes=5)
BODY = CanonicalPart("body", f'<b xmlns:wsu="{names.WSU}" wsu:Id="body"><x>1</x></b>'.encode())
ROUTE = CanonicalPart("route", f'<r xmlns:wsu="{names.WSU}" wsu:Id="route">2</r>'.encode())
POLICY = SignaturePolicy()

Change = Callable[[bytes], bytes]


def signed_message(nation: SmallNation) -> bytes:
    """<e>: a header with ROUTE and the signature over both parts, then BODY."""
    security = security_header([ROUTE, BODY], nation.client_signers["rsa-2048"], NOW, MINUTES)
    return b"<e><h>" + ROUTE.canonical + security + b"</h>" + BODY.canonical + b"</e>"


def verify(
    raw: bytes,
    nation: SmallNation,
    policy: SignaturePolicy | PolicyOf = POLICY,
    *,
    known: Sequence[bytes] = (),
    now: datetime = NOW,
    attachments: Sequence[Attachment] = (),
    read_xml: ReadXml | None = None,
    trust: TrustStore | None = None,
) -> VerifiedSignature:
    """Require what stands at the positions of Body and route: that they are the last children."""
    root = parse_xml(raw, bytes_max=len(raw))
    security = root.find(f".//{names.SECURITY}")
    assert security is not None
    required = [SignedPart("Body", root[-1]), SignedPart("route", root[0][0])]
    trust = trust or TrustStore([nation.anchor], (), known)
    if read_xml is None:
        return verify_signature(security, required, policy, trust, now, attachments=attachments)
    return verify_signature(
        security, required, policy, trust, now, attachments=attachments, read_xml=read_xml
    )


def swap(old: str, new: str, count: int = -1) -> Change:
    def change(raw: bytes) -> bytes:
        assert old.encode() in raw
        return raw.replace(old.encode(), new.encode(), count)

    return change


def cut(start: str, end: str) -> Change:
    """Leave out everything from `start` to the end of `end`."""

    def change(raw: bytes) -> bytes:
        first = raw.index(start.encode())
        return raw[:first] + raw[raw.index(end.encode(), first) + len(end.encode()) :]

    return change


def twice(start: str, end: str) -> Change:
    def change(raw: bytes) -> bytes:
        first = raw.index(start.encode())
        last = raw.index(end.encode(), first) + len(end.encode())
        return raw[:last] + raw[first:last] + raw[last:]

    return change
