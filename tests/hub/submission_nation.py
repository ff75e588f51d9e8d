"""A nation in which things are submitted: to one agency, and to whom a message names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from bus.audit.folder import verify_log
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.log.leaf import Leaf
from bus.delivery.carrying import adapters_named
from bus.doors.soap import HttpDoor
from bus.hub import open_hub
from bus.kit.contract import Adapter, Delivered, Disposition, Submission
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import VerifiedAcceptance, verify_reply
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.sandbox.nation_files import reference_routes
from bus.settings.hub import HubSettings
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import HttpReply, RunningHub, ScriptedAgency, SetClock
from tests.nation import (
    CLIENT,
    DISABLED_SERVICE,
    LOOKUP,
    NOW,
    SmallNation,
    make_small_nation,
    packaged_sample,
    payload,
)

SUBMIT = LOOKUP
"""What is submitted to it goes to its provider."""
NOTICE = DISABLED_SERVICE
"""What is submitted to it goes to whom the message names."""
OFFICES = tuple(
    SubsystemId.parse(f"VN/GOV/{code}/motcua") for code in ("H14", "H17", "H24", "H26", "H29")
)
BOX = SubsystemId.parse("VN/GOV/H18/vanban")
"""It is no office with an adapter: what it gets lies in its mailbox."""
OTHER_BOX = SubsystemId.parse("VN/GOV/H35/vanban")
"""So is this one."""
Told = TypeVar("Told")


class Office(Adapter):
    """Does what a test says with each delivery; remembers what came, by key."""

    def __init__(self) -> None:
        super().__init__({})
        self.came: list[Submission] = []
        self.script: Callable[[Submission], Disposition] = lambda _: Delivered()

    def deliver(self, submission: Submission) -> Disposition:
        self.came.append(submission)
        return self.script(submission)

    @property
    def keys(self) -> set[str]:
        return {one.idempotency_key for one in self.came}


def submission_routes(
    *, attempts_max: int = 3, more: str = "", limit: str = "", notice: str = ""
) -> str:
    """The reference routes with two services to submit to; `more`: a key of the first, `notice`:
    of the second, `limit`: one of the limits."""
    text = reference_routes().read_text()
    retry = f"retry: {{first_seconds: 1, factor: 1, attempts_max: {attempts_max}}}"
    text = _submitted(text, SUBMIT, f"{retry}\n    {more}" if more else retry)
    text = _submitted(
        text,
        NOTICE,
        f"recipients: named\n    {retry}{notice and chr(10)}    {notice}",
        is_for_many=True,
    )
    offices = "".join(
        f"  - subsystem: {one}\n    adapter: office_{one.member.member_code.lower()}\n"
        for one in OFFICES
    )
    subscribers = ", ".join(map(str, (*OFFICES, BOX, OTHER_BOX)))
    subscription = (
        f"  - event: {NOTICE}\n    subscribers: [{subscribers}]\n"
        "    purpose: Thử\n    legal_basis: Không\n"
    )
    text = text.replace("\nlimits:\n", f"\nlimits:\n  {limit}\n", 1)
    text = text.replace("\nrecipients:\n", f"\nrecipients:\n{offices}", 1)
    return text.replace("\nsubscriptions:\n", f"\nsubscriptions:\n{subscription}", 1)


def _submitted(text: str, service: ServiceId, more: str, *, is_for_many: bool = False) -> str:
    before, start, after = text.partition(f"- id: {service}\n")
    after = after.replace("mode: query", f"mode: submission\n    {more}", 1)
    if is_for_many:
        adapter = next(line for line in after.splitlines() if line.startswith("    adapter:"))
        after = after.replace(f"{adapter}\n", "", 1)
    return before + start + after


def make_submission_nation(
    folder: Path,
    *,
    attempts_max: int = 3,
    more: str = "",
    limit: str = "",
    notice: str = "",
    now: datetime = NOW,
) -> SmallNation:
    """Its files, below `folder`."""
    text = submission_routes(attempts_max=attempts_max, more=more, limit=limit, notice=notice)
    return make_small_nation(folder, text=text, now=now)


@dataclass(slots=True)
class SubmissionHub:
    """What outlives runs of one hub: its settings, its clock, the agencies."""

    nation: SmallNation
    settings: HubSettings
    clock: SetClock = field(default_factory=SetClock)
    provider: Office = field(default_factory=Office)
    offices: dict[SubsystemId, Office] = field(
        default_factory=lambda: {one: Office() for one in OFFICES}
    )

    def adapters(self) -> dict[str, Adapter]:
        found: dict[str, Adapter] = dict.fromkeys(
            adapters_named(self.nation.rules.registry), ScriptedAgency()
        )
        found[self.nation.rules.registry.services[SUBMIT].adapter] = self.provider
        for one, office in self.offices.items():
            found[f"office_{one.member.member_code.lower()}"] = office
        return found

    def message(
        self,
        message_id: str = "m-1",
        to: tuple[SubsystemId, ...] = (),
        *,
        issue: str = "H41-2026-1",
    ) -> bytes:
        """A signed submission of CLIENT: to the provider, or to these."""
        service = NOTICE if to else SUBMIT
        return write_request(
            RequestHeader(CLIENT, service, message_id, issue=issue, recipients=to),
            payload(packaged_sample(service)),
            self.nation.signers[CLIENT],
            SigningTime(NOW),
        )

    def run(self, story: Callable[[RunningHub], Coroutine[Any, Any, Told]]) -> Told:
        """Open the hub, let the story happen, close the hub in order."""
        with self.opened() as tell:
            told: Told = tell(story)
            return told

    @contextmanager
    def opened(self) -> Iterator[Callable[[Callable[[RunningHub], Any]], Any]]:
        with asyncio.Runner() as loop:
            hub = loop.run(open_hub(self.settings, adapters=self.adapters(), clock=self.clock))
            running = RunningHub(
                self.nation,
                hub,
                HttpDoor(hub),
                ScriptedAgency(),
                self.clock,
                self.settings.log.folder,
            )
            try:
                yield lambda story: loop.run(story(running))
            finally:
                loop.run(hub.close())

    def require_sound(self) -> None:
        """`log verify` finds nothing, with the read key, and counts every delivery."""
        log = self.settings.log
        key = SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key
        report = verify_log(
            log.folder, checkpoint_key=key, read_key=read_symmetric_key(log.read_key)
        )
        assert list(report.findings) == []


def submission_hub(nation: SmallNation, folder: Path) -> SubmissionHub:
    log = replace(nation.settings.log, folder=folder / "log", guard=folder / "guard")
    return SubmissionHub(nation, replace(nation.settings, log=log))


def accepted(hub: RunningHub, reply: HttpReply, raw: bytes) -> VerifiedAcceptance:
    """The acceptance, proved as its sender does it."""
    proved = verify_reply(reply.body, parse(raw, Limits()), hub.known(), hub.clock.now)
    assert isinstance(proved, VerifiedAcceptance)
    return proved


async def until_told(hub: RunningHub, verdict: str, count: int = 1) -> list[Leaf]:
    """Wait until so many entries say this; give them."""
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while len(found := [leaf for leaf in hub.leaves() if leaf.verdict == verdict]) < count:
            await asyncio.sleep(0.01)
    return found
