"""xmlsec1, the reference implementation of XML signatures, judges ours and makes some for us."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.identifiers import SubsystemId
from bus.core.limits import Limits
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import SigningTime, write_answer
from signing import policy as uri
from signing.pki.keys import PrivateKey, Signer
from tests.envelopes import body, security, with_header
from tests.interop.judges import program, run
from tests.interop.key_infos import WAYS, named_by
from tests.nation import (
    ANSWER,
    CLIENT,
    NOW,
    OTHER_CLIENT,
    PROVIDER,
    SmallNation,
    payload,
    request,
)

pytestmark = pytest.mark.interop

WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
XRD = "http://x-road.eu/xsd/xroad.xsd"
ID_ELEMENTS = (
    *((str(version), "Body") for version in SoapVersion),
    (WSU, "Timestamp"),
    *((XRD, name) for name in ("client", "service", "userId", "id", "issue", "protocolVersion")),
    (XRD, "requestHash"),
)
ALGORITHMS = [
    ("rsa-2048", uri.RSA_SHA256),
    ("rsa-2048", uri.RSA_SHA512),
    ("p-256", uri.ECDSA_SHA256),
    ("p-384", uri.ECDSA_SHA384),
]
"""xmlsec1 1.2 knows neither RSA-PSS nor Ed25519."""


def ids() -> list[str]:
    """Which attribute is the Id of which elements; both spellings of the option."""
    options: list[str] = []
    for namespace, name in ID_ELEMENTS:
        options += ["--id-attr:Id", f"{namespace}:{name}"]
    return options


def is_accepted(raw: bytes, certificate: bytes, folder: Path) -> bool:
    """What xmlsec1 says of the one signature under this certificate's key."""
    (folder / "message.xml").write_bytes(raw)
    (folder / "certificate.der").write_bytes(certificate)
    done = run(
        *(program("xmlsec1"), "--verify", "--pubkey-cert-der", folder / "certificate.der"),
        *(*ids(), "--node-xpath", "//*[local-name()='Signature']", folder / "message.xml"),
    )
    assert ("OK" in done.stdout + done.stderr) is (done.returncode == 0), done.stderr
    return done.returncode == 0


@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_xmlsec1_accepts_what_we_sign(
    nation: SmallNation, tmp_path: Path, kind: str, algorithm: str
) -> None:
    signer = nation.client_signers[kind]
    raw = request(nation, signer=signer, algorithm=algorithm)

    assert is_accepted(raw, signer.certificate_der, tmp_path)


@pytest.mark.parametrize("version", SoapVersion)
def test_xmlsec1_accepts_our_answer_with_its_headers(
    nation: SmallNation, tmp_path: Path, version: SoapVersion
) -> None:
    envelope = parse(request(nation, soap_version=version), Limits())
    signer = nation.signers[PROVIDER]
    raw = write_answer(envelope, payload(ANSWER), signer, SigningTime(NOW))

    assert is_accepted(raw, signer.certificate_der, tmp_path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"040185766517", b"040185766518"),
        (b">VN0117<", b">VN0118<"),
        (b"T08:05:00", b"T09:05:00"),
        (b"<ds:DigestValue>", b"<ds:DigestValue>AAAA"),
    ],
)
def test_what_was_altered_is_refused_by_both(
    nation: SmallNation, tmp_path: Path, old: bytes, new: bytes
) -> None:
    signer = nation.client_signers["rsa-2048"]
    altered = request(nation, signer=signer).replace(old, new)

    assert not is_accepted(altered, signer.certificate_der, tmp_path)
    assert isinstance(decide(altered, parse, nation.rules, NOW), Refusal)


def test_a_moved_body_deceives_xmlsec1_and_not_us(nation: SmallNation, tmp_path: Path) -> None:
    signer = nation.client_signers["rsa-2048"]
    raw = request(nation, signer=signer)
    evil = body(raw).replace(b"040185766517", b"001185000001").replace(b' wsu:Id="body"', b"")
    moved = with_header(raw.replace(body(raw), evil), b'<w:w xmlns:w="urn:w">%s</w:w>' % body(raw))

    assert is_accepted(moved, signer.certificate_der, tmp_path)
    judged = decide(moved, parse, nation.rules, NOW)
    assert isinstance(judged, Refusal)
    assert type(judged.error) is errors.CoverageInsufficient


# --- theirs with us ------------------------------------------------------------------------------


def template_of(raw: bytes) -> bytes:
    """Our message with its digests and its value taken out, for xmlsec1 to fill in."""
    empty = re.sub(rb"<ds:DigestValue>[^<]*<", b"<ds:DigestValue><", raw)
    return re.sub(rb"<ds:SignatureValue>[^<]*<", b"<ds:SignatureValue><", empty)


def signed_by_xmlsec1(template: bytes, signer: Signer, folder: Path) -> bytes:
    assert security(template).count(b"<ds:DigestValue><") == 8
    (folder / "template.xml").write_bytes(template)
    key = signer.private_key
    assert isinstance(key, PrivateKey)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)
    done = run(
        *(program("xmlsec1"), "--sign", "--privkey-pem", folder / "key.pem", *ids()),
        *("--node-xpath", "//*[local-name()='Signature']"),
        *("--output", folder / "signed.xml", folder / "template.xml"),
    )
    assert done.returncode == 0, done.stderr
    return (folder / "signed.xml").read_bytes()


@pytest.mark.parametrize("version", SoapVersion)
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_we_accept_what_xmlsec1_signs(
    nation: SmallNation, tmp_path: Path, kind: str, algorithm: str, version: SoapVersion
) -> None:
    signer = nation.client_signers[kind]
    ours = request(nation, signer=signer, algorithm=algorithm, soap_version=version)

    theirs = signed_by_xmlsec1(template_of(ours), signer, tmp_path)

    judged = decide(theirs, parse, nation.rules, NOW)
    assert isinstance(judged, RoutedMessage), judged


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("client", [CLIENT, OTHER_CLIENT])
def test_we_find_the_certificate_by_every_reference_in_what_xmlsec1_signs(
    nation: SmallNation, tmp_path: Path, client: SubsystemId, way: str
) -> None:
    signer = nation.signers[client]
    ours = named_by(way, request(nation, client=client), signer.certificate_der)

    theirs = signed_by_xmlsec1(template_of(ours), signer, tmp_path)

    assert b"<ds:SignatureValue><" not in theirs
    judged = decide(theirs, parse, nation.rules, NOW)
    assert isinstance(judged, RoutedMessage), judged
