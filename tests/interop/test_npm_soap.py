"""npm soap, as a portal in Node.js uses it: the files of docs/join/npm-soap against a sandbox."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import schemas
from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core.envelope import SoapVersion
from bus.sandbox.description import SandboxDescription
from bus.settings.payload_schemas import read_schema
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.altered_answers import ALTERED, answer_to, fault_of
from tests.interop.asking import citizen_fields, signing_arguments
from tests.interop.foreign_stacks import npm_soap_modules
from tests.interop.judges import JOIN, program, run
from tests.nation import CLIENT, HUB, OTHER_CLIENT, PROVIDER, SmallNation, request

pytestmark = pytest.mark.interop

EXAMPLE = JOIN / "npm-soap"
LOCATION = "http://127.0.0.1:8080/services/x"


@pytest.fixture(scope="module")
def node() -> dict[str, str]:
    """The environment in which node finds npm soap."""
    program("node")
    return {"NODE_PATH": str(npm_soap_modules())}


def ask(
    node: dict[str, str], sandbox: SandboxDescription, *changes: str, client: object = CLIENT
) -> tuple[int, str]:
    """Run the client of docs/join about the citizen of the story."""
    arguments = [*signing_arguments(sandbox, client), "--issue", "H41-2026-1"]
    fields = citizen_fields(sandbox, changes)
    done = run("node", EXAMPLE / "client.js", *arguments, *fields, environment=node)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("client", [CLIENT, OTHER_CLIENT])
def test_npm_soap_signs_asks_verifies_and_prints_the_citizen(
    node: dict[str, str], sandbox: SandboxDescription, client: object
) -> None:
    # One of the two has an RSA key, the other one a P-256 key.
    status, said = ask(node, sandbox, client=client)

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


def test_npm_soap_tells_a_signed_fault(node: dict[str, str], sandbox: SandboxDescription) -> None:
    status, said = ask(node, sandbox, "SoDinhDanh=12")

    assert status == 1, said
    assert "payload.schema: The Body does not follow the schema" in said


@pytest.mark.parametrize("version", list(SoapVersion))
def test_npm_soap_lists_every_operation_with_its_fields(
    version: SoapVersion, node: dict[str, str], nation: SmallNation, tmp_path: Path
) -> None:
    # What a hub tells, header blocks and all: a client that lacks one schema reads nothing.
    told = ServiceDescriptions(nation.rules, schemas=schemas.FOLDER, public_url="unused:")
    for service in nation.rules.registry.services.values():
        code = service.id.service_code
        wsdl = tmp_path / f"{code}.wsdl"
        wsdl.write_bytes(told.wsdl(service, LOCATION, version))

        describe = Path(__file__).with_name("describe_with_npm_soap.js")
        done = run("node", describe, wsdl, code, environment=node)

        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        assert said["operations"] == [code]
        assert said["location"] == LOCATION
        schema = read_schema(schemas.FOLDER / service.schema)
        declared = {element.get("name") for element in schema.iter()}
        assert said["fields"]
        assert {field.removesuffix("[]") for field in said["fields"]} <= declared


# --- what its verification says of answers ---------------------------------------------------

REASONS = {
    "a changed Body": "the signature does not hold",
    "a changed header": "the signature does not hold",
    "a moved Body": "soap:Body is not signed where it stands",
    "a block twice": "multiple elements with the same value",
    "an unsigned block": "xrd:id is not signed where it stands",
    "another canonicalisation": "is not supported",
    "a signature by SHA-1": "is not supported",
    "SHA-1": "is not supported",
    "no signature": "Signature stands 0 times",
}
"""Its own words for each, so that no answer is refused for another reason."""


def test_altered_answers_are_not_believed(node: dict[str, str], nation: SmallNation) -> None:
    sent = request(nation)
    good = answer_to(sent, nation)
    cases = {name: (sent, change(good)) for name, change in ALTERED.items()}
    cases["good"] = (sent, good)
    cases["of another agency"] = (sent, answer_to(sent, nation, HUB))
    cases["a fault that an agency signed"] = (sent, fault_of(PROVIDER, nation))
    cases["to another request"] = (sent + b"\n", good)

    assert said_to(cases, node, nation) == {
        "good": "believed",
        "of another agency": "signed by somebody else than we expect",
        "a fault that an agency signed": "signed by somebody else than we expect",
        "to another request": "an answer to another request",
        **REASONS,
    }


def said_to(
    cases: dict[str, tuple[bytes, bytes]], node: dict[str, str], nation: SmallNation
) -> dict[str, str]:
    """What the verification says to each, cut down to the reason that is expected where it is."""
    keys = nation.folder / "keys"
    told = {
        "signing": str(EXAMPLE / "header_signing.js"),
        "signers": {
            "answer": str(keys / "VN-GOV-G01-dancu.crt"),
            "fault": str(keys / "VN-GOV-G22-truclienthong.crt"),
        },
        "cases": {
            name: {"sent": sent.decode(), "answer": answer.decode()}
            for name, (sent, answer) in cases.items()
        },
    }
    script = Path(__file__).with_name("verify_with_npm_soap.js")
    done = subprocess.run(
        ["node", script],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS_MAX,
        env={"PATH": str(Path(program("node")).parent), **node},
        check=True,
    )
    said: dict[str, str] = json.loads(done.stdout)
    return {
        name: REASONS[name] if name in REASONS and REASONS[name] in text else text
        for name, text in said.items()
    }
