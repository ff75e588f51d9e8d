"""The servers that tests ask for start, are shared, and leave nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.sandbox.servers import postgresql
from bus.sandbox.servers.postgresql import PostgresServer
from bus.sandbox.servers.watched_process import Account, WatchedProcess, answers
from tests.hang_limits import HANG_SECONDS_MAX
from tests.servers.fixtures import PostgresAccess, RabbitAccess
from tests.servers.shared import ROOT, SharedServer

pytestmark = pytest.mark.slow


def test_each_test_has_a_database_of_its_own(postgres: PostgresAccess, postgres_dsn: str) -> None:
    assert _asked(postgres_dsn, "create table t (n int); select count(*) from t") == "0"
    assert _asked(postgres.dsn(), "select count(*) from pg_tables where tablename = 't'") == "0"
    again = SharedServer("postgres")
    assert again.state["port"] == postgres.port
    again.release()
    assert answers(postgres.port)


def test_a_server_that_was_killed_has_what_it_committed(postgres: PostgresAccess) -> None:
    with tempfile.TemporaryDirectory(prefix="lienthong-postgres-") as folder:
        Path(folder).chmod(0o711)
        server = PostgresServer(Path(folder) / "server")
        try:
            _asked(server.dsn(), "create table t (n int); insert into t values (7)")
            server.restart_after_crash()
            assert _asked(server.dsn(), "select n from t") == "7"
        finally:
            server.end()
        assert not answers(server.port)


def test_a_broker_answers(rabbitmq: RabbitAccess) -> None:
    assert answers(rabbitmq.port)
    assert rabbitmq.make_prefix() != rabbitmq.make_prefix()


def test_no_server_outlives_who_started_it(tmp_path: Path) -> None:
    """Not even one that was killed."""
    script = (
        "import sys, time; from pathlib import Path;"
        "from bus.sandbox.servers.watched_process import Account, WatchedProcess;"
        "folder = Path(sys.argv[1]);"
        "one = WatchedProcess(['sleep', '1000'], account=Account('root'), folder=folder,"
        " environment={'PATH': '/usr/bin:/bin'});"
        "one.wait_until(lambda: one.group, 'sleep'); print(one.group, flush=True); time.sleep(1000)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert starter.stdout is not None
    group = int(starter.stdout.readline())
    assert Path(f"/proc/{group}").exists()
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    _wait_until(lambda: not Path(f"/proc/{group}").exists())


def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    one = WatchedProcess(
        ["sh", "-c", "echo out of order; exit 3"],
        account=Account("root"),
        folder=tmp_path,
        environment={"PATH": "/usr/bin:/bin"},
    )
    with pytest.raises(Exception, match="out of order"):
        one.wait_until(lambda: False, "it")
    one.end()


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _asked(dsn: str, sql: str) -> str:
    programs = postgresql.find_programs()
    assert programs is not None
    said = subprocess.run(
        [programs / "psql", dsn, "-qtAc", sql],
        check=True,
        capture_output=True,
        text=True,
    )
    return said.stdout.strip()
