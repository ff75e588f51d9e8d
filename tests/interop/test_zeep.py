"""zeep, as an agency uses it: the two files of docs/join against a sandbox that runs."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from bus.core.xml import parse_xml
from bus.sandbox.description import SandboxDescription
from tests.interop.altered_answers import ALTERED, answer_to, fault_of
from tests.interop.asking import citizen_fields, signing_arguments
from tests.interop.foreign_stacks import zeep_python
from tests.interop.judges import JOIN, require_module, run
from tests.nation import CLIENT, HUB, OTHER_CLIENT, PROVIDER, SmallNation, request

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def python() -> Path:
    return zeep_python()


def ask(
    python: Path, sandbox: SandboxDescription, *changes: str, client: object = CLIENT
) -> tuple[int, str]:
    """Run the client of docs/join about the citizen of the story."""
    done = run(
        python,
        JOIN / "zeep_client.py",
        *signing_arguments(sandbox, client),
        *("--issue", "H41-2026-1"),
        *citizen_fields(sandbox, changes),
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("client", [CLIENT, OTHER_CLIENT])
def test_zeep_signs_asks_verifies_and_prints_the_citizen(
    python: Path, sandbox: SandboxDescription, client: object
) -> None:
    # One of the two has an RSA key, the other one a P-256 key.
    status, said = ask(python, sandbox, client=client)

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


def test_zeep_tells_a_signed_fault(python: Path, sandbox: SandboxDescription) -> None:
    status, said = ask(python, sandbox, "SoDinhDanh=12")

    assert status == 1
    assert said.startswith("payload.schema: The Body does not follow the schema")


# --- by position -----------------------------------------------------------------------------

REASONS = {
    "a changed Body": "does not hold",
    "a changed header": "does not hold",
    "a moved Body": "Body is not signed where it stands",
    "a block twice": "carry the same Id",
    "an unsigned block": "id is not signed where it stands",
    "another canonicalisation": "signature method that is not allowed",
    "a signature by SHA-1": "signature method that is not allowed",
    "SHA-1": "not allowed",
    "no signature": "stands 0 times",
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


def test_the_plug_in_believes_our_answer(signing: Any, nation: SmallNation) -> None:
    sent = request(nation)

    believe(signing, sent, answer_to(sent, nation))


@pytest.mark.parametrize("name", ALTERED)
def test_the_plug_in_refuses(name: str, signing: Any, nation: SmallNation) -> None:
    from zeep.exceptions import SignatureVerificationFailed

    sent = request(nation)

    with pytest.raises(SignatureVerificationFailed, match=REASONS[name]):
        believe(signing, sent, ALTERED[name](answer_to(sent, nation)))


def test_the_plug_in_refuses_answers_of_others_and_to_others(
    signing: Any, nation: SmallNation
) -> None:
    from zeep.exceptions import SignatureVerificationFailed

    sent = request(nation)

    with pytest.raises(SignatureVerificationFailed, match="somebody else"):
        believe(signing, sent, answer_to(sent, nation, HUB))
    with pytest.raises(SignatureVerificationFailed, match="somebody else"):
        believe(signing, sent, fault_of(PROVIDER, nation))
    with pytest.raises(SignatureVerificationFailed, match="another request"):
        believe(signing, sent + b"\n", answer_to(sent, nation))
