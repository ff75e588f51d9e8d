"""Strike a hub or a worker at its N-th write, sync or send; start it anew, let all drain, check.

strace does it from outside: nothing in either knows of it. It counts the calls of each thread
apart, so each kind of call is gone through for itself: N = 1, 2 … until a run ends unharmed.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bus.runtime.clock import now
from tests.chaos.checker import Found, Promises, check
from tests.chaos.journals import FileJournal, Sent, Struck, TellAccepted, read_journals
from tests.chaos.nursery import Nursery, StruckProgram
from tests.chaos.receipts import accepted_receipt
from tests.chaos.strike import ERRORS, KILLS, Strike
from tests.chaos.struck_site import ADAPTER, RECIPIENT, SERVICE, StruckSite
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.crash_load import Message, load
from tests.nation import packaged_sample, request

MESSAGES = 6
"""Sent in each run, of two conversations."""
POINTS_MAX = 1000
"""More than any run has."""
STRIKES_OF_SITE_MAX = 40
"""So many a site has: then its log is long, and another begins."""
STRUCK_SECONDS_MAX = 5.0
"""So long a hub whose disk fails may go on; what it does not end, the next one does."""
_WORDS_MAX = 2000
HUB, WORKER = "hub", "worker"
PRELUDES = {False: Strike("fdatasync", 9), True: Strike("sendto", 70)}
"""What leaves work behind, in one process and apart, for what is struck as it begins anew."""

MakeSite = Callable[[], AbstractContextManager[StruckSite]]
"""Makes a site that nobody has struck yet."""


class HubGoneError(Exception):
    """A hub that was struck does not work any more, with its last words."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A strike that was tried, and what the checker says."""

    target: str
    strike: Strike
    has_struck: bool
    found: Found
    is_twice: bool = False


def besiege(
    nursery: Nursery,
    make_site: MakeSite,
    target: str,
    call: str,
    *,
    every: int = 1,
    is_twice: bool = False,
) -> Iterator[Blow]:
    """Each effect at every so many calls of a kind, until a run ends unharmed.

    `is_twice`: what is struck has been killed before, under load, and begins anew.
    """
    sites = _Sites(nursery, make_site)
    try:
        # A worker has no disk of its own.
        errors = ERRORS.get(call, ()) if target == HUB else ()
        for effect in (*KILLS, *(f"error={one}" for one in errors)):
            for at in range(1, POINTS_MAX, every):
                strike = Strike(call, at, effect)
                blow = sites.next().strike(target, strike, is_twice=is_twice)
                yield blow
                if not blow.has_struck:
                    break
    finally:
        sites.close()


class _Sites:
    """One site after the other."""

    def __init__(self, nursery: Nursery, make_site: MakeSite) -> None:
        self._nursery = nursery
        self._make_site = make_site
        self._stack = contextlib.ExitStack()
        self._besieged: Besieged | None = None

    def next(self) -> Besieged:
        """The one that the next strike is for."""
        if self._besieged is None or self._besieged.strikes >= STRIKES_OF_SITE_MAX:
            self.close()
            site = self._stack.enter_context(self._make_site())
            self._besieged = self._stack.enter_context(besieged(self._nursery, site))
        return self._besieged

    def close(self) -> None:
        self._stack.close()


@contextlib.contextmanager
def besieged(nursery: Nursery, site: StruckSite) -> Iterator[Besieged]:
    """A site whose hub or worker is struck again and again."""
    with contextlib.ExitStack() as resources:
        yield Besieged(nursery, site, resources)


@dataclass(slots=True)
class Besieged:
    """Made by `besieged`. What is not the target of a strike goes on as it is."""

    nursery: Nursery
    site: StruckSite
    resources: contextlib.ExitStack
    sent: int = 0
    strikes: int = 0
    owed: list[Message] = field(default_factory=list)
    """Not accepted yet, as far as its sender knows."""
    _running: dict[str, tuple[contextlib.ExitStack, StruckProgram]] = field(default_factory=dict)
    _port: int | None = None

    def strike(self, target: str, strike: Strike, *, is_twice: bool = False) -> Blow:
        """Try it, let all drain, and check."""
        self.strikes += 1
        for other in (HUB, WORKER):
            if other != target:
                self._keep(other)
        if is_twice:
            self._try(target, PRELUDES[self.site.worker_file is not None])
        has_struck = self._try(target, strike)
        try:
            self._recover(target)
        except HubGoneError as error:
            self.strikes = STRIKES_OF_SITE_MAX  # nothing more is to be found out here
            found = Found([("stuck", str(error))])
        else:
            found = self.check()
        return Blow(target, strike, has_struck, found, is_twice=is_twice)

    def _try(self, target: str, strike: Strike) -> bool:
        """Whether it was struck before all it had to do was done."""
        self._note(target, strike)
        with self._started(target, strike) as struck:
            if target == HUB:
                self._port = self._port_of(struck)
            if self._port is not None:
                self._load()
                self._await_end(STRUCK_SECONDS_MAX, struck)
                struck.stop()
            struck.wait()
            return struck.was_struck

    def _recover(self, target: str) -> None:
        """Start anew what was struck, and let all come to its end."""
        if target == WORKER:
            self._keep(WORKER)
            self._load(fresh=0)
            self._await_end(HANG_SECONDS_MAX, self._running[HUB][1])
            return
        with self._started(HUB, None) as hub:
            self._port = self._port_of(hub)
            if self._port is None:
                raise HubGoneError(f"the hub does not start any more: {self._said(HUB)}")
            self._load(fresh=0)
            self._await_end(HANG_SECONDS_MAX, hub)
            if hub.stop():
                raise HubGoneError(f"the hub ended otherwise than in order: {self._said(HUB)}")

    def check(self) -> Found:
        """What the checker says of all so far."""
        lines = read_journals(*self.site.journals)
        promises = Promises(frozenset({RECIPIENT}), is_ordered=True)
        return check(lines, self.site.story(), promises)

    # --- programs ------------------------------------------------------------------------------

    def keep(self, which: str) -> int:
        """See that it runs; where it takes requests, if it is a hub."""
        if which in self._running and not self._running[which][1].is_alive:
            self._running.pop(which)[0].close()
        self._keep(which)
        return self._port or 0

    def signal(self, which: str, number: signal.Signals) -> None:
        """To one that runs."""
        self._running[which][1].signal(number)

    def await_end(self) -> None:
        """Until nothing is open any more, or the hub is gone."""
        self._await_end(HANG_SECONDS_MAX, self._running[HUB][1])

    def _keep(self, which: str) -> None:
        """See that it runs, from the first time on."""
        if which in self._running or (which == WORKER and self.site.worker_file is None):
            return
        stack = self.resources.enter_context(contextlib.ExitStack())
        program = stack.enter_context(self._started(which, None))
        self._running[which] = stack, program
        if which == HUB:
            self._port = self._port_of(program)

    def _started(
        self, which: str, strike: Strike | None
    ) -> contextlib.AbstractContextManager[StruckProgram]:
        if which in self._running:
            self._running.pop(which)[0].close()
        told = self.site.folder / f"{which}.log"
        if which == HUB:
            arguments = [str(self.site.settings.file), str(self.site.agency_journal)]
            return self.nursery.program(
                "tests.chaos.struck_hub", arguments, strike=strike, told=told
            )
        arguments = [str(self.site.worker_file), "", ADAPTER]
        return self.nursery.program(
            "tests.chaos.struck_worker", arguments, strike=strike, told=told
        )

    def _said(self, which: str) -> str:
        """Its last words."""
        words = (self.site.folder / f"{which}.log").read_text("utf-8", "replace")
        return words[-_WORDS_MAX:]

    @staticmethod
    def _port_of(hub: StruckProgram) -> int | None:
        """Where it takes requests; None: it died before."""
        line = hub.line()
        return int(line) if line else None

    # --- what is sent --------------------------------------------------------------------------

    def _load(self, fresh: int = MESSAGES) -> None:
        assert self._port is not None
        messages = [*self.owed, *(self.message() for _ in range(fresh))]
        with FileJournal(self.site.folder / "client") as journal:
            for message in messages:
                case = message.id.partition("-")[0]
                journal.write(Sent(message.id, (RECIPIENT,), case))
            found = load(self._port, iter(messages))
            told = {one.message.id for one in found.told if one.status == 200}
            for one in found.told:
                if one.status == 200:
                    receipt = accepted_receipt(one.body, self.site.receipt_key)
                    hashed = receipt.received_hash.hex()
                    journal.write(TellAccepted(one.message.id, receipt.received_index, hashed))
        self.owed = [one for one in messages if one.id not in told]

    def message(self) -> Message:
        """A new one, signed."""
        self.sent += 1
        case = ("a", "b")[self.sent % 2]
        name = f"{case}-{self.sent}"
        nation = self.site.nation
        raw = request(
            nation,
            name,
            service=SERVICE,
            body=packaged_sample(SERVICE),
            signer=nation.client_signers["ed25519"],
            issue=case,
            created=now(),
        )
        return Message(name, raw)

    def _await_end(self, seconds_max: float, program: StruckProgram) -> None:
        """Until nothing is open, or the program is dead, or that takes too long."""
        end = time.monotonic() + seconds_max
        while program.is_alive and time.monotonic() < end and self.site.open_count():
            time.sleep(0.02)

    def _note(self, target: str, strike: Strike) -> None:
        with FileJournal(self.site.folder / "nemesis") as journal:
            journal.write(Struck(str(strike), target))


def say(target: str, blow: Blow) -> Iterator[str]:
    """What was violated, and how to see it again."""
    twice = " TWICE=yes" if blow.is_twice else ""
    for kind, sentence in blow.found.faults[:10]:
        yield (
            f"{kind}: {sentence}: make chaos-strikes TARGET={target} STRIKE={blow.strike}{twice}"
        )
