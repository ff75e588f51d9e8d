"""A hub goes on with the log of one that is gone, and gives it back to whoever comes again."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bus import adoption
from bus.audit.folder import verify_log
from bus.audit.postgres.source import LogDatabase, open_database
from bus.audit.reader import open_reader
from bus.core.errors import LogUnavailable
from bus.core.log.leaf import Event, Leaf, build_leaf, read_leaf
from bus.core.log.pseudonyms import Pseudonyms
from bus.core.ports.entry_store import Fenced
from bus.core.ports.message_log import Claim, LogWrite
from bus.delivery.operating import OperatorSays
from bus.log.opening import hub_name
from bus.log.postgres.connection import connect
from bus.log.postgres.store import PostgresEntryStore
from bus.log.postgres.watch import OriginWatch
from bus.protocols.mime.write import write_related
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer
from bus.settings.postgres import PostgresSettings
from bus.trust.key_store import read_symmetric_key
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import HttpReply, RunningHub, answer_well
from tests.hub.sending_attachments import (
    content,
    nation_with_attachments,
    pdf,
    post,
    signed,
    taken_apart,
)
from tests.hub.test_two_hubs import A, B, nation_of, running
from tests.log.delivery_stories import accepted, new
from tests.log.log_stories import heartbeat, received
from tests.nation import CLIENT, LOOKUP, NOW, SmallNation, request


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "LOOK_SECONDS", 0.05)


def execute(database: PostgresSettings, statement: str) -> list[tuple[object, ...]]:
    with connect(database, "test") as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def let_lease_end(database: PostgresSettings, interval: str = "-1 second") -> None:
    execute(
        database,
        f"UPDATE origins SET lease = now() + interval '{interval}' WHERE name = '{A}'",
    )


def owner_of(database: PostgresSettings, origin: str) -> tuple[object, ...]:
    (row,) = execute(
        database, f"SELECT hub, owner IS NOT NULL FROM origins WHERE name = '{origin}'"
    )
    return row


async def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG_SECONDS_MAX
    while not await asyncio.to_thread(is_so):
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


def leaves_of(folder: Path, database: PostgresSettings, origin: str) -> list[Leaf]:
    place = LogDatabase(database, origin)
    with open_database(folder, place) as source, open_reader(source) as reader:
        return [read_leaf(entry.leaf) for entry in reader.entries()]


def desert(database: PostgresSettings, *writes: LogWrite) -> PostgresEntryStore:
    """What a hub A leaves that is paused or killed in the middle of its work."""
    store = PostgresEntryStore(database, A, "hub-a")
    store.commit(writes)
    return store


def taken_query(nation: SmallNation, raw: bytes, message_id: str) -> LogWrite:
    """A query that was received under the names that the nation's hubs give."""
    names = Pseudonyms(read_symmetric_key(nation.settings.log.pseudonym_key))
    write = received(message_id, raw)
    assert write.claim is not None
    key = names.claim_key(str(CLIENT), message_id)
    return replace(write, claim=Claim(key, write.claim.digest))


def test_what_a_hub_left_behind_is_settled_and_goes_on_at_another(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    raw = request(nation, "m-1")
    zombie = desert(log_database, taken_query(nation, raw, "m-1"), accepted("s-1", new()))
    let_lease_end(log_database, "1 hour")  # however long the other hub takes to start

    async def story(b: RunningHub) -> None:
        # As long as the lease lasts, nobody touches it.
        await asyncio.sleep(0.3)
        assert owner_of(log_database, A) == ("hub-a", True)
        let_lease_end(log_database)
        await until(lambda: owner_of(log_database, A)[0] != "hub-a")
        await until(lambda: (tmp_path / "a" / "log" / "checkpoint").exists())
        await until(lambda: (0, Event.OUTCOME) in continued())
        await until(lambda: (1, Event.ATTEMPT) in continued())
        await until(lambda: bool(b.hub.status().adoption.adopted))
        status = b.hub.status()
        (adopted,) = status.adoption.adopted
        assert (adopted.origin, adopted.pending, adopted.trouble) == (A, 1, "")
        assert (status.adoption.adoptions, status.adoption.given_back) == (1, 0)
        assert f"the hub of the log {A} is gone" in "\n".join(status.attention())
        assert Event.STARTED in [leaf.event for leaf in leaves_of_a()]
        # The query may come again, here; it is answered by this hub, in its own log.
        assert isinstance(b.proved(await b.post(raw), raw), VerifiedAnswer)
        # Whoever was only paused writes nothing any more.
        with pytest.raises(Fenced):
            zombie.commit([heartbeat()])
        zombie.close()

    def leaves_of_a() -> list[Leaf]:
        return leaves_of(tmp_path / "a" / "log", log_database, A)

    def continued() -> list[tuple[int | None, Event]]:
        return [(leaf.continues, leaf.event) for leaf in leaves_of_a()]

    async def told() -> None:
        own = nation_of(nation, tmp_path, B, others=(A,))
        async with running(own, log_database) as b:
            await asyncio.wait_for(story(b), HANG_SECONDS_MAX)

    asyncio.run(told())
    # Given back with the hub's end, signed to the last entry.
    assert owner_of(log_database, A)[1] is False
    leaves = leaves_of_a()
    assert leaves[-1].event is Event.STOPPED
    report = verify_log(tmp_path / "a" / "log", database=LogDatabase(log_database, A))
    assert report.signed_size == report.entries == len(leaves)


def test_no_entry_is_older_than_the_last_of_whoever_wrote_the_log_before(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    ahead = NOW + timedelta(seconds=90)
    desert(log_database, LogWrite(build_leaf(Event.HEARTBEAT, ahead)))
    let_lease_end(log_database)

    def leaves_of_a() -> list[Leaf]:
        return leaves_of(tmp_path / "a" / "log", log_database, A)

    async def told() -> None:
        own = nation_of(nation, tmp_path, B, others=(A,))
        async with running(own, log_database) as b:
            await until(lambda: owner_of(log_database, A)[0] != "hub-a")
            await until((tmp_path / "a" / "log" / "checkpoint").exists)
            await until(lambda: Event.CONFIGURATION in [leaf.event for leaf in leaves_of_a()])
            b.clock.now = NOW + timedelta(seconds=5)

    asyncio.run(told())
    times = [leaf.time for leaf in leaves_of_a()]
    # By the clock of its hub, which goes on as ours does.
    assert times[0] == times[1] == ahead
    assert times[-1] == ahead + timedelta(seconds=5)


def test_a_hub_that_comes_back_gets_its_log_again(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    own_a = nation_of(nation, tmp_path, A, others=(B,))
    own_b = nation_of(nation, tmp_path, B, others=(A,))
    folder = own_a.settings.log.folder

    async def run_a(name: str) -> None:
        raw = request(nation, name)
        async with running(own_a, log_database) as a:
            assert isinstance(a.proved(await a.post(raw), raw), VerifiedAnswer)
            assert owner_of(log_database, A) == (hub_name(folder), True)

    def starts_and_stops() -> list[Event]:
        events = (leaf.event for leaf in leaves_of(folder, log_database, A))
        return [event for event in events if event in (Event.STARTED, Event.STOPPED)]

    async def story() -> None:
        await asyncio.to_thread(asyncio.run, run_a("m-1"))
        await asyncio.sleep(0.3)
        # A hub that was stopped is not gone.
        assert owner_of(log_database, A)[1] is False
        execute(log_database, f"UPDATE origins SET owner = gen_random_uuid() WHERE name = '{A}'")
        let_lease_end(log_database)
        await until(lambda: owner_of(log_database, A)[0] != hub_name(folder))
        await asyncio.to_thread(asyncio.run, run_a("m-2"))

    async def told() -> None:
        async with running(own_b, log_database) as b:
            await asyncio.wait_for(story(), HANG_SECONDS_MAX)
            status = b.hub.status().adoption
            assert (status.adopted, status.adoptions, status.given_back) == ((), 1, 1)

    asyncio.run(told())
    # Its own, adopted, given back, its own: never two at once.
    assert starts_and_stops() == [Event.STARTED, Event.STOPPED] * 3
    report = verify_log(folder, database=LogDatabase(log_database, A))
    assert [str(one) for one in report.findings] == []


def parts_of(reply: HttpReply) -> list[bytes]:
    whole = taken_apart(reply)
    assert whole is not None
    return [whole.soap, *map(content, whole.attachments)]


def test_whoever_adopts_a_log_needs_nothing_of_the_folder_of_its_hub(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    (tmp_path / "routes").mkdir()
    taking = nation_with_attachments(nation, tmp_path / "routes")
    own_a = nation_of(taking, tmp_path, A, others=(B,))
    own_b = nation_of(taking, tmp_path, B, others=(A,))
    # What B knows of A: its key alone.
    (other,) = own_b.settings.log.others
    apart = replace(other, folder=tmp_path / "b" / "log-of-a", guard=tmp_path / "b" / "guard-of-a")
    log = replace(own_b.settings.log, others=(apart,))
    own_b = replace(own_b, settings=replace(own_b.settings, log=log))
    sent = [pdf(bytes(1_500_000))]
    raw = signed(taking, sent)

    async def first() -> HttpReply:
        async with running(own_a, log_database) as a:
            who = OperatorSays("someone", "maintenance")
            await a.hub.operating.pause(str(LOOKUP.provider.member), who)
            a.agency.script = lambda query: replace(
                answer_well(query), attachments=query.attachments
            )
            return await post(a, write_related(raw, sent))

    answered = asyncio.run(first())
    shutil.rmtree(tmp_path / "a")
    execute(log_database, f"UPDATE origins SET owner = gen_random_uuid() WHERE name = '{A}'")
    let_lease_end(log_database)

    async def then() -> None:
        async with running(own_b, log_database) as b:
            await until(lambda: owner_of(log_database, A)[0] == hub_name(log.folder))
            again = await post(b, write_related(raw, sent))
            assert parts_of(again) == parts_of(answered)
            assert parts_of(again)[1:] == [content(sent[0])]
            assert not b.agency.asked

    asyncio.run(then())
    paused = (apart.folder / "paused.json").read_text()
    assert paused == f'["{LOOKUP.provider.member}"]\n'
    report = verify_log(apart.folder, database=LogDatabase(log_database, A))
    assert [str(one) for one in report.findings] == []
    assert report.attachments == 2


def test_a_log_stays_adopted_when_its_adopter_is_stopped(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    desert(log_database, heartbeat())
    let_lease_end(log_database)
    own_b = nation_of(nation, tmp_path, B, others=(A,))

    async def told() -> None:
        for _ in range(2):
            async with running(own_b, log_database):
                await until(lambda: owner_of(log_database, A) == (b, True))

    b = hub_name(own_b.settings.log.folder)
    asyncio.run(told())
    events = [leaf.event for leaf in leaves_of(tmp_path / "a" / "log", log_database, A)]
    assert events.count(Event.STARTED) == events.count(Event.STOPPED) == 2


def test_of_several_hubs_one_adopts(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    c = "log.example/c"
    desert(log_database, heartbeat())
    let_lease_end(log_database)

    async def told() -> None:
        own_b = nation_of(nation, tmp_path, B, others=(A,))
        own_c = nation_of(nation, tmp_path, c, others=(A,))
        async with running(own_b, log_database), running(own_c, log_database):
            await until(lambda: owner_of(log_database, A)[0] != "hub-a")
            await asyncio.sleep(0.5)
            events = [leaf.event for leaf in leaves_of(tmp_path / "a" / "log", log_database, A)]
            assert events.count(Event.STARTED) == 1

    asyncio.run(told())


def test_no_hub_is_taken_for_dead_because_the_server_was_away(
    nation: SmallNation,
    log_database: PostgresSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []
    wanted_back = OriginWatch.wanted_back

    def away_once(watch: OriginWatch, hub: str) -> list[str]:
        looks.append(hub)
        if len(looks) == 1:
            raise LogUnavailable("the server is away")
        return wanted_back(watch, hub)

    monkeypatch.setattr(OriginWatch, "wanted_back", away_once)
    monkeypatch.setattr(adoption, "LEASE_SECONDS", 3600)
    desert(log_database, heartbeat())
    let_lease_end(log_database)

    async def told() -> None:
        own = nation_of(nation, tmp_path, B, others=(A,))
        async with running(own, log_database):
            await until(lambda: len(looks) > 5)
            assert owner_of(log_database, A) == ("hub-a", True)

    asyncio.run(told())


def test_a_server_that_came_up_just_now_leaves_nobody_behind(
    log_database: PostgresSettings,
) -> None:
    desert(log_database, heartbeat())
    let_lease_end(log_database)
    watch = OriginWatch(log_database)
    try:
        assert watch.left_behind([A], server_seconds_min=1e6) == []
        assert watch.left_behind([A], server_seconds_min=0) == [A]
    finally:
        watch.close()
