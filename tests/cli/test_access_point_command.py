"""`lienthong access-point` as an operator runs it: settings in, exchanges through, codes out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.client.status_client import operations_url
from bus.sandbox.leased_ports import free_port
from bus.settings.hub import read_hub_settings
from signing.signed_note import SigningKey
from tests.access_point.running_access_point import plain_request, request_hash
from tests.cli.running import described, lienthong, lienthong_process, output_of
from tests.hang_limits import HANG_SECONDS_MAX

CLIENT = "VN/GOV/H41/motcua"


def subsystem(sandbox: Path) -> dict[str, Any]:
    return next(one for one in described(sandbox)["subsystems"] if one["id"] == CLIENT)


def short_form(sandbox: Path, evidence: Path, port: int) -> list[str]:
    values = described(sandbox)
    signer = subsystem(sandbox)
    return [
        *("--member", "VN/GOV/H41", "--system", "motcua", "--listen", f"127.0.0.1:{port}"),
        *("--hub", values["hub_url"], "--hub-member", values["hub"].rpartition("/")[0]),
        *("--log-key", values["log_verifier_key"], "--anchor", values["trust_anchor"]),
        *("--key", signer["key"], "--certificate", signer["certificate"]),
        *("--evidence", str(evidence)),
    ]


@contextmanager
def running(*arguments: str, url: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "bus.cli", "access-point", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + HANG_SECONDS_MAX
            while not is_answering(url):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline, "the access point does not answer"
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def is_answering(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5):
            return True
    except OSError:
        return False


def sample(sandbox: Path) -> bytes:
    services = described(sandbox)["services"]
    path = next(one["sample_request"] for one in services if "TraCuuThongTin" in one["id"])
    return Path(path).read_bytes()


def ask(url: str, raw: bytes) -> bytes:
    headers = {"Content-Type": "text/xml", "SOAPAction": '""'}
    request = urllib.request.Request(url, raw, headers)
    with urllib.request.urlopen(request, timeout=HANG_SECONDS_MAX) as reply:
        answer: bytes = reply.read()
        return answer


def test_the_sandbox_runs_an_access_point_for_each_sending_agency(sandbox: Path) -> None:
    raw = plain_request(str(uuid.uuid4()), body=sample(sandbox))

    answer = ask(subsystem(sandbox)["access_point"], raw)

    served = [one["id"] for one in described(sandbox)["subsystems"] if one["access_point"]]
    assert request_hash(raw).encode() in answer
    assert b"TraCuuThongTinCongDanResponse" in answer
    assert served == ["VN/GOV/G22/dichvucong", "VN/GOV/H17/motcua", "VN/GOV/H24/motcua", CLIENT]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
def test_a_web_page_gets_nothing_of_an_access_point_nor_of_the_operators_door(
    headers: dict[str, str], sandbox: Path
) -> None:
    operations = read_hub_settings(sandbox / "hub.yaml").operations
    assert operations is not None
    door = operations_url(operations)
    raw = plain_request(str(uuid.uuid4()), body=sample(sandbox))

    for url, body in (
        (subsystem(sandbox)["access_point"], raw),
        (f"{door}/status", None),
        (f"{door}/metrics", None),
    ):
        request = urllib.request.Request(url, body, {"Content-Type": "text/xml", **headers})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=HANG_SECONDS_MAX)
        with refused.value as reply:
            output_of = reply.read()
            assert reply.code == 403
            assert "access-control-allow-origin" not in reply.headers
            assert b"CongDan" not in output_of
            assert b"entries" not in output_of


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
def test_what_a_form_can_send_is_no_request(content_type: str, sandbox: Path) -> None:
    raw = plain_request(str(uuid.uuid4()), body=sample(sandbox))
    headers = {"Content-Type": content_type}
    request = urllib.request.Request(subsystem(sandbox)["access_point"], raw, headers)

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=HANG_SECONDS_MAX)
    with refused.value as reply:
        assert b"InvalidContentType" in reply.read()


def test_the_sandbox_tells_where_they_are(sandbox: Path) -> None:
    parts = json.loads(lienthong("sandbox", "status", "--json", folder=sandbox).stdout)["parts"]

    states = {part["name"]: part["state"] for part in parts}
    told_urls = [part["what"] for part in parts if part["name"] == "access point"]
    assert states["access-points"] == "running"
    assert any(subsystem(sandbox)["access_point"] in what and CLIENT in what for what in told_urls)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_options_alone_start_an_access_point_and_a_signal_ends_it(
    sandbox: Path, tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    raw = plain_request(str(uuid.uuid4()), body=sample(sandbox))

    with running(*short_form(sandbox, tmp_path / "evidence", port), url=url) as process:
        answer = ask(url, raw)
        process.send_signal(number)
        _, errors = process.communicate(timeout=HANG_SECONDS_MAX)

    events = [json.loads(line)["event"] for line in errors.splitlines()]
    assert request_hash(raw).encode() in answer
    assert (
        process.returncode,
        events,
    ) == (0, ["access-point.serving", "access-point.answered", "access-point.closed"])


def test_one_process_serves_several_access_points(sandbox: Path) -> None:
    urls = [one["access_point"] for one in described(sandbox)["subsystems"] if one["access_point"]]

    assert len(set(urls)) == 4
    assert all(is_answering(url) for url in urls)


def test_settings_that_are_wrong_end_it_with_2(tmp_path: Path) -> None:
    file = tmp_path / "access-point.yaml"
    file.write_text("member: VN/GOV/H41\nsistems: {}\n")

    result = lienthong_process("access-point", "--config", file)

    lines = result.stderr.decode().splitlines()
    assert result.returncode == 2
    assert len(lines) >= 5
    assert all(line.startswith(str(file)) for line in lines)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--member", "VN/GOV/H41"), "missing: --system"),
        ((), "Give --config, or the options that are missing"),
        (("--config", "x.yaml", "--member", "VN/GOV/H41"), "there is no such file|cannot be read"),
    ],
)
def test_options_that_say_half_of_it_are_told(arguments: tuple[str, ...], words: str) -> None:
    result = lienthong("access-point", *arguments)

    assert result.returncode == 2
    assert re.search(words, output_of(result))


def test_files_and_options_do_not_mix(sandbox: Path, tmp_path: Path) -> None:
    file = sandbox / "access-points" / "VN-GOV-H41-motcua.yaml"

    mixed = lienthong("access-point", "--config", file, "--member", "VN/GOV/H41")
    no_port = lienthong(
        "access-point",
        *short_form(sandbox, tmp_path, 1)[:5],
        "x",
        *short_form(sandbox, tmp_path, 1)[6:],
    )

    assert (mixed.returncode, no_port.returncode) == (2, 2)
    assert "not in both" in output_of(mixed)
    assert "HOST:PORT" in output_of(no_port)


def test_receipts_are_shown_as_notes_and_for_programs(sandbox: Path) -> None:
    file = sandbox / "access-points" / "VN-GOV-H41-motcua.yaml"
    message_id = str(uuid.uuid4())
    ask(subsystem(sandbox)["access_point"], plain_request(message_id, body=sample(sandbox)))

    note = lienthong("receipts", "--access-point", file, "--message-id", message_id)
    values = lienthong("receipts", "--access-point", file, "--message-id", message_id, "--json")
    none = lienthong("receipts", "--access-point", file, "--message-id", "never-sent")

    assert (note.returncode, values.returncode, none.returncode) == (0, 0, 1)
    assert note.stdout.decode().splitlines()[1] == "receipt v1"
    assert {"client": CLIENT, "message_id": message_id}.items() <= json.loads(values.stdout).items()


def test_receipts_of_another_hub_do_not_hold(sandbox: Path, tmp_path: Path) -> None:
    ask(subsystem(sandbox)["access_point"], plain_request(str(uuid.uuid4()), body=sample(sandbox)))
    file = sandbox / "access-points" / "VN-GOV-H41-motcua.yaml"
    other = tmp_path / "other.vkey"
    key = SigningKey("lienthong.example/sandbox", Ed25519PrivateKey.generate()).verifying_key
    other.write_text(f"{key}\n")
    text = file.read_text().replace("log_key: hub.vkey", f"log_key: {other}")
    (file.parent / "of-another-hub.yaml").write_text(text)

    result = lienthong("receipts", "--access-point", file.parent / "of-another-hub.yaml")

    assert result.returncode == 1
    assert "does not hold" in output_of(result)


def test_a_folder_without_receipts_is_told(sandbox: Path, tmp_path: Path) -> None:
    file = sandbox / "access-points" / "VN-GOV-H41-motcua.yaml"
    text = file.read_text().replace("evidence: evidence/", f"evidence: {tmp_path}/")
    (file.parent / "empty.yaml").write_text(text)

    result = lienthong("receipts", "--access-point", file.parent / "empty.yaml")

    assert result.returncode == 2
    assert "no access point kept anything here" in output_of(result)


def test_call_asks_plainly_through_the_access_point(sandbox: Path) -> None:
    body = sandbox / "samples" / "TraCuuThongTinCongDan.xml"

    asked = lienthong(
        "call",
        "TraCuuThongTinCongDan",
        "--as",
        "H41/motcua",
        "--plain",
        "--body",
        body,
        folder=sandbox,
    )
    not_served = lienthong(
        "call",
        "TraCuuThongTinCongDan",
        "--as",
        "H26/motcua",
        "--plain",
        "--body",
        body,
        folder=sandbox,
    )
    refused = lienthong(
        "call",
        "danhSachHoSo",
        "--as",
        "H17/motcua",
        "--plain",
        "--body",
        sandbox / "samples" / "danhSachHoSo.xml",
        folder=sandbox,
    )

    assert (asked.returncode, not_served.returncode, refused.returncode) == (0, 2, 1), output_of(
        asked
    )
    assert b"TraCuuThongTinCongDanResponse" in asked.stdout
    assert "has no access point" in output_of(not_served)
    assert "Server.ServerProxy.AccessDenied" in output_of(refused)
