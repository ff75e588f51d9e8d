"""Statuses are known at once, asked once, kept new in the background, and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bus.core.errors import LogUnavailable
from bus.trust import revocation_watch
from bus.trust.revocation_watch import RevocationMetrics, RevocationWatch
from signing.errors import CertificateRejectedError
from signing.pki.revocation import Evidence, Good, Revoked, Status, Unknown
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import NOW

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
REFRESH = 300
AUTHORITY = b"authority"


@dataclass(slots=True)
class ScriptedInquiry:
    """Gives what a test says; fetching replaces what is at hand by what the world says."""

    hand: dict[bytes, Status] = field(default_factory=dict)
    world: dict[bytes, Status | Exception] = field(default_factory=dict)
    fetched: list[bytes] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    listed: set[bytes] = field(default_factory=set)
    """Whom the authority's list names."""
    meanwhile: Callable[[], Awaitable[None]] | None = None
    """Happens once, while something is looked for at hand."""

    async def at_hand(self, certificate: bytes, now: datetime) -> Status:
        await asyncio.sleep(0)
        found = self.hand.get(certificate, Unknown("nothing at hand"))
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()
        return found

    async def fetch(self, certificate: bytes, now: datetime) -> None:
        self.fetched.append(certificate)
        await self.gate.wait()
        found = self.world.get(certificate)
        if isinstance(found, Exception):
            raise found
        if found is not None:
            self.hand[certificate] = found

    def subjects(self, certificate: bytes) -> frozenset[bytes]:
        return frozenset({certificate, AUTHORITY})

    async def concerned(self, new: Sequence[Evidence]) -> frozenset[bytes]:
        await asyncio.sleep(0)
        named = {piece.about for piece in new} | (self.listed if self._is_list(new) else set())
        return frozenset(named)

    def _is_list(self, new: Sequence[Evidence]) -> bool:
        return any(piece.about == AUTHORITY for piece in new)


@dataclass(slots=True)
class Watching:
    """A watch with all that it asks, and a clock that shows what the test sets."""

    inquiry: ScriptedInquiry
    watch: RevocationWatch
    recorded: list[bytes]
    now: datetime = NOW

    async def status(self, name: bytes) -> Status:
        return self.watch.known(name, self.now) or await self.watch.find(name, name, self.now)


def good(name: bytes, since: datetime = NOW, valid_for: timedelta = HOUR) -> Good:
    text = name + since.isoformat().encode()
    return Good(since, since + valid_for, (Evidence(name, text),))


def revoked(name: bytes, since: datetime = NOW) -> Revoked:
    evidence = Evidence(name, b"revoked " + name + since.isoformat().encode())
    return Revoked(since, "key_compromise", since, since + HOUR, (evidence,))


def watching(
    story: Callable[[Watching], Awaitable[None]], *, is_open: bool = True, fails: bool = False
) -> Watching:
    async def run() -> Watching:
        inquiry = ScriptedInquiry()
        if is_open:
            inquiry.gate.set()

        async def record(evidence: Evidence) -> None:
            await asyncio.sleep(0)
            if fails:
                raise LogUnavailable("the disk is full")
            told.recorded.append(evidence.der)

        watch = RevocationWatch(inquiry, record, lambda: told.now, refresh_seconds=REFRESH)
        told = Watching(inquiry, watch, [])
        try:
            async with asyncio.timeout(HANG_SECONDS_MAX):
                await story(told)
        finally:
            await watch.close()
        return told

    return asyncio.run(run())


def test_what_is_known_is_known_at_once_until_its_window_is_over() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.world[b"a"] = good(b"a")
        assert told.watch.known(b"a", NOW) is None

        assert await told.status(b"a") == good(b"a")

        assert told.watch.known(b"a", NOW + HOUR - MINUTE) == good(b"a")
        assert told.watch.known(b"a", NOW + HOUR) is None
        assert told.inquiry.fetched == [b"a"]
        assert told.recorded == [good(b"a").evidence[0].der]

    watching(story)


def test_nobody_is_asked_while_what_is_at_hand_counts() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.hand = {b"a": good(b"a"), b"b": revoked(b"b")}

        assert isinstance(await told.status(b"a"), Good)
        assert isinstance(await told.status(b"b"), Revoked)

        assert told.inquiry.fetched == []

    watching(story)


def test_when_nobody_can_tell_nobody_is_asked_again_for_some_seconds() -> None:
    async def story(told: Watching) -> None:
        assert isinstance(await told.status(b"a"), Unknown)
        assert isinstance(await told.status(b"a"), Unknown)
        assert told.inquiry.fetched == [b"a"]

        told.now += revocation_watch.RETRY
        assert isinstance(await told.status(b"a"), Unknown)
        assert told.inquiry.fetched == [b"a", b"a"]
        assert told.recorded == []

    watching(story)


def test_who_asks_together_asks_once() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.world[b"a"] = good(b"a")
        askers = [asyncio.create_task(told.status(b"a")) for _ in range(5)]
        while not told.inquiry.fetched:
            await asyncio.sleep(0)
        told.inquiry.gate.set()

        assert await asyncio.gather(*askers) == [good(b"a")] * 5
        assert told.inquiry.fetched == [b"a"]

    watching(story, is_open=False)


def test_an_asker_that_goes_away_does_not_take_the_answer_from_the_others() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.world[b"a"] = good(b"a")
        first, second = (asyncio.create_task(told.status(b"a")) for _ in range(2))
        while not told.inquiry.fetched:
            await asyncio.sleep(0)
        first.cancel()
        told.inquiry.gate.set()

        assert await second == good(b"a")

    watching(story, is_open=False)


def test_evidence_that_cannot_be_recorded_makes_nothing_known() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.hand[b"a"] = good(b"a")
        for _ in range(2):
            with pytest.raises(LogUnavailable):
                await told.status(b"a")
        assert told.watch.known(b"a", NOW) is None

    watching(story, fails=True)


def test_whom_a_new_list_names_is_looked_at_again() -> None:
    async def story(told: Watching) -> None:
        listed = Evidence(AUTHORITY, b"list")
        told.inquiry.hand = {b"a": good(b"a"), b"b": good(b"b")}
        for name in (b"a", b"b"):
            assert await told.status(name) == good(name)

        by_list = Revoked(NOW, "key_compromise", NOW, NOW + HOUR, (listed,))
        told.inquiry.hand = {b"a": by_list, b"c": by_list}
        told.inquiry.listed = {b"a", b"c"}
        assert isinstance(await told.status(b"c"), Revoked)

        assert told.watch.known(b"a", NOW) is None
        assert isinstance(await told.status(b"a"), Revoked)
        assert told.watch.known(b"b", NOW) == good(b"b")
        assert told.recorded[-1] == b"list"

    watching(story)


def test_whom_nobody_vouched_for_is_looked_at_again_when_there_is_a_new_list() -> None:
    async def story(told: Watching) -> None:
        assert isinstance(await told.status(b"a"), Unknown)
        told.inquiry.hand[b"b"] = Good(NOW, NOW + HOUR, (Evidence(AUTHORITY, b"list"),))
        await told.status(b"b")

        assert told.watch.known(b"a", NOW) is None

    watching(story)


def test_what_is_recorded_meanwhile_counts_for_who_is_being_asked_about() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.hand = {b"a": good(b"a"), b"b": good(b"b")}

        async def another_is_recorded() -> None:
            await told.status(b"b")
            told.inquiry.hand[b"a"] = revoked(b"a")

        told.inquiry.meanwhile = another_is_recorded

        assert isinstance(await told.status(b"a"), Revoked)

    watching(story)


# --- in the background ---------------------------------------------------------------------------


def test_only_who_was_seen_lately_is_asked_about_again() -> None:
    async def story(told: Watching) -> None:
        told.inquiry.hand = {name: good(name, valid_for=24 * HOUR) for name in (b"a", b"b")}
        await told.status(b"a")
        await told.status(b"b")
        assert told.watch.due() == []

        told.now += timedelta(seconds=REFRESH)
        assert told.watch.due() == [b"a", b"b"]
        assert told.watch.due() == []  # each is due again later

        told.now += HOUR
        told.watch.known(b"b", told.now)
        assert told.watch.due() == [b"b"]

    watching(story)


@pytest.mark.parametrize(
    ("found", "recorded"),
    [
        (good(b"a", NOW + 5 * MINUTE), 1),  # it says the same, and is not needed yet
        (good(b"a", NOW + 55 * MINUTE), 2),  # the old window is nearly over
        (revoked(b"a", NOW + MINUTE), 2),
        (Unknown("garbage"), 1),
    ],
)
def test_what_is_found_in_the_background_counts_when_it_says_something_new(
    found: Status, recorded: int
) -> None:
    async def story(told: Watching) -> None:
        told.inquiry.world[b"a"] = good(b"a")
        await told.status(b"a")
        told.inquiry.world[b"a"] = found
        if not isinstance(found, Unknown):
            told.now = found.this_update

        await told.watch.refresh(b"a")

        is_new = recorded == 2
        assert told.watch.known(b"a", told.now) == (found if is_new else good(b"a"))
        assert len(told.recorded) == recorded

    watching(story)


def test_whoever_was_unknown_is_known_when_the_background_finds_out() -> None:
    async def story(told: Watching) -> None:
        assert isinstance(await told.status(b"a"), Unknown)
        told.inquiry.world[b"a"] = good(b"a")

        await told.watch.refresh(b"a")

        assert told.watch.known(b"a", NOW) == good(b"a")

    watching(story)


def test_the_background_goes_on_whatever_happens_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation_watch, "TURN_SECONDS", 0.001)

    async def story(told: Watching) -> None:
        for name in (b"a", b"b", b"c"):
            told.inquiry.world[name] = good(name, valid_for=24 * HOUR)
            await told.status(name)
        told.inquiry.world[b"a"] = CertificateRejectedError("expired")
        told.inquiry.world[b"b"] = LogUnavailable("the disk is full")
        told.inquiry.world[b"c"] = revoked(b"c", NOW + timedelta(seconds=REFRESH))
        told.now += timedelta(seconds=REFRESH)

        told.watch.start()

        while not isinstance(told.watch.known(b"c", told.now), Revoked):
            await asyncio.sleep(0.001)
        while told.watch.known(b"a", told.now) is not None:
            await asyncio.sleep(0.001)
        assert isinstance(told.watch.known(b"b", told.now), Good)

    watching(story)


def test_operators_are_told_how_many_of_each_kind_there_are() -> None:
    async def story(watching: Watching) -> None:
        world = watching.inquiry.world
        world.update({b"a": good(b"a"), b"b": revoked(b"b"), b"c": good(b"c", valid_for=HOUR / 2)})
        for name in (b"a", b"b", b"c", b"d"):
            await watching.status(name)
        watching.now += HOUR * 3 / 4

        counted = RevocationMetrics(certificates=4, revoked=1, unknown=1, overdue=1)
        assert watching.watch.metrics() == counted

    watching(story)


@pytest.mark.parametrize(("kept_max", "recorded_anew"), [(1, [b"b", b"a"]), (2, [b"a"]), (3, [])])
def test_what_is_remembered_is_bounded(
    kept_max: int, recorded_anew: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_watch, "CERTIFICATES_WATCHED_MAX", 2)
    monkeypatch.setattr(revocation_watch, "RECORDED_KEPT_MAX", kept_max)

    async def story(told: Watching) -> None:
        for name in (b"a", b"b", b"c"):
            told.inquiry.hand[name] = good(name)
            await told.status(name)

        assert told.watch.known(b"a", NOW) is None
        assert told.watch.known(b"c", NOW) is not None
        # What was let go of the pieces that stand in the log is put there again.
        told.recorded.clear()
        for name in (b"c", b"b", b"a"):
            await told.watch.find(name, name, NOW)
        assert told.recorded == [good(name).evidence[0].der for name in recorded_anew]

    watching(story)
