"""`lienthong serve` and `check` end with the exit codes that they promise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click
import pytest

from bus import __version__
from bus.cli import main
from bus.sandbox.leased_ports import free_port
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from tests.cli.running import described, lienthong, lienthong_process, output_of
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import NOW


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedNation:
    """A nation on free ports; nothing runs."""
    return prepare_nation(tmp_path, now=NOW, hub_port=free_port())


def _serve(settings: Path) -> list[str]:
    return [sys.executable, "-m", "bus.cli", "serve", "--settings", str(settings)]


def _await_health(url: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=HANG_SECONDS_MAX):
                return
        except OSError:
            assert running.poll() is None, "the hub ended"
            assert time.monotonic() < deadline, "the hub does not answer"
            time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_hub_that_is_told_to_end_closes_its_log_and_exits_0(
    number: signal.Signals, prepared: PreparedNation
) -> None:
    with subprocess.Popen(_serve(prepared.hub_settings), stderr=subprocess.PIPE) as running:
        _await_health(prepared.public_url, running)
        running.send_signal(number)
        _, errors = running.communicate(timeout=HANG_SECONDS_MAX)
    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert running.returncode == 0, errors
    assert events == ["judge.started", "hub.open", "hub.serving", "hub.closed"]
    values = json.loads(lienthong("log", "verify", prepared.folder, "--json").stdout)
    assert (values["sound"], values["events"]["stopped"]) == (True, 1)


def test_settings_that_are_wrong_are_told_line_by_line(prepared: PreparedNation) -> None:
    text = prepared.hub_settings.read_text().replace("routes:", "rutes:")
    prepared.hub_settings.write_text(text.replace("public_url: http", "public_url: ftp"))
    result = lienthong_process("serve", "--settings", prepared.hub_settings)
    assert result.returncode == 2
    lines = result.stderr.decode().splitlines()
    assert len(lines) >= 3
    assert all(line.startswith(str(prepared.hub_settings)) for line in lines)


def test_an_address_in_use_is_bad_configuration(sandbox: Path, prepared: PreparedNation) -> None:
    port = described(sandbox)["hub_url"].rpartition(":")[2]
    own = prepared.public_url.rpartition(":")[2]
    text = prepared.hub_settings.read_text().replace(f"port: {own}", f"port: {port}")
    prepared.hub_settings.write_text(text)
    result = lienthong_process("serve", "--settings", prepared.hub_settings)
    assert result.returncode == 2
    place = f"{prepared.hub_settings}:{text[: text.index('listen:')].count(chr(10)) + 1}: listen"
    assert result.stderr.decode() == (
        f"{place}: cannot listen on 127.0.0.1 port {port}: Address already in use\n"
    )


def test_a_log_that_another_hub_holds_is_3(sandbox: Path, prepared: PreparedNation) -> None:
    text = prepared.hub_settings.read_text()
    text = text.replace("folder: log", f"folder: {described(sandbox)['log']}")
    prepared.hub_settings.write_text(text)
    result = lienthong_process("serve", "--settings", prepared.hub_settings)
    assert result.returncode == 3, output_of(result)
    assert "another hub holds this log" in result.stderr.decode()


def test_a_log_whose_rows_were_removed_is_3(prepared: PreparedNation) -> None:
    (prepared.folder / "state" / "last-signed").write_text("")
    (prepared.folder / "log" / "checkpoint").write_text("of a log that is gone\n")
    result = lienthong_process("serve", "--settings", prepared.hub_settings)
    assert result.returncode == 3, output_of(result)
    assert "log verify" in result.stderr.decode()


def test_check_says_ready_or_every_problem(prepared: PreparedNation) -> None:
    ready = lienthong("check", "--settings", prepared.hub_settings)
    assert ready.returncode == 0, output_of(ready)
    assert ready.stdout.decode().splitlines()[-1] == "ready"
    for name in ("log-read.key", "log.key"):
        (prepared.folder / "keys" / name).unlink()
    result = lienthong("check", "--settings", prepared.hub_settings, "--json")
    values = json.loads(result.stdout)
    assert (result.returncode, values["ready"]) == (1, False)
    assert {Path(problem["file"]).name for problem in values["problems"]} == {
        "log-read.key",
        "log.key",
    }
    text = output_of(lienthong("check", "--settings", prepared.hub_settings))
    assert "not ready: 2 problems" in text


@pytest.mark.parametrize(("file", "key"), [("routes", "grants"), ("hub", "listen")])
def test_the_schemas_of_configuration_are_printed(file: str, key: str) -> None:
    schema = json.loads(lienthong("config", "schema", file).stdout)
    assert key in schema["properties"]


def test_the_version_is_printed() -> None:
    assert lienthong("--version").stdout.decode() == f"lienthong, version {__version__}\n"


def test_an_output_without_vietnamese_letters_gets_question_marks(tmp_path: Path) -> None:
    folder = tmp_path / "Nghệ"
    result = subprocess.run(
        [sys.executable, "-m", "bus.cli", "sandbox", "status", "--dir", str(folder)],
        capture_output=True,
        timeout=HANG_SECONDS_MAX,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
        check=False,
    )
    assert (result.returncode, result.stderr) == (1, b"")
    assert b"Ngh?: stopped" in result.stdout


def _commands(command: click.Command, path: tuple[str, ...]) -> list[tuple[str, ...]]:
    found = [path]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None, name
            found += _commands(child, (*path, name))
    return found


def test_the_help_of_every_command_documents_its_exit_codes() -> None:
    commands = _commands(main, ())
    assert len(commands) > 12
    for path in commands:
        result = lienthong(*path, "--help")
        assert result.returncode == 0, path
        assert "Exit codes: 0" in result.stdout.decode(), f"lienthong {' '.join(path)}"


def test_check_asks_agencies_whether_they_are_there_and_is_ready_without(
    prepared: PreparedNation,
) -> None:
    result = lienthong("check", "--settings", prepared.hub_settings, "--live", "--json")

    values = json.loads(result.stdout)
    away = [one["message"] for one in values["warnings"] if "is away" in one["message"]]
    assert (result.returncode, values["ready"]) == (0, True)
    assert "VN/GOV/H41/vanban is away: delivery.recipient-unavailable" in away
