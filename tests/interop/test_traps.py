"""What docs/join.md warns of is so: stacks as they come, without what the examples add."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

from bus.core import errors
from bus.core.identifiers import SubsystemId
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.parse import parse
from bus.runtime.clock import now
from signing import names
from tests.envelopes import HEADER_BLOCKS, security, timestamp
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.altered_answers import ALTERED, answer_to
from tests.interop.foreign_stacks import npm_soap_modules
from tests.interop.judges import JOIN, program, require_module
from tests.nation import NOW, SmallNation, request

pytestmark = pytest.mark.interop
ASKING = [
    *(f"VN/GOV/{code}/motcua" for code in ("H14", "H17", "H24", "H26", "H29", "H37", "H41")),
    "VN/GOV/G15/hotich",
]
"""Who may ask for what the sample asks."""


def parsed(raw: bytes) -> etree._Element:
    return parse_xml(raw, bytes_max=len(raw))


def refusal(raw: bytes, nation: SmallNation, moment: datetime = NOW) -> errors.BusError:
    judged = decide(raw, parse, nation.rules, moment)
    assert isinstance(judged, Refusal)
    return judged.error


def files_of(client: SubsystemId, nation: SmallNation) -> list[Path]:
    """Its key and its certificate."""
    name = str(client).replace("/", "-")
    return [nation.folder / "keys" / f"{name}.{end}" for end in ("key", "crt")]


@pytest.fixture(scope="module")
def rsa_client(nation: SmallNation) -> SubsystemId:
    """One of those who may ask that has an RSA key: they have it by turns."""
    for client in map(SubsystemId.parse, ASKING):
        key = load_pem_private_key(files_of(client, nation)[0].read_bytes(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return client
    raise AssertionError("nobody has one")


@pytest.fixture(scope="module")
def rsa_files(nation: SmallNation, rsa_client: SubsystemId) -> list[str]:
    """Its key and its certificate."""
    return [str(file) for file in files_of(rsa_client, nation)]


# --- zeep ------------------------------------------------------------------------------------


def signed_by_zeep(nation: SmallNation, client: SubsystemId, **options: object) -> bytes:
    """Our request and its timestamp, with the signature of zeep's own plug-in."""
    require_module("zeep")
    require_module("xmlsec")
    from zeep.wsse.signature import BinarySignature

    raw = request(nation, client=client)
    header = b'<wsse:Security xmlns:wsse="%s" xmlns:wsu="%s">%s</wsse:Security>'
    filled = header % (names.WSSE.encode(), names.WSU.encode(), timestamp(raw))
    envelope = parsed(raw.replace(security(raw), filled))
    files = map(str, files_of(client, nation))
    plugin: Any = BinarySignature(*files, **options)  # type: ignore[no-untyped-call]
    return etree.tostring(plugin.apply(envelope, {})[0])


def test_zeeps_own_signature_is_of_sha_1_and_refused(
    nation: SmallNation, rsa_client: SubsystemId
) -> None:
    raw = signed_by_zeep(nation, rsa_client)

    assert b"xmldsig#sha1" in raw
    assert type(refusal(raw, nation)) is errors.AlgorithmForbidden, refusal(raw, nation)


def test_zeeps_own_signature_of_sha_256_leaves_the_headers_out(
    nation: SmallNation, rsa_client: SubsystemId
) -> None:
    xmlsec = pytest.importorskip("xmlsec")
    raw = signed_by_zeep(
        nation,
        rsa_client,
        signature_method=xmlsec.Transform.RSA_SHA256,
        digest_method=xmlsec.Transform.SHA256,
    )

    assert b"xmldsig#sha1" not in raw
    assert type(refusal(raw, nation)) is errors.CoverageInsufficient, refusal(raw, nation)


def test_zeeps_own_verification_believes_a_moved_body(nation: SmallNation) -> None:
    require_module("zeep")
    require_module("xmlsec")
    from zeep.exceptions import SignatureVerificationFailed
    from zeep.wsse.signature import BinarySignature

    keys = nation.folder / "keys"
    files = [str(keys / f"VN-GOV-G01-dancu.{end}") for end in ("key", "crt")]
    plugin: Any = BinarySignature(*files)  # type: ignore[no-untyped-call]
    good = answer_to(request(nation), nation)

    plugin.verify(parsed(good))
    plugin.verify(parsed(ALTERED["a moved Body"](good)))
    with pytest.raises(SignatureVerificationFailed):
        plugin.verify(parsed(ALTERED["a changed Body"](good)))


# --- npm soap --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def signed_by_npm_soap(
    nation: SmallNation, rsa_client: SubsystemId, rsa_files: list[str]
) -> dict[str, bytes]:
    raw = request(nation, client=rsa_client)
    done = subprocess.run(
        [
            *(program("node"), Path(__file__).with_name("sign_with_npm_soap.js")),
            JOIN / "npm-soap" / "header_signing.js",
            *(*rsa_files, *HEADER_BLOCKS),
        ],
        input=raw.replace(security(raw), b"").decode(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS_MAX,
        env={"NODE_PATH": str(npm_soap_modules())},
        check=True,
    )
    return {name: text.encode() for name, text in json.loads(done.stdout).items()}


def test_npm_soap_by_default_adds_a_transform_that_is_refused(
    signed_by_npm_soap: dict[str, bytes], nation: SmallNation
) -> None:
    raw = signed_by_npm_soap["by default"]

    assert b"#enveloped-signature" in raw
    error = refusal(raw, nation, now())
    assert type(error) is errors.SignatureMalformed
    assert "Transform stands 2 times" in str(error)


def test_npm_soap_as_the_example_sets_it_is_taken(
    signed_by_npm_soap: dict[str, bytes], nation: SmallNation
) -> None:
    judged = decide(signed_by_npm_soap["as shown"], parse, nation.rules, now())

    assert isinstance(judged, RoutedMessage), judged
