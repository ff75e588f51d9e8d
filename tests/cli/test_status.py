"""`lienthong status` tells how a running hub is, and ends with a code that a script can use."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bus.client.status_client import operations_url
from bus.sandbox.leased_ports import free_port
from bus.settings.hub import read_hub_settings
from bus.settings.listen import ListenAddress
from tests.cli.running import lienthong, lienthong_process, output_of
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ADAPTER_IDS
from tests.operations.known_status import LOG, STATUS


@contextmanager
def answering(body: bytes, *, status: int = 200) -> Iterator[str]:
    """A server that answers everything like this; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(HANG_SECONDS_MAX)


def test_a_hub_that_is_well_is_told_with_exit_code_0(sandbox: Path) -> None:
    result = lienthong("status", "--settings", sandbox / "hub.yaml")

    text = result.stdout.decode()
    assert result.returncode == 0, output_of(result)
    assert text.startswith("hub ")
    assert "judging processes: small working" in text
    assert f"agencies: {', '.join(ADAPTER_IDS)}" in text
    assert "hub_signer, signs now" in text
    assert "timestamps: over " in text
    assert "ATTENTION" not in text


def test_the_same_is_told_to_programs(sandbox: Path) -> None:
    settings = read_hub_settings(sandbox / "hub.yaml")
    assert settings.operations is not None

    result = lienthong("status", "--url", operations_url(settings.operations), "--json")

    values = json.loads(result.stdout)
    assert values["attention"] == []
    assert values["judge"]["is_running"] is True
    assert values["log"]["trouble"] == ""


def test_what_needs_attention_is_told_last_with_exit_code_1() -> None:
    full = replace(STATUS, log=replace(LOG, trouble="disk full"), timestamps=None)
    with answering(json.dumps(full.as_json()).encode()) as url:
        result = lienthong("status", "--url", url)

    lines = result.stdout.decode().splitlines()
    assert result.returncode == 1
    at = lines.index("ATTENTION: the message log is in trouble: disk full")
    assert all(line.startswith("ATTENTION: ") for line in lines[at:])
    assert "timestamps: no authority is named" in lines
    assert "revocation: certificates 4, revoked 1, unknown 2, overdue 0" in lines
    assert "queries to one_agency: in_work 2, hanging 1, refused 8" in lines
    assert "exchanges of VN/GOV/H41: in_work 5, refused 9, limited 4" in lines
    assert not [line for line in lines if line.startswith("exchanges of VN/GOV/G03")]


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"ready\n", 200), (b"[]", 200), (b"{}", 200), (b"{}", 404), (b" " * 1_100_000, 200)],
)
def test_what_is_no_operators_door_is_exit_code_2(body: bytes, status: int) -> None:
    with answering(body, status=status) as url:
        result = lienthong("status", "--url", url)

    assert result.returncode == 2
    assert "what answers there is no operators' door of a hub" in output_of(result)


def test_nobody_there_is_exit_code_2() -> None:
    result = lienthong("status", "--url", "http://127.0.0.1:1")

    assert result.returncode == 2
    assert "no hub answers (ConnectionRefusedError)" in output_of(result)


def test_without_an_address_the_command_says_what_it_needs(tmp_path: Path) -> None:
    assert output_of(lienthong("status")).startswith("Give --settings or --url.")
    assert lienthong("status").returncode == 2
    assert lienthong("status", "--settings", tmp_path / "none.yaml").returncode == 2


def test_settings_without_operations_are_told(sandbox: Path, tmp_path: Path) -> None:
    text = (sandbox / "hub.yaml").read_text()
    (tmp_path / "hub.yaml").write_text(text[: text.index("operations:")])

    result = lienthong("status", "--settings", tmp_path / "hub.yaml")

    assert result.returncode == 2
    assert "no operations are named" in output_of(result)


def test_an_operators_address_in_use_is_bad_configuration(sandbox: Path, tmp_path: Path) -> None:
    settings = read_hub_settings(sandbox / "hub.yaml")
    assert settings.operations is not None
    port = free_port()
    text = (sandbox / "hub.yaml").read_text()
    other = text.replace(f"port: {settings.listen.port}\n", f"port: {port}\n", 1)
    (sandbox / "other.yaml").write_text(other)

    result = lienthong_process("serve", "--settings", sandbox / "other.yaml")

    assert result.returncode == 2
    taken = f"operations: cannot listen on 127.0.0.1 port {settings.operations.port}"
    assert taken in output_of(result)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:9"),
        ("::", "http://[::1]:9"),
        ("10.1.2.3", "http://10.1.2.3:9"),
    ],
)
def test_a_hub_is_asked_where_it_listens(host: str, url: str) -> None:
    assert operations_url(ListenAddress(host, 9)) == url


def test_anchors_of_time_authorities_are_given_to_log_verify(sandbox: Path) -> None:
    sound = lienthong("log", "verify", sandbox, "--timestamp-trust", sandbox / "trust" / "time.crt")
    strange = lienthong("log", "verify", sandbox, "--timestamp-trust", sandbox / "trust" / "ca.crt")
    none = lienthong("log", "verify", sandbox, "--timestamp-trust", sandbox / "hub.yaml")

    assert sound.returncode == 0, output_of(sound)
    assert "under anchors that were given" in output_of(sound)
    assert strange.returncode == 1
    assert "the authority's certificate" in output_of(strange)
    assert (none.returncode, "no certificate" in output_of(none)) == (2, True)
