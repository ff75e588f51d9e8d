"""Answers that a client must not believe, and the answers of ours that they are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import SigningTime, write_answer, write_fault_message
from tests.envelopes import block, body, with_header
from tests.nation import ANSWER, NOW, PROVIDER, SmallNation, payload

Change = Callable[[bytes], bytes]


def answer_to(
    sent: bytes, nation: SmallNation, signer: SubsystemId = PROVIDER, *, at: datetime = NOW
) -> bytes:
    """The answer to a request, signed by whom it should be, or by somebody else."""
    envelope = parse(sent, Limits())
    return write_answer(envelope, payload(ANSWER), nation.signers[signer], SigningTime(at))


def fault_of(signer: SubsystemId, nation: SmallNation, *, at: datetime = NOW) -> bytes:
    """A fault about no request, signed by somebody."""
    return write_fault_message(
        b"<soap:Fault></soap:Fault>", nation.signers[signer], SigningTime(at)
    )


def _moved(raw: bytes) -> bytes:
    other = body(raw).replace(b' wsu:Id="body"', b"").replace(b'"0"', b'"1"')
    wrapper = b'<w xmlns="urn:w">' + body(raw) + b"</w>"
    return with_header(raw.replace(body(raw), other), wrapper)


ALTERED: dict[str, Change] = {
    "a changed Body": lambda raw: raw.replace(b'"0"', b'"1"'),
    "a changed header": lambda raw: raw.replace(b">m-1<", b">m-2<"),
    "a moved Body": _moved,
    "a block twice": lambda raw: with_header(raw, block(raw, "id")),
    "an unsigned block": lambda raw: with_header(
        raw, block(raw, "id").replace(b' wsu:Id="id"', b"")
    ),
    "another canonicalisation": lambda raw: raw.replace(
        b'CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"',
        b'CanonicalizationMethod Algorithm="http://www.w3.org/TR/2001/REC-xml-c14n-20010315"',
    ),
    "a signature by SHA-1": lambda raw: raw.replace(b"#ecdsa-sha256", b"#ecdsa-sha1"),
    "SHA-1": lambda raw: raw.replace(b"xmlenc#sha256", b"xmldsig#sha1"),
    "no signature": lambda raw: raw.replace(b"ds:Signature ", b"ds:Letter ").replace(
        b"</ds:Signature>", b"</ds:Letter>"
    ),
}
"""By name: what somebody did to a good answer on its way."""
