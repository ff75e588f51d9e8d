"""Strike by hand: `make chaos-strikes`, with servers of its own where what is struck needs them."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from bus.sandbox.servers.private import ServersMissing, private_servers
from tests.chaos.nursery import Nursery
from tests.chaos.strike import CALLS, Strike
from tests.chaos.strikes import HUB, WORKER, Blow, MakeSite, besiege, besieged, say
from tests.chaos.struck_site import SiteMaker

HUB_APART = "hub-apart"
TARGETS = (HUB, HUB_APART, WORKER)
"""A hub that is one process; one on PostgreSQL and RabbitMQ; a worker of such a hub."""


@dataclass(slots=True)
class Tally:
    """What was tried so far."""

    struck: Counter[str] = field(default_factory=Counter)
    """By target and effect."""
    red: int = 0
    delivered: int = 0

    def take(self, target: str, blow: Blow) -> None:
        twice = ", begun anew" if blow.is_twice else ""
        if blow.has_struck:
            self.struck[f"{target}{twice} {blow.strike.effect}"] += 1
            self.struck["kills" if blow.strike.is_kill else "failed calls"] += 1
        if blow.found.faults:
            self.red += 1
            print("\n".join(say(target, blow)), flush=True)

    def say(self, what: str) -> None:
        print(f"{what}: {dict(self.struck)}, {self.red} red", flush=True)


def strike_all(targets: Iterable[str], every: int) -> int:
    """Everything in turn; 1: some promise was broken; 2: a program of others is missing."""
    tally = Tally()
    with _sites(targets) as sites, Nursery() as nursery:
        for target, make_site in sites.items():
            for is_twice in (False, True) if target != WORKER else (False,):
                for call in CALLS:
                    name = _process_of(target)
                    for blow in besiege(
                        nursery, make_site, name, call, every=every, is_twice=is_twice
                    ):
                        tally.take(target, blow)
                    tally.say(f"{target} {call}{' twice' if is_twice else ''}")
    return 1 if tally.red else 0


def strike_one(target: str, strike: Strike, *, is_twice: bool) -> int:
    """One again, with all that its programs say."""
    with contextlib.ExitStack() as end:
        sites = end.enter_context(_sites([target]))
        site = end.enter_context(sites[target]())
        place = end.enter_context(besieged(end.enter_context(Nursery()), site))
        blow = place.strike(_process_of(target), strike, is_twice=is_twice)
        for file in sorted(site.folder.glob("*.log")):
            sys.stdout.write(file.read_text("utf-8", "replace"))
    print("\n".join(say(target, blow)))
    print("struck" if blow.has_struck else "it was never struck", dict(blow.found.counts))
    return 1 if blow.found.faults else 0


def _process_of(target: str) -> str:
    return WORKER if target == WORKER else HUB


@contextlib.contextmanager
def _sites(targets: Iterable[str]) -> Iterator[dict[str, MakeSite]]:
    """Where each target is struck. Ends the program if something is missing."""
    targets = list(targets)
    if shutil.which("strace") is None:
        _missing("strace is missing: `make system` installs it")
    with contextlib.ExitStack() as end:
        ports: tuple[int, ...] = ()
        if any(one != HUB for one in targets):
            try:
                servers = end.enter_context(private_servers())
            except ServersMissing as error:
                _missing(str(error))
            assert servers.postgres is not None
            ports = (servers.postgres.port, servers.rabbit.port)
        folder = Path(end.enter_context(tempfile.TemporaryDirectory()))
        maker = SiteMaker(folder, *ports)
        yield {one: maker.embedded if one == HUB else maker.apart for one in targets}


def _missing(what: str) -> NoReturn:
    print(what, file=sys.stderr)
    sys.exit(2)
