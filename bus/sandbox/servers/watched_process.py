"""Run servers of others as children in the foreground, each below a watcher that ends it.

No server outlives whoever started it, however that ended: the watcher waits for its standard input
to close, and ends the server's whole process group. As root a server runs as its own user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTING_SECONDS_MAX = 300.0
"""A broker alone takes six seconds of processor time; a busy machine has few of them to give."""
ENDING_SECONDS_MAX = 300.0
"""Killed is soon gone; but what it had on disk and in memory must be let go."""

# It may be told to end before its server has a group of its own: then it kills the server alone.
_WATCHER = """
setsid "$@" </dev/null &
echo $! > "$PID_FILE"
cat > /dev/null
kill -KILL -$! 2>/dev/null || kill -KILL $! 2>/dev/null
wait
"""
_LOG_CHARACTERS = 3000


class ServerBroken(Exception):
    """A server did not start, or ended."""


@dataclass(frozen=True)
class Account:
    """The user of the system that a server runs as; where we are not root, it is ourselves."""

    name: str

    def popen_arguments(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {}
        entry = pwd.getpwnam(self.name)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self, path: Path, mode: int) -> None:
        path.chmod(mode)
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.name)
            os.chown(path, entry.pw_uid, entry.pw_gid)

    def make_folder(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self.own(path, 0o700)

    def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        path.write_text(text, encoding="utf-8")
        self.own(path, mode)


class WatchedProcess:
    """One server: a process group, its watcher, and what it says in a file."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        account: Account,
        folder: Path,
        environment: Mapping[str, str],
    ) -> None:
        """`folder` belongs to the account; the server starts in it, and says what it says there."""
        self._log_file = folder / "console.log"
        self._pid_file = folder / "group.pid"
        self._pid_file.unlink(missing_ok=True)
        # Who starts us may hold signals back, and children inherit that.
        with self._log_file.open("ab") as log:
            self._watcher = subprocess.Popen(  # noqa: S603 - the shell is told nothing of values
                ["/bin/sh", "-c", _WATCHER, "watcher", *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={"PID_FILE": str(self._pid_file), **environment},
                start_new_session=True,
                preexec_fn=_unblock_signals,  # noqa: PLW1509 - it sets a mask, and takes no lock
                **account.popen_arguments(),
            )

    def wait_until(self, is_ready: Callable[[], bool], what: str) -> None:
        """Raises ServerBroken: it ended, or is not ready in time."""
        deadline = time.monotonic() + STARTING_SECONDS_MAX
        while not is_ready():
            if self.has_ended:
                raise ServerBroken(f"{what} ended: {self.said}")
            if time.monotonic() > deadline:
                raise ServerBroken(f"{what} is not ready in time: {self.said}")
            time.sleep(0.05)

    @property
    def group(self) -> int:
        """The id of the server's process group; 0: it has none yet."""
        try:
            return int(self._pid_file.read_text())
        except (OSError, ValueError):
            return 0

    @property
    def has_ended(self) -> bool:
        leader = self.group
        return bool(leader) and not _is_alive(leader)

    def has_said(self, words: str) -> bool:
        """Whether these words stand in anything that it said."""
        return words.encode() in self._log_file.read_bytes()

    @property
    def said(self) -> str:
        """Its last words."""
        return self._log_file.read_bytes().decode("latin-1")[-_LOG_CHARACTERS:]

    def signal(self, number: signal.Signals) -> None:
        """To every process of the group."""
        if group := self.group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)

    def end(self) -> None:
        """Kill it, as a machine does that loses its power."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait(ENDING_SECONDS_MAX)


def answers(port: int) -> bool:
    """Somebody listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 0.5):
            return True
    except OSError:
        return False


def remove_folder(folder: Path) -> None:
    """Whatever still lies there."""
    shutil.rmtree(folder, ignore_errors=True)


def _unblock_signals() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, set())


def _is_alive(process: int) -> bool:
    """A dead one that nobody asked for yet is still listed."""
    try:
        state = Path(f"/proc/{process}/stat").read_text("latin-1").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
