"""Run the programs of a cluster, each below a watcher that ends it, and strike them one by one."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bus.broker.declaring import DeclaringFailed, declare
from bus.broker.topology import Topology
from bus.log.files import HUB_NAME
from bus.log.postgres.upgrade import upgrade_database
from bus.log.postgres.watch import OriginState, OriginWatch
from bus.sandbox.cluster.site import DATABASE, ClusterSite, prepare_cluster
from bus.sandbox.programs import NotStarted, agency_program, answers
from bus.sandbox.servers.postgresql import make_database
from bus.sandbox.servers.private import PrivateServers
from bus.sandbox.servers.watched_process import Account, WatchedProcess
from bus.settings.hub import read_hub_settings
from bus.settings.postgres import PostgresSettings
from bus.trust.broker_access import rabbit_address

READY_SECONDS_MAX = 180.0
ENDING_SECONDS_MAX = 120.0
"""How long a hub may take to finish what it has in work."""
_POLL_SECONDS = 0.1
_SERVING = "hub.serving"
_WORKING = "worker.working"


class Cluster:
    """Its programs, while they run and while they do not. Used from one thread."""

    def __init__(self, site: ClusterSite, servers: PrivateServers) -> None:
        """Use `running_cluster`."""
        self.site = site
        self.servers = servers
        assert servers.postgres is not None
        self.database = PostgresSettings(("127.0.0.1",), servers.postgres.port, DATABASE, DATABASE)
        self._running: dict[str, WatchedProcess] = {}
        self._watch: OriginWatch | None = None

    def start(self) -> None:
        """Tables, queues, then every program; when it returns, each works. Raises NotStarted,
        ConfigurationError, LogUnavailable."""
        make_database(self.database.port, DATABASE)
        upgrade_database(self.database)
        self._watch = OriginWatch(self.database)
        self._declare()
        for agency in self.site.agencies:
            self._start_agency(agency)
        for name in self.site.workers:
            self.start_worker(name, wait=False)
        for name in self.site.hubs:
            self.start_hub(name, wait=False)
        for name in self.site.hubs:
            self.await_hub(name)
        for name in self.site.workers:
            self._await(f"worker-{name}", _WORKING)

    def start_hub(self, name: str, *, wait: bool = True) -> None:
        """`lienthong serve`; until it serves, if so wanted. Raises NotStarted."""
        settings = str(self.site.hubs[name].settings)
        self._start(f"hub-{name}", ["serve", "--settings", settings])
        if wait:
            self.await_hub(name)

    def await_hub(self, name: str) -> None:
        """Until it serves. Raises NotStarted."""
        self._await(f"hub-{name}", _SERVING)

    def start_worker(self, name: str, *, wait: bool = True) -> None:
        """`lienthong worker`; until it works, if so wanted. Raises NotStarted."""
        settings = str(self.site.workers[name])
        self._start(f"worker-{name}", ["worker", *self.site.agencies, "--settings", settings])
        if wait:
            self._await(f"worker-{name}", _WORKING)

    def signal(self, program: str, number: signal.Signals) -> None:
        """To `hub-a`, `worker-1`: SIGKILL, SIGSTOP, SIGCONT, SIGTERM."""
        self._running[program].signal(number)

    def kill(self, program: str) -> None:
        """SIGKILL; it is gone when this returns."""
        self.signal(program, signal.SIGKILL)
        self.await_end(program)

    def await_end(self, program: str, seconds_max: float = ENDING_SECONDS_MAX) -> None:
        """Until it has ended. Raises NotStarted: it does not."""
        until = time.monotonic() + seconds_max
        while not self._running[program].has_ended:
            if time.monotonic() > until:
                raise NotStarted(f"{program} does not end:\n{self.said(program)}")
            time.sleep(_POLL_SECONDS)

    def has_ended(self, program: str) -> bool:
        """Whether it runs no more."""
        return self._running[program].has_ended

    def has_said(self, program: str, words: str) -> bool:
        """Whether these words stand in what its last run said."""
        return self._running[program].has_said(words)

    def said(self, program: str) -> str:
        """The last words of its last run."""
        return self._running[program].said

    def stop(self) -> None:
        """End every hub in order, then every worker. Raises NotStarted: one does not end."""
        for kind in ("hub-", "worker-"):
            names = [name for name in self._running if name.startswith(kind)]
            for name in names:
                self.signal(name, signal.SIGTERM)
            for name in names:
                self.await_end(name)

    def release(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._watch is not None:
            self._watch.close()
        for process in self._running.values():
            process.end()

    def origins(self) -> Mapping[str, OriginState]:
        """Every log, by the name of the hub whose it is. Raises LogUnavailable."""
        assert self._watch is not None
        found = {one.name: one for one in self._watch.states()}
        return {name: found[hub.origin] for name, hub in self.site.hubs.items()}

    def under_way(self) -> int:
        """How many deliveries are to be made still, those for mailboxes left out.

        Raises LogUnavailable.
        """
        assert self._watch is not None
        return self._watch.deliveries_under_way()

    def hub_of(self, state: OriginState) -> str:
        """Which hub writes a log, by its name here; empty: none of these, or nobody."""
        if not state.is_owned:
            return ""
        for name, hub in self.site.hubs.items():
            file = hub.folder / HUB_NAME
            if file.is_file() and file.read_text("ascii").strip() == state.hub:
                return name
        return ""

    def _declare(self) -> None:
        settings = read_hub_settings(next(iter(self.site.hubs.values())).settings)
        assert settings.broker is not None
        rabbit = settings.broker.rabbitmq
        origins = [one.origin for one in self.site.hubs.values()]
        work = declare(rabbit_address(rabbit), Topology(rabbit.prefix), self.site.agencies, origins)
        try:
            asyncio.run(work)
        except DeclaringFailed as error:
            raise NotStarted(f"the broker: {error}") from error

    def _start_agency(self, agency: str) -> None:
        program = agency_program(self.site.nation, agency)
        self._run(agency, program.arguments, program.environment)
        url = f"{self.site.nation.agencies[agency].address}/_health"
        until = time.monotonic() + READY_SECONDS_MAX
        while not answers(url):
            self._require_running(agency, until)
            time.sleep(_POLL_SECONDS)

    def _start(self, program: str, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "bus.cli", *arguments, "--log-level", "info"]
        self._run(program, command, {})

    def _run(self, program: str, command: Sequence[str], more: Mapping[str, str]) -> None:
        if program in self._running:
            self._running[program].end()
        folder = self.site.folder / "run" / program
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Each run says what it says in a file of its own: what an earlier one said is no sign.
        (folder / "console.log").unlink(missing_ok=True)
        account = Account(pwd.getpwuid(os.geteuid()).pw_name)
        self._running[program] = WatchedProcess(
            command, account=account, folder=folder, environment={**os.environ, **more}
        )

    def _await(self, program: str, word: str) -> None:
        until = time.monotonic() + READY_SECONDS_MAX
        while not self._running[program].has_said(word):
            self._require_running(program, until)
            time.sleep(_POLL_SECONDS)

    def _require_running(self, program: str, until: float) -> None:
        if self.has_ended(program):
            raise NotStarted(f"{program} ended:\n{self.said(program)}")
        if time.monotonic() > until:
            raise NotStarted(f"{program} is not ready in time:\n{self.said(program)}")


@contextmanager
def running_cluster(folder: Path, servers: PrivateServers) -> Iterator[Cluster]:
    """A cluster that runs until the block ends, in an empty folder.

    Raises NotStarted, ConfigurationError, LogUnavailable.
    """
    assert servers.postgres is not None
    site = prepare_cluster(
        folder, postgres_port=servers.postgres.port, rabbit_port=servers.rabbit.port
    )
    with ExitStack() as resources:
        cluster = Cluster(site, servers)
        resources.callback(cluster.release)
        cluster.start()
        yield cluster
