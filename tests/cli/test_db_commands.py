"""`lienthong db` tells an operator what it did to a log, and why it did nothing."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import yaml

from bus.log.postgres.store import PostgresEntryStore
from bus.settings.postgres import PostgresSettings
from tests.cli.running import lienthong, output_of
from tests.hub.running_hub import RunningHub, in_hub, kept_in
from tests.log.postgres_database import settings_of
from tests.log.recorded_logs import format_1_log
from tests.nation import SmallNation, request


def test_an_old_log_is_upgraded_once(tmp_path: Path) -> None:
    folder = format_1_log(tmp_path)
    first = lienthong("db", "upgrade", folder)
    assert first.returncode == 0, output_of(first)
    assert "8 entries, now of format 2; before of 1." in output_of(first)
    again = lienthong("db", "upgrade", tmp_path)  # the folder around it, as of a sandbox
    assert again.returncode == 0, output_of(again)
    assert "nothing was done" in output_of(again)
    verified = lienthong("log", "verify", folder)
    assert verified.returncode == 0, output_of(verified)


def test_what_is_damaged_or_no_log_is_told_with_the_code_of_the_log(tmp_path: Path) -> None:
    folder = format_1_log(tmp_path)
    with (folder / "log.sqlite").open("r+b") as stream:
        stream.seek(9 * 4096 + 2000)
        stream.write(b"\x01\x02")
    for path, words in (
        (folder, "page 10 is damaged"),
        (tmp_path / "x", "no message log lies here"),
    ):
        result = lienthong("db", "upgrade", path)
        assert result.returncode == 3
        assert words in output_of(result)
        assert len(output_of(result).splitlines()) == 1


def test_the_tables_of_a_database_are_made_once(
    nation: SmallNation, postgres_dsn: str, tmp_path: Path
) -> None:
    settings = hub_yaml(nation, tmp_path, settings_of(postgres_dsn))
    not_there = lienthong("check", "--settings", settings)
    assert not_there.returncode == 1
    assert "no tables of a log" in output_of(not_there)
    first = lienthong("db", "upgrade", "--database", settings)
    assert (first.returncode, "made now" in output_of(first)) == (0, True), output_of(first)
    again = lienthong("db", "upgrade", "--database", settings)
    assert (again.returncode, "nothing was done" in output_of(again)) == (0, True)


def test_a_log_in_a_database_is_verified_and_shown(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    settings = hub_yaml(nation, tmp_path, log_database)

    async def story(running: RunningHub) -> None:
        await running.post(request(nation, "m-1"))

    with kept_in(log_database):
        in_hub(nation, tmp_path, story)
    verified = lienthong("log", "verify", "--database", settings)
    assert verified.returncode == 0, output_of(verified)
    assert "every row of the database, as one snapshot" in output_of(verified)
    assert "decisions made again: 1" in output_of(verified)
    shown = lienthong("log", "show", "--database", settings, "--message", "m-1")
    assert shown.returncode == 0, output_of(shown)
    assert "received" in output_of(shown)


def test_a_log_is_moved_once_and_only_if_it_is_sound(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    settings = hub_yaml(nation, tmp_path, log_database)

    async def story(running: RunningHub) -> None:
        await running.post(request(nation, "m-1"))

    in_hub(nation, tmp_path, story)
    database = tmp_path / "log" / "log.sqlite"
    sound = database.read_bytes()
    database.write_bytes(sound[:-100] + bytes(100))
    damaged = lienthong("db", "move", "--database", settings)
    assert damaged.returncode == 1, output_of(damaged)
    assert "bytes were changed" in output_of(damaged) or "page" in output_of(damaged)
    database.write_bytes(sound)

    moved = lienthong("db", "move", "--database", settings)
    assert moved.returncode == 0, output_of(moved)
    assert "5 entries of" in output_of(moved)
    again = lienthong("db", "move", "--database", settings)
    assert again.returncode == 2
    assert "moved already" in output_of(again)
    with kept_in(log_database):
        in_hub(nation, tmp_path, story)
    verified = lienthong("log", "verify", "--database", settings)
    assert verified.returncode == 0, output_of(verified)
    assert "received 1," in output_of(verified)


def test_what_names_no_log_is_told(nation: SmallNation, tmp_path: Path) -> None:
    for command in (("log", "verify"), ("log", "show"), ("db", "upgrade")):
        nothing = lienthong(*command)
        assert nothing.returncode == 2
        assert "Expected the log's folder PATH, or --database" in output_of(nothing)
        in_sqlite = lienthong(*command, "--database", nation.settings.file)
        assert in_sqlite.returncode == 2
        assert "this hub keeps its log in SQLite" in output_of(in_sqlite)


def hub_yaml(nation: SmallNation, folder: Path, database: PostgresSettings) -> Path:
    """The settings of the hub that tests open over `folder`, with a database."""
    log = nation.settings.log
    text = nation.settings.file.read_text()
    document = yaml.safe_load(text)
    document["log"] |= {"folder": str(folder / "log"), "guard": str(folder / "guard")}
    document["store"] = {
        "postgres": {
            "hosts": list(database.hosts),
            "port": database.port,
            "database": database.database,
            "user": database.user,
        }
    }
    assert document["log"]["origin"] == log.origin
    written = nation.settings.file.with_name(f"{database.database}.yaml")
    written.write_text(yaml.safe_dump(document, allow_unicode=True))
    return written


def test_who_writes_each_log_of_a_database_is_told(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    settings = hub_yaml(nation, tmp_path, log_database)

    def told() -> tuple[int, str]:
        result = lienthong("db", "hubs", "--database", settings)
        return result.returncode, output_of(result)

    with closing(PostgresEntryStore(log_database, "log.example/a", "hub-a")):
        assert told() == (0, "log.example/a: 0 entries, written by its own hub, lease of 10 s\n")
        with closing(PostgresEntryStore(log_database, "log.example/b", "hub-b")):
            pass
        code, output = told()
        assert code == 1
        assert "log.example/b: 0 entries; its hub was stopped" in output
        with closing(PostgresEntryStore(log_database, "log.example/b", "hub-a", adopts=True)):
            code, output = told()
            assert code == 1
            assert (
                "log.example/b: 0 entries, written by the hub of log.example/a, adopted" in output
            )
            shown = lienthong("db", "hubs", "--database", settings, "--json")
            assert [one["is_adopted"] for one in json.loads(shown.stdout)] == [False, True]
