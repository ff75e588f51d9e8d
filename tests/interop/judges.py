"""Outside judges: programs of others that our messages are shown to."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from tests.hang_limits import HANG_SECONDS_MAX

ROOT = Path(__file__).parents[2]
JOIN = ROOT / "docs" / "join"


def missing(judge: str) -> NoReturn:
    """Without its judge a test is skipped and says so; in CI it fails."""
    reason = f"{judge} is not installed: nobody from outside judges this"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(name)
    return path


def require_module(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        missing(name)


def run(
    *command: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a judge; what it says comes back as text. `environment` is added to ours."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS_MAX,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        check=False,
    )
