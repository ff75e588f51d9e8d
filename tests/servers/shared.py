"""Start a server once for a whole test session, whichever process of it asks first.

A keeper owns the server: a process of its own that ends when nobody of the session is left. Each
process of the session holds a shared lock on one file, which the system lets go when it ends,
however it ends; the keeper waits for the lock alone.

Run as `python -m tests.servers.shared KIND FOLDER` it is the keeper.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bus.sandbox.servers.postgresql import PostgresServer
from bus.sandbox.servers.rabbitmq import RabbitCluster
from bus.sandbox.servers.watched_process import STARTING_SECONDS_MAX, ServerBroken, remove_folder

ROOT = Path(__file__).parents[2]
_USERS = "users.lock"
_STATE = "state.json"
_STARTING = "starting.lock"


def _start_postgres(folder: Path) -> tuple[dict[str, Any], Callable[[], None]]:
    server = PostgresServer(folder / "postgres")
    return {"port": server.port}, server.end


def _start_rabbitmq(folder: Path) -> tuple[dict[str, Any], Callable[[], None]]:
    cluster = RabbitCluster(folder)
    return {"port": cluster.nodes[0].port}, cluster.end


_KINDS = {"postgres": _start_postgres, "rabbitmq": _start_rabbitmq}


class SharedServer:
    """A server of this session, for as long as this object is held."""

    def __init__(self, kind: str) -> None:
        """Raises ServerBroken."""
        folder = session_folder() / kind
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        self._users = (folder / _USERS).open("a")
        # A keeper that is about to leave holds it alone, and takes its state away first.
        fcntl.flock(self._users, fcntl.LOCK_SH)
        with (folder / _STARTING).open("a") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not (folder / _STATE).exists():
                _start_keeper(kind, folder)
        self.state: dict[str, Any] = json.loads((folder / _STATE).read_text())
        if "broken" in self.state:
            raise ServerBroken(self.state["broken"])

    def release(self) -> None:
        """The last one to release it ends the server."""
        self._users.close()


def session_folder() -> Path:
    """Where the servers of this session lie; what earlier sessions left is removed."""
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"alone-{os.getpid()}")
    base = Path(tempfile.gettempdir()) / f"lienthong-servers-{os.getuid()}"
    base.mkdir(exist_ok=True)
    base.chmod(0o711)
    for old in base.iterdir():
        if old.name != session:
            _sweep(old)
    folder = base / session
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    return folder


def _sweep(session: Path) -> None:
    """Remove the folder of a session of which nobody is left."""
    holders = []
    try:
        for file in session.glob(f"*/{_USERS}"):
            holders.append(file.open("a"))
            fcntl.flock(holders[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        if holders or time.time() - session.stat().st_mtime > STARTING_SECONDS_MAX:
            remove_folder(session)
    except OSError:
        return
    finally:
        for one in holders:
            one.close()


def _start_keeper(kind: str, folder: Path) -> None:
    with (folder / "keeper.log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.shared", kind, str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + 2 * STARTING_SECONDS_MAX
    while not (folder / _STATE).exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            raise ServerBroken((folder / "keeper.log").read_text("utf-8", "replace")[-3000:])
        time.sleep(0.05)


def _keep(kind: str, folder: Path) -> None:
    try:
        state, end = _KINDS[kind](folder)
    except ServerBroken as error:
        state, end = {"broken": str(error)}, lambda: None
    _write(folder / _STATE, state)
    with (folder / _USERS).open("a") as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        (folder / _STATE).unlink()
        end()
        for part in folder.iterdir():
            if part.is_dir():
                remove_folder(part)
    with suppress(OSError):
        folder.parent.rmdir()


def _write(file: Path, state: dict[str, Any]) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(state))
    beside.rename(file)


if __name__ == "__main__":
    _keep(sys.argv[1], Path(sys.argv[2]))
