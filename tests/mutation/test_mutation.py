"""The mutation pass makes what it says, kills what a test sees, and lets survive what none sees."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation import mutants as making
from tests.mutation.argued import read_argued
from tests.mutation.mutants import ROOT, Mutant, modules, mutants_of

MODULE = '''
"""Not changed."""
BOUND = 3

def allowed(size, kinds=("a", "b")):
    """Not changed either."""
    if size > BOUND or not kinds:
        raise ValueError("never changed")
    try:
        return kinds[0]
    except (KeyError, IndexError):
        return None
'''
CHANGES = {
    "3 -> 4",
    "3 -> 2",
    '"a" -> lost',
    '"b" -> lost',
    "size > BOUND or not kinds -> True",
    "size > BOUND or not kinds -> False",
    "> -> >= before BOUND",
    "or -> and before not kinds",
    "size > BOUND -> left out of the or",
    "not kinds -> left out of the or",
    "not -> left out",
    'raise ValueError("never changed") -> left out',
    "kinds[0] -> None",
    "0 -> 1",
    "(KeyError, IndexError) -> ()",
    "KeyError -> lost",
    "IndexError -> lost",
    "return None -> left out",
}


def made_of(text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Mutant]:
    monkeypatch.setattr(making, "ROOT", folder)
    (folder / "module.py").write_text(text)
    return mutants_of("module.py")


def test_a_mutant_is_one_slip_in_what_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = made_of(MODULE, tmp_path, monkeypatch)

    assert {one.change for one in made} == CHANGES
    assert {one.change for one in made if not one.function} == {
        "3 -> 4",
        "3 -> 2",
        '"a" -> lost',
        '"b" -> lost',
    }


@pytest.mark.parametrize("path", list(modules()))
def test_every_mutant_is_a_program_that_differs(path: str) -> None:
    original = ast.dump(ast.parse((ROOT / path).read_bytes()))

    for mutant in mutants_of(path)[::7]:
        assert ast.dump(ast.parse(mutant.source())) != original, mutant


def test_every_argument_is_about_a_mutant_that_there_is() -> None:
    made = {path: mutants_of(path) for path in modules()}

    for entry in read_argued():
        found = {one.change for one in made[entry.path] if one.text == entry.text}
        assert entry.changes <= found, entry


def passed(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.mutation", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_pass_kills_what_a_test_sees_and_tells_what_none_does() -> None:
    path = "signing/signature_cache.py"

    seen = passed(path, "--sample", "3", "--tests", "tests/signing/wss/test_signature_reading.py")
    unseen = passed(path, "--sample", "3", "--tests", "tests/signing/test_elements.py")

    assert " 0 survived" in seen.stdout.splitlines()[-1], seen.stdout + seen.stderr
    assert seen.returncode == 0
    assert " 0 killed" in unseen.stdout.splitlines()[-1], unseen.stdout + unseen.stderr
    assert unseen.returncode == 1
