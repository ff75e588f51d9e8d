"""Apache CXF, as Java services use it: the file of docs/join/cxf against a sandbox that runs."""

from __future__ import annotations

import pytest

from bus.sandbox.description import SandboxDescription
from tests.interop.asking import citizen_fields, plain_arguments
from tests.interop.foreign_stacks import cxf_classes
from tests.interop.judges import program, run

pytestmark = pytest.mark.interop

WAYS = [(), ("--soap=1.2",), ("--addressing",), ("--soap=1.2", "--addressing")]


@pytest.fixture(scope="module")
def classes() -> str:
    program("java")
    return cxf_classes()


def ask(
    classes: str, sandbox: SandboxDescription, *options: str, number: str = ""
) -> tuple[int, str]:
    changes = [f"SoDinhDanh={number}"] if number else []
    arguments = [*plain_arguments(sandbox), *options, *citizen_fields(sandbox, changes)]
    done = run("java", "-cp", classes, "CxfClient", *arguments)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("options", WAYS)
def test_cxf_asks_and_prints_the_citizen(
    classes: str, sandbox: SandboxDescription, options: tuple[str, ...]
) -> None:
    """With WS-Addressing its blocks stand in the request, and none in the answer."""
    status, said = ask(classes, sandbox, *options)

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


@pytest.mark.parametrize(
    ("options", "code"),
    [((), "Client.InvalidBody"), (("--soap=1.2",), "{http://x-road.eu/xsd/xroad.xsd}Client")],
)
def test_cxf_sees_a_fault_with_its_code_its_id_and_its_detail(
    classes: str, sandbox: SandboxDescription, options: tuple[str, ...], code: str
) -> None:
    """SAAJ drops all three of a SOAP 1.2 fault whose subcode is no qualified name."""
    status, said = ask(classes, sandbox, *options, number="12")

    assert status == 1, said
    assert said.startswith("payload.schema: The Body does not follow the schema")
    assert f"code {code}" in said
    assert ", fault " in said
