"""Revoking in a running sandbox: the revoked one is refused, the others go on, in outages too."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.running import described, lienthong, lienthong_process, output_of
from tests.hang_limits import HANG_SECONDS_MAX

CODE = "TraCuuThongTinCongDan"


def _call(folder: Path, client: str) -> str:
    """What is told to a subsystem that asks: empty, or the code of the fault."""
    body = folder / "samples" / f"{CODE}.xml"
    result = lienthong("call", CODE, "--as", client, "--body", body, "--dir", folder)
    return "" if result.returncode == 0 else output_of(result).split(":")[0]


def _await(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_a_nation_in_which_certificates_are_revoked_and_the_authority_dies(tmp_path: Path) -> None:
    up = lienthong_process("sandbox", "up", "--dir", tmp_path, "--detach")
    assert up.returncode == 0, output_of(up)
    try:
        # Given two that are known to be good, one of which is revoked then
        assert _call(tmp_path, "H41/motcua") == ""
        assert _call(tmp_path, "H26/motcua") == ""
        revoked = lienthong("sandbox", "revoke", "H41/motcua", "--dir", tmp_path)
        assert revoked.returncode == 0, output_of(revoked)
        assert "VN/GOV/H41/motcua: certificate" in output_of(revoked)
        _await(
            lambda: _call(tmp_path, "H41/motcua") == "certificate.revoked",
            "the hub learns of the revocation",
        )
        assert _call(tmp_path, "H26/motcua") == ""

        # When it gets a new certificate, it passes again
        issued = lienthong("sandbox", "issue", "H41/motcua", "--dir", tmp_path)
        assert issued.returncode == 0, output_of(issued)
        assert _call(tmp_path, "H41/motcua") == ""

        # When the authority dies, the last evidence counts; who was never seen is refused
        run = json.loads((tmp_path / "run" / "supervisor.json").read_bytes())
        os.kill(run["children"]["authority"]["pid"], signal.SIGKILL)
        assert _call(tmp_path, "H26/motcua") == ""
        assert _call(tmp_path, "H17/motcua") == "certificate.revocation-unknown"
        status = json.loads(lienthong("sandbox", "status", "--dir", tmp_path, "--json").stdout)
        assert status["state"] == "failing"

        # Then an auditor finds every decision right as of its time
        verified = json.loads(lienthong("log", "verify", tmp_path, "--json").stdout)
        assert verified["findings"] == []
        assert verified["decisions_repeated"] >= 5
        assert verified["events"]["evidence"] >= 3
        assert described(tmp_path)["authority_url"].startswith("http://127.0.0.1:")
    finally:
        assert lienthong("sandbox", "down", "--dir", tmp_path).returncode == 0


def test_an_unknown_subsystem_is_neither_revoked_nor_issued(tmp_path: Path, sandbox: Path) -> None:
    for command in ("revoke", "issue"):
        result = lienthong("sandbox", command, "H99/motcua", "--dir", sandbox)
        assert result.returncode == 2
        assert "H99/motcua" in output_of(result)
