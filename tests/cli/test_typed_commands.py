"""A command that is told to be typed can be typed: by its path where no shell finds it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bus.cli.options import typed


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our program, started by its path, in a shell that knows no other."""
    path = tmp_path / ".venv" / "bin" / "lienthong"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(path), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    return path


def test_a_program_that_no_shell_finds_is_told_by_its_path(program: Path) -> None:
    assert typed("sandbox", "up") == f"{program} sandbox up"


def test_one_that_the_shell_finds_is_told_by_its_name(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program.parent))

    assert typed("sandbox", "up") == "lienthong sandbox up"


def test_another_one_that_the_shell_finds_is_not_taken_for_it(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "lienthong"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert typed("sandbox", "up") == f"{program} sandbox up"


def test_started_as_a_module_it_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/a/bus/cli/__main__.py"])

    assert typed("call", Path("a b")) == "lienthong call 'a b'"
