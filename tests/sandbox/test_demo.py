"""The demo tells its story to the end, whoever watches, and leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bus.sandbox.agencies import routed_manifests
from bus.sandbox.demo_cast import choose_cast
from bus.sandbox.nation_files import reference_routes
from bus.settings.routes import read_registry
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


def test_the_story_asks_what_manifests_want_shown(told: tuple[Path, str]) -> None:
    manifests = routed_manifests(told[0], read_registry(reference_routes()))
    shown = [one for manifest in manifests.values() for one in manifest.services if one.shown]
    assert len(shown) >= 3
    for service in shown:
        assert f"·  {service.code} ─" in told[1]
        assert [fact.label for fact in service.shown if fact.label not in told[1]] == []


@pytest.mark.parametrize(
    "words",
    [
        "signed by VN/GOV/G01",
        "question is entry 3, answer is entry 4",
        "access.denied",
        "signature.digest-mismatch",
        "Nobody sends anything: attempt",
        "Nothing was found: the log is sound.",
        "entry 4: log.sqlite",
        "Everything is closed again",
    ],
)
def test_the_story_shows(words: str, told: tuple[Path, str]) -> None:
    assert words in told[1]


def test_the_story_accounts_for_every_recipient_of_a_document(told: tuple[Path, str]) -> None:
    registry = read_registry(reference_routes())
    document = choose_cast(registry, routed_manifests(told[0], registry)).document
    assert document is not None
    brought, kept = len(document.brought), len(document.by_mailbox)

    assert f"owed to {brought + kept} recipients" in told[1]
    assert f"{brought - 1} have it" in told[1]
    assert "1 away, tried again" in told[1]
    assert f"{kept} wait in mailboxes" in told[1]
    assert f"{kept} fetch it from their mailboxes" in told[1]
    assert f"{brought + kept} receipts, one of each" in " ".join(told[1].split())
    assert f"{brought + kept} accepted = {brought + kept} delivered + 0 refused" in told[1]
    assert "0 expired + 0 pending" in told[1]


def test_without_a_terminal_the_text_is_plain(told: tuple[Path, str]) -> None:
    assert "\x1b" not in told[1]
    assert max(map(len, told[1].splitlines())) <= 100


def test_nothing_runs_any_more_and_the_folder_is_gone(told: tuple[Path, str]) -> None:
    assert processes_of(told[0]) == []
    assert list(told[0].iterdir()) == []
