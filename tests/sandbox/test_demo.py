"""The demo tells its story to the end, whoever watches, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import processes_of
from tests.hang_limits import HANG_SECONDS_MAX


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    temporary = tmp_path_factory.mktemp("demo")
    result = subprocess.run(
        [sys.executable, "-m", "bus.cli", "demo"],
        capture_output=True,
        timeout=HANG_SECONDS_MAX,
        env={**os.environ, "TMPDIR": str(temporary)},
        check=False,
    )
    assert result.returncode == 0, result.stderr.decode()
    assert result.stderr == b""
    return temporary, result.stdout.decode()


@pytest.mark.parametrize(
    "words",
    [
        "TraCuuThongTinCongDan",
        "XacThucThongTinCongDan",
        "chiTietDoanhNghiep",
        "signed by VN/GOV/G01",
        "question is entry 3, answer is entry 4",
        "access.denied",
        "signature.digest-mismatch",
        "Nothing was found: the log is sound.",
        "entry 4: log.sqlite",
        "Everything is closed again",
    ],
)
def test_the_story_shows(words: str, told: tuple[Path, str]) -> None:
    assert words in told[1]


def test_without_a_terminal_the_text_is_plain(told: tuple[Path, str]) -> None:
    assert "\x1b" not in told[1]
    assert max(map(len, told[1].splitlines())) <= 100


def test_nothing_runs_any_more_and_the_folder_is_gone(told: tuple[Path, str]) -> None:
    assert processes_of(told[0]) == []
    assert list(told[0].iterdir()) == []
