"""zeep, as an agency uses it: the two files of docs/join against a sandbox that runs."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from judges import ROOT, require_module, run, zeep_python

from bus.core.limits import Limits
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.write import SigningTime, write_answer, write_fault_message
from bus.sandbox.description import Description, read_description
from bus.sandbox.sandbox_data import Story, story
from bus.sandbox.up import Wish, running_sandbox
from tests.envelopes import block, body, with_header
from tests.nation import (
    ANSWER,
    CLIENT,
    HUB,
    LOOKUP,
    NOW,
    OTHER_CLIENT,
    PROVIDER,
    SmallNation,
    payload,
    request,
)

pytestmark = pytest.mark.interop

JOIN = ROOT / "docs" / "join"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Description]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(Wish(folder)):
        yield read_description(folder)


@pytest.fixture(scope="module")
def python() -> Path:
    return zeep_python()


def ask(
    python: Path, sandbox: Description, *changes: str, client: str = str(CLIENT)
) -> tuple[int, str]:
    """Run the client of docs/join about the citizen of the story."""
    owners = {one.id: one for one in sandbox.subsystems}
    asked: Story = story(Path(sandbox.log).parent / "data")
    birth = "NgayThangNam" if len(asked.birth) == 8 else "Nam"
    done = run(
        python,
        JOIN / "zeep_client.py",
        *("--wsdl", f"{sandbox.hub_url}/services/{LOOKUP}?wsdl"),
        *("--key", owners[client].key, "--certificate", owners[client].certificate),
        *("--client", client, "--service", LOOKUP, "--issue", "H41-2026-1"),
        *("--agency-certificate", owners[str(PROVIDER)].certificate),
        *("--hub-certificate", owners[str(HUB)].certificate),
        *("MaYeuCau=MC-1", "MaDVC=H41.MOTCUA", "MaCanBo=CB-1"),
        *(f"SoDinhDanh={asked.personal_number}", f"HoVaTen={asked.full_name}"),
        *(f"NgayThangNamSinh.{birth}={asked.birth}", *changes),
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("client", [CLIENT, OTHER_CLIENT])
def test_zeep_signs_asks_verifies_and_prints_the_citizen(
    python: Path, sandbox: Description, client: object
) -> None:
    # One of the two has an RSA key, the other one a P-256 key.
    status, said = ask(python, sandbox, client=str(client))

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


def test_zeep_tells_a_signed_fault(python: Path, sandbox: Description) -> None:
    status, said = ask(python, sandbox, "SoDinhDanh=12")

    assert status == 1
    assert said.startswith("payload.schema: The Body does not follow the schema")


# --- by position -----------------------------------------------------------------------------

Change = Callable[[bytes], bytes]


def moved(raw: bytes) -> bytes:
    other = body(raw).replace(b' wsu:Id="body"', b"").replace(b'"0"', b'"1"')
    wrapper = b'<w xmlns="urn:w">' + body(raw) + b"</w>"
    return with_header(raw.replace(body(raw), other), wrapper)


ALTERED: dict[str, tuple[Change, str]] = {
    "a changed Body": (lambda raw: raw.replace(b'"0"', b'"1"'), "does not hold"),
    "a changed header": (lambda raw: raw.replace(b">m-1<", b">m-2<"), "does not hold"),
    "a moved Body": (moved, "Body is not signed where it stands"),
    "a block twice": (lambda raw: with_header(raw, block(raw, "id")), "carry the same Id"),
    "an unsigned block": (
        lambda raw: with_header(raw, block(raw, "id").replace(b' wsu:Id="id"', b"")),
        "id is not signed where it stands",
    ),
    "another canonicalisation": (
        lambda raw: raw.replace(b"CanonicalizationMethod Algorithm=", b"CanonicalizationMethod A="),
        "signature method that is not allowed",
    ),
    "a signature by SHA-1": (
        lambda raw: raw.replace(b"#ecdsa-sha256", b"#ecdsa-sha1"),
        "signature method that is not allowed",
    ),
    "SHA-1": (lambda raw: raw.replace(b"xmlenc#sha256", b"xmldsig#sha1"), "not allowed"),
    "no signature": (
        lambda raw: raw.replace(b"ds:Signature ", b"ds:Letter ").replace(
            b"</ds:Signature>", b"</ds:Letter>"
        ),
        "stands 0 times",
    ),
}


@pytest.fixture(scope="module")
def signing(nation: SmallNation) -> Any:
    require_module("zeep")
    require_module("xmlsec")
    plugin = runpy.run_path(str(JOIN / "zeep_header_signing.py"))["HeaderSigning"]
    keys = nation.folder / "keys"
    return plugin(
        keys / "VN-GOV-H41-motcua.key",
        keys / "VN-GOV-H41-motcua.crt",
        answer_certificate_files=[keys / "VN-GOV-G01-dancu.crt"],
        fault_certificate_files=[keys / "VN-GOV-G22-truclienthong.crt"],
    )


def believe(signing: Any, sent: bytes, raw: bytes) -> None:
    signing._sent = sent
    signing.verify(parse_xml(raw, bytes_max=len(raw)))


def answer_to(sent: bytes, nation: SmallNation, signer: object = PROVIDER) -> bytes:
    envelope = parse(sent, Limits())
    key = nation.signers[signer]  # type: ignore[index]
    return write_answer(envelope, payload(ANSWER), key, SigningTime(NOW))


def test_the_plug_in_believes_our_answer(signing: Any, nation: SmallNation) -> None:
    sent = request(nation)

    believe(signing, sent, answer_to(sent, nation))


@pytest.mark.parametrize("name", ALTERED)
def test_the_plug_in_refuses(name: str, signing: Any, nation: SmallNation) -> None:
    from zeep.exceptions import SignatureVerificationFailed

    change, reason = ALTERED[name]
    sent = request(nation)

    with pytest.raises(SignatureVerificationFailed, match=reason):
        believe(signing, sent, change(answer_to(sent, nation)))


def test_the_plug_in_refuses_answers_of_others_and_to_others(
    signing: Any, nation: SmallNation
) -> None:
    from zeep.exceptions import SignatureVerificationFailed

    sent = request(nation)
    fault = write_fault_message(
        b"<soap:Fault></soap:Fault>", nation.signers[PROVIDER], SigningTime(NOW)
    )

    with pytest.raises(SignatureVerificationFailed, match="somebody else"):
        believe(signing, sent, answer_to(sent, nation, HUB))
    with pytest.raises(SignatureVerificationFailed, match="somebody else"):
        believe(signing, sent, fault)
    with pytest.raises(SignatureVerificationFailed, match="another request"):
        believe(signing, sent + b"\n", answer_to(sent, nation))
