"""A private PostgreSQL server on loopback, with a database for each who asks."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from bus.sandbox.leased_ports import free_port
from bus.sandbox.servers.watched_process import Account, ServerBroken, WatchedProcess

ACCOUNT = Account("postgres")
USER = "lienthong"
_INSTALLED = Path("/usr/lib/postgresql")
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "jit": "off",
    "autovacuum_naptime": "5s",
}


def find_programs() -> Path | None:
    """Where the programs of the newest PostgreSQL lie; None: there is none."""
    found = sorted(_INSTALLED.glob("*/bin/postgres"), key=lambda one: int(one.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """One server, its data in a folder that must not be there yet."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] | None = None) -> None:
        """`settings` stand in for those of every server here. Raises ServerBroken."""
        programs = find_programs()
        assert programs is not None, "who asks looks first"
        self._programs = programs
        self._folder = folder
        self._settings = _SETTINGS | dict(settings or {})
        ACCOUNT.make_folder(folder)
        self._environment = {
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(folder),
            "TZ": "UTC",
        }
        self.port = free_port()
        _run(
            "initdb",
            *("-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions", "--data-checksums"),
            account=ACCOUNT,
        )
        self._process = self._start()

    def dsn(self, database: str = "postgres") -> str:
        """What clients connect with: a user who needs no password, and may do everything."""
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"

    @property
    def group(self) -> int:
        """The id of its process group; 0: it does not run."""
        return self._process.group

    def restart_after_crash(self) -> None:
        """Kill it, and start it over what it left. Raises ServerBroken."""
        self.end()
        self.start()

    def start(self) -> None:
        """Start it over what it left when it was killed. Raises ServerBroken."""
        self._process = self._start()

    def end(self) -> None:
        """Kill it."""
        self._process.end()

    def _start(self) -> WatchedProcess:
        folder = self._folder
        settings = self._settings | {"port": str(self.port), "unix_socket_directories": str(folder)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        process = WatchedProcess(
            [self._programs / "postgres", "-D", folder / "data", *arguments],
            account=ACCOUNT,
            folder=folder,
            environment=self._environment,
        )
        process.wait_until(self._is_ready, "PostgreSQL")
        return process

    def _is_ready(self) -> bool:
        asked: list[str | Path] = [self._programs / "pg_isready", "-q", *_address(self.port)]
        ran = subprocess.run(asked, env=self._environment, check=False)  # noqa: S603 - no shell
        return ran.returncode == 0


def make_database(port: int, name: str) -> None:
    """A new, empty database. Raises ServerBroken."""
    _run("createdb", *_address(port), name)


def drop_database(port: int, name: str) -> None:
    """Remove it, whoever is connected. Raises ServerBroken."""
    _run("dropdb", *_address(port), "--force", "--if-exists", name)


def _address(port: int) -> tuple[str, ...]:
    return ("-h", "127.0.0.1", "-p", str(port), "-U", USER)


def _run(program: str, *arguments: str, account: Account | None = None) -> None:
    programs = find_programs()
    assert programs is not None, "who asks looks first"
    command: list[str | Path] = [programs / program, *arguments]
    ran = subprocess.run(  # noqa: S603 - a program found by its path, without a shell
        command,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        cwd="/",
        capture_output=True,
        check=False,
        **(account.popen_arguments() if account else {}),
    )
    if ran.returncode:
        raise ServerBroken(f"{program}: {ran.stderr.decode('utf-8', 'replace')}")
