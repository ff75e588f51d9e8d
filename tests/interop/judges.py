"""Outside judges: programs of others that our messages are shown to, and how to get them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "interop"
INSTALL_SECONDS_MAX = 110
RUN_SECONDS_MAX = 60


def missing(judge: str) -> None:
    """Without its judge a test is skipped and says so; in CI it fails."""
    reason = f"{judge} is not installed: nobody from outside judges this"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(name)
    return str(path)


def require_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        missing(name)


def run(*command: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a judge; what it says comes back as text."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        cwd=folder,
        check=False,
    )


def zeep_python() -> Path:
    """A Python that has zeep and xmlsec and nothing of ours: made once, kept in .cache."""
    wanted = (Path(__file__).parent / "requirements-zeep.txt").read_text()
    folder = CACHE / "zeep"
    python, mark = folder / "bin" / "python", folder / "installed.txt"
    if mark.is_file() and mark.read_text() == wanted:
        return python
    requirements = Path(__file__).parent / "requirements-zeep.txt"
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=60)
        install = [python, "-m", "pip", "install", "--quiet", "--requirement", requirements]
        subprocess.run(install, check=True, timeout=INSTALL_SECONDS_MAX)
    except (subprocess.SubprocessError, OSError):
        require_module("zeep")
        require_module("xmlsec")
        return Path(sys.executable)
    mark.write_text(wanted)
    return python
