"""A log with its entries in PostgreSQL opens beside its folder, or says why it does not."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable
from bus.core.ports.message_log import Appended, LogWrite
from bus.log.files import CHECKPOINT, DATABASE
from bus.log.opening import open_log
from bus.log.postgres.connection import connect
from bus.log.postgres.lease import LeaseKeeper, open_when_free
from bus.log.postgres.origins import OriginHeld
from bus.log.postgres.store import PostgresEntryStore
from bus.sandbox.leased_ports import free_port
from bus.settings.postgres import PostgresSettings
from tests.hang_limits import HANG_SECONDS_MAX
from tests.log.log_stories import KEY, heartbeat, received
from tests.log.postgres_database import settings_of


def written(folder: Path, database: PostgresSettings, *writes: LogWrite) -> list[object]:
    """What a hub is told that opens the log, writes, and closes it."""

    async def story() -> list[object]:
        log = open_log(folder, key=KEY, guard=folder.parent / "guard", database=database)
        told = await asyncio.gather(*(log.append(write) for write in writes))
        await log.close()
        return list(told)

    return asyncio.run(story())


def execute(database: PostgresSettings, statement: str) -> None:
    with connect(database, "test") as connection:
        connection.execute(statement.encode())


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_log_goes_on_where_it_ended(log_database: PostgresSettings, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    assert written(folder, log_database, received("m")) == [Appended(0)]
    assert written(folder, log_database, heartbeat()) == [Appended(1)]
    assert not (folder / DATABASE).exists()
    assert b"\n2\n" in (folder / CHECKPOINT).read_bytes()


def test_a_database_that_was_put_back_is_refused(
    log_database: PostgresSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    written(folder, log_database, received("m"), heartbeat())
    execute(log_database, "DELETE FROM entries WHERE idx = 1")
    execute(log_database, "UPDATE origins SET size = 1")
    with pytest.raises(LogCorrupt, match="2 entries were signed, the log has 1"):
        written(folder, log_database)


def test_a_row_that_was_changed_is_found_when_the_tree_is_made_anew(
    log_database: PostgresSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    written(folder, log_database, received("m"), heartbeat())
    execute(log_database, "UPDATE entries SET leaf = '{}' WHERE idx = 1")
    shutil.rmtree(folder / "tile")
    with pytest.raises(LogCorrupt):
        written(folder, log_database)


def test_a_folder_with_a_log_of_its_own_is_not_passed_over(
    log_database: PostgresSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "log"

    async def in_sqlite() -> None:
        log = open_log(folder, key=KEY)
        await log.append(heartbeat())
        await log.close()

    asyncio.run(in_sqlite())
    with pytest.raises(ConfigurationError, match="lienthong db move"):
        written(folder, log_database)


def test_an_empty_database_is_told_what_it_needs(postgres_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lienthong db upgrade"):
        written(tmp_path / "log", settings_of(postgres_dsn))


def test_a_server_that_is_away_is_trouble_of_the_log(
    log_database: PostgresSettings, tmp_path: Path
) -> None:
    with pytest.raises(LogUnavailable, match="refused"):
        written(tmp_path / "log", replace(log_database, port=free_port()))


def test_a_hub_that_was_killed_waits_for_no_lease_of_its_own(
    log_database: PostgresSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    written(folder, log_database, heartbeat())
    # As it was left: owned, with seconds to go.
    statement = "UPDATE origins SET owner = gen_random_uuid(), lease = now() + interval '1 hour'"
    execute(log_database, statement)
    assert written(folder, log_database, heartbeat(1)) == [Appended(1)]

    # Another hub, of another folder, is not let in.
    execute(log_database, statement)
    with pytest.raises(OriginHeld):
        open_when_free(log_database, KEY.name, "another", seconds_max=0)


def test_a_log_is_opened_as_soon_as_its_hub_has_left(log_database: PostgresSettings) -> None:
    store = PostgresEntryStore(log_database, KEY.name, "one")
    store.commit([heartbeat()])
    execute(log_database, "UPDATE origins SET lease = now() + interval '1 second'")
    heir = open_when_free(log_database, KEY.name, "another", seconds_max=HANG_SECONDS_MAX)
    assert heir.size == 1
    heir.close()
    store.close()


def test_a_lease_is_renewed_by_whoever_has_nothing_to_write(
    log_database: PostgresSettings,
) -> None:
    store = PostgresEntryStore(log_database, KEY.name, "one")
    keeper = LeaseKeeper(log_database, store, seconds=0.02)
    execute(log_database, "UPDATE origins SET lease = now() - interval '1 second'")

    def is_renewed() -> bool:
        with connect(log_database, "test") as connection:
            return connection.execute("SELECT lease > now() FROM origins").fetchone() == (True,)

    wait_until(is_renewed)
    # Its connection may break.
    execute(
        log_database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'lienthong lease' AND datname = current_database()",
    )
    execute(log_database, "UPDATE origins SET lease = now() - interval '1 second'")
    wait_until(is_renewed)
    assert not store.is_fenced

    execute(log_database, "UPDATE origins SET owner = gen_random_uuid(), epoch = epoch + 1")
    wait_until(lambda: store.is_fenced)
    assert store.trouble
    keeper.close()
    store.close()
