"""The sandbox's life as a user sees it: up, status, fault, down, up again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bus.sandbox.leased_ports import free_port
from tests.cli.running import described, lienthong, lienthong_process, output_of, processes_of
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ADAPTER_IDS, LOOKUP_ADAPTER, REFERENCE


def _await(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _call(folder: Path, code: str = "TraCuuThongTinCongDan") -> int:
    body = folder / "samples" / f"{code}.xml"
    return lienthong("call", code, "--as", "H41/motcua", "--body", body, "--dir", folder).returncode


def test_the_description_names_files_that_are_there(sandbox: Path) -> None:
    values = described(sandbox)
    assert values["version"] == 1
    for key in ("trust_anchor", "log_verifier_key", "log_read_key", "settings"):
        assert Path(values[key]).is_absolute()
        assert Path(values[key]).is_file()
    assert Path(values["log"]).is_dir()
    for subsystem in values["subsystems"]:
        assert Path(subsystem["key"]).is_file()
        assert Path(subsystem["certificate"]).is_file()
    assert len(values["services"]) == len(REFERENCE.services)
    for service in values["services"]:
        assert service["url"].startswith(values["hub_url"])
        assert Path(service["sample_request"]).is_file()
    assert {one["id"] for one in values["agencies"]} == set(ADAPTER_IDS)


def test_a_second_up_says_that_one_runs(sandbox: Path) -> None:
    for how in ([], ["--detach"]):
        result = lienthong_process("sandbox", "up", "--dir", sandbox, *how)
        assert result.returncode == 1
        assert "runs" in result.stderr.decode()


def test_status_tells_parts_sizes_and_versions(sandbox: Path) -> None:
    values = json.loads(lienthong("sandbox", "status", "--dir", sandbox, "--json").stdout)
    assert values["state"] == "running"
    assert values["hub_url"] == described(sandbox)["hub_url"]
    assert values["log_entries"] >= 2
    assert values["log_bytes"] > 0
    assert {"hub", "supervisor", *ADAPTER_IDS} <= {
        part["name"] for part in values["parts"] if part["state"] == "running"
    }
    text = lienthong("sandbox", "status", "--dir", sandbox)
    assert text.returncode == 0
    assert "message log" in output_of(text)


def test_a_fault_of_an_agency_is_felt_until_it_is_taken_back(sandbox: Path) -> None:
    assert _call(sandbox) == 0
    for mode, code in (("down", 1), ("none", 0)):
        result = lienthong("sandbox", "fault", LOOKUP_ADAPTER, "--mode", mode, "--dir", sandbox)
        assert result.returncode == 0, output_of(result)
        assert _call(sandbox) == code
    unknown = lienthong(
        "sandbox", "fault", f"{LOOKUP_ADAPTER}x", "--mode", "down", "--dir", sandbox
    )
    assert unknown.returncode == 2
    assert f"Did you mean '{LOOKUP_ADAPTER}'" in output_of(unknown)


def test_what_is_down_is_down_and_what_comes_up_again_is_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "nation"
    up = lienthong_process("sandbox", "up", "--dir", folder, "--detach", "--port", free_port())
    assert up.returncode == 0, output_of(up)
    assert _call(folder) == 0
    first = (folder / "log" / "checkpoint.vkey").read_bytes()

    for words in ("The sandbox is down.", "No sandbox runs here."):
        down = lienthong("sandbox", "down", "--dir", folder)
        assert down.returncode == 0
        assert words in output_of(down)
    assert processes_of(folder) == []
    assert _call(folder) == 2, "the hub cannot be reached"
    assert lienthong("sandbox", "status", "--dir", folder).returncode == 1

    again = lienthong_process("sandbox", "up", "--dir", folder, "--detach")
    assert again.returncode == 0, output_of(again)
    try:
        assert "Inventing" not in (folder / "run" / "supervisor.log").read_text()
        assert (folder / "log" / "checkpoint.vkey").read_bytes() == first
        assert _call(folder) == 0
        verified = lienthong("log", "verify", folder, "--json")
        values = json.loads(verified.stdout)
        assert (values["sound"], values["received"], values["events"]["started"]) == (True, 2, 2)

        # A supervisor that is killed leaves its children: `down` finds exactly them.
        supervisor = json.loads((folder / "run" / "supervisor.json").read_bytes())["supervisor"]
        os.kill(supervisor["pid"], signal.SIGKILL)
    finally:
        assert lienthong("sandbox", "down", "--dir", folder).returncode == 0
    assert processes_of(folder) == []


def test_an_exchange_in_work_is_finished_before_the_hub_ends(tmp_path: Path) -> None:
    up = lienthong_process("sandbox", "up", "--dir", tmp_path, "--detach")
    assert up.returncode == 0, output_of(up)
    try:
        slow = ["sandbox", "fault", LOOKUP_ADAPTER, "--mode", "slow", "--seconds", "4"]
        assert lienthong(*slow, "--dir", tmp_path).returncode == 0
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(_call, tmp_path)
            _await(lambda: "received" in _events(tmp_path), "the question does not arrive")
            assert lienthong_process("sandbox", "down", "--dir", tmp_path).returncode == 0
            assert answer.result(HANG_SECONDS_MAX) == 0
    finally:
        lienthong_process("sandbox", "down", "--dir", tmp_path)
    assert _events(tmp_path)[-2:] == ["outcome", "stopped"]


def _events(folder: Path) -> list[str]:
    shown = lienthong_process("log", "show", folder, "--json").stdout
    return [json.loads(line)["event"] for line in shown.splitlines()]


def test_in_the_foreground_an_interrupt_ends_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bus.cli", "sandbox", "up", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as running:
        _await((tmp_path / "sandbox.json").is_file, "the sandbox is not ready")
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=HANG_SECONDS_MAX)
    assert running.returncode == 0, output
    assert output.decode().endswith("The sandbox is down.\n")
    assert processes_of(tmp_path) == []


def test_a_process_that_dies_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    output = tmp_path / "output"
    command = [sys.executable, "-u", "-m", "bus.cli", "sandbox", "up", "--dir", str(tmp_path)]
    with (
        output.open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT) as running,
    ):
        _await((tmp_path / "sandbox.json").is_file, "the sandbox is not ready")
        state = json.loads((tmp_path / "run" / "supervisor.json").read_bytes())
        os.kill(state["children"][LOOKUP_ADAPTER]["pid"], signal.SIGKILL)
        told = f"{LOOKUP_ADAPTER} ended with code -9".encode()
        _await(lambda: told in output.read_bytes(), "nothing is told")
        status = json.loads(lienthong("sandbox", "status", "--dir", tmp_path, "--json").stdout)
        assert status["state"] == "failing"
        assert _call(tmp_path, "TraCuuThongTinCongDan") == 1
        assert _call(tmp_path, "chiTietDoanhNghiep") == 0
        running.send_signal(signal.SIGINT)
        assert running.wait(HANG_SECONDS_MAX) == 1
    assert processes_of(tmp_path) == []


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for how in ([], ["--detach"]):
            result = lienthong_process("sandbox", "up", "--dir", tmp_path, "--port", port, *how)
            assert result.returncode == 2
            assert f"Port {port} is not free." in result.stderr.decode()
    assert processes_of(tmp_path) == []


def test_what_the_programs_say_is_for_their_owner_alone(sandbox: Path) -> None:
    run = sandbox / "run"

    assert run.stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o077 for one in run.glob("*.log")} == {0}


@pytest.mark.parametrize("how", [[], ["--detach"]])
def test_why_a_sandbox_does_not_start_is_told_once(tmp_path: Path, how: list[str]) -> None:
    folder = tmp_path / "nation"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        result = lienthong_process("sandbox", "up", "--dir", folder, "--port", port, *how)

    assert result.returncode == 2
    assert result.stderr.decode().count("The sandbox could not be started.") == 1
    assert f"Port {port} is not free." in result.stderr.decode()


def test_what_was_changed_in_hub_yaml_is_in_force_when_the_sandbox_is_up_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "nation"
    settings = folder / "hub.yaml"
    up = lienthong_process("sandbox", "up", "--dir", folder, "--detach", "--port", free_port())
    assert up.returncode == 0, output_of(up)
    lienthong("sandbox", "down", "--dir", folder)
    edited = settings.read_text().replace(
        "show_precise_faults: true", "show_precise_faults: false  # as in production"
    )
    port = free_port()
    edited = edited.replace(f":{described(folder)['hub_url'].rpartition(':')[2]}\n", f":{port}\n")
    edited = edited.replace(
        f"port: {described(folder)['hub_url'].rpartition(':')[2]}", f"port: {port}"
    )
    settings.write_text(edited)

    again = lienthong_process("sandbox", "up", "--dir", folder, "--detach")
    try:
        assert again.returncode == 0, output_of(again)
        assert described(folder)["hub_url"] == f"http://127.0.0.1:{port}"
        assert "show_precise_faults: false" in settings.read_text()
        assert _call(folder) == 0
    finally:
        lienthong("sandbox", "down", "--dir", folder)
