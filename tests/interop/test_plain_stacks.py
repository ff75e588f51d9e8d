"""SOAP stacks without a signature of their own ask through an access point: docs/join as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bus.sandbox.description import SandboxDescription
from tests.interop.asking import HAND_IN, citizen_fields, journal_number, plain_arguments
from tests.interop.foreign_stacks import npm_soap_modules, pyxroad_python, suds_python, zeep_python
from tests.interop.judges import JOIN, missing, program, run

pytestmark = pytest.mark.interop

Command = tuple[object, ...]


def pyxroad() -> Command:
    python = pyxroad_python()
    return (python, JOIN / "pyxroad" / "client.py")


def zeep() -> Command:
    return (zeep_python(), JOIN / "zeep_plain_client.py")


def suds() -> Command:
    python = suds_python()
    return (python, JOIN / "suds" / "client.py")


def php_soap() -> Command:
    php = program("php")
    if "soap" not in run(php, "-m").stdout.split():
        missing("the extension soap of PHP")
    return (php, JOIN / "php-soap" / "client.php")


def soap_lite() -> Command:
    perl = program("perl")
    if run(perl, "-MSOAP::Lite", "-e", "1").returncode:
        missing("SOAP::Lite")
    return (perl, JOIN / "soap-lite" / "client.pl")


STACKS = [pyxroad, zeep, suds, php_soap, soap_lite]


def ask(
    stack: Callable[[], Command], sandbox: SandboxDescription, *changes: str
) -> tuple[int, str]:
    """Run the client of docs/join about the citizen of the story."""
    command = stack()
    # PHP ends its options with a double dash; nobody else minds it.
    done = run(*command, *plain_arguments(sandbox), "--", *citizen_fields(sandbox, changes))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("stack", STACKS)
def test_a_plain_stack_asks_from_our_wsdl_and_prints_the_citizen(
    stack: Callable[[], Command], sandbox: SandboxDescription
) -> None:
    status, said = ask(stack, sandbox)

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


@pytest.mark.parametrize("stack", STACKS)
def test_a_plain_stack_tells_a_fault(
    stack: Callable[[], Command], sandbox: SandboxDescription
) -> None:
    status, said = ask(stack, sandbox, "SoDinhDanh=12")

    assert status == 1, said
    assert said.startswith("payload.schema: The Body does not follow the schema")


# --- attachments ---------------------------------------------------------------------------------


def hand_in(sandbox: SandboxDescription, *command: object, files: list[Path]) -> tuple[int, str]:
    """Run a client that hands files of a dossier in."""
    arguments = plain_arguments(sandbox, service=HAND_IN)
    done = run(*command, *arguments, "--journal", journal_number(sandbox), *files)
    return done.returncode, done.stdout + done.stderr


def file_of(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


PDF = b"%PDF-1.7\r\n--\r\n\x00\xff" * 20_000


def test_zeep_hands_files_in_and_reads_the_one_that_comes_back(
    sandbox: SandboxDescription, tmp_path: Path
) -> None:
    files = [file_of(tmp_path, "a.pdf", PDF), file_of(tmp_path, "b.txt", b"a\nb\n")]

    status, said = hand_in(sandbox, zeep_python(), JOIN / "zeep_attachments.py", files=files)

    assert status == 0, said
    assert "320000 bytes taken: a.pdf\n4 bytes taken: b.txt\nBIÊN NHẬN\n" in said


def test_npm_soap_hands_a_file_in_as_mtom(
    sandbox: SandboxDescription, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_PATH", str(npm_soap_modules()))
    script = JOIN / "npm-soap" / "hand_in.js"

    status, said = hand_in(
        sandbox, program("node"), script, files=[file_of(tmp_path, "a.pdf", PDF)]
    )

    assert status == 0, said
    assert said.startswith("BIÊN NHẬN\n")
    assert "a.pdf: 320000 byte\n" in said


def test_a_file_of_a_kind_that_is_not_taken_is_a_fault(
    sandbox: SandboxDescription, tmp_path: Path
) -> None:
    files = [file_of(tmp_path, "a.exe", b"MZ")]

    status, said = hand_in(sandbox, zeep_python(), JOIN / "zeep_attachments.py", files=files)

    assert status == 1, said
    assert said.startswith("attachment.not-allowed: ")
