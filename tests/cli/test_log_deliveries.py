"""`lienthong log verify` accounts for what was accepted, and finds what is missing."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from bus.cli import log as log_commands
from bus.core.deliveries import NewDelivery
from bus.log.files import PAGES
from bus.log.opening import open_log
from bus.log.sqlite.pages import digest_database
from tests.cli.running import lienthong, output_of
from tests.log.delivery_stories import A, B, C, accepted, new, submissions
from tests.log.log_stories import CONFIGURATION, KEY


def written(folder: Path, *more: NewDelivery) -> Path:
    async def story() -> None:
        log = open_log(folder, key=KEY)
        await log.append_text(CONFIGURATION)
        await asyncio.gather(*(log.append(write) for write in submissions()))
        if more:
            await log.append(accepted("more", *more))
        await log.close()

    asyncio.run(story())
    return folder


def test_the_text_has_a_line_for_all_and_for_each_recipient(tmp_path: Path) -> None:
    result = lienthong("log", "verify", written(tmp_path / "log"))
    assert result.returncode == 0, output_of(result)
    lines = [line.strip() for line in output_of(result).splitlines()]
    place = lines.index("3 submissions to 3 recipients:")
    ends = "{} delivered + {} refused + {} dead-lettered + {} expired + {} pending"
    assert lines[place + 1 : place + 5] == [
        "6 accepted = " + ends.format(1, 1, 1, 1, 2),
        f"{A}: 3 accepted = " + ends.format(1, 0, 0, 0, 2),
        f"{B}: 2 accepted = " + ends.format(0, 1, 0, 1, 0),
        f"{C}: 1 accepted = " + ends.format(0, 0, 1, 0, 0),
    ]


def test_programs_get_the_same_numbers(tmp_path: Path) -> None:
    result = lienthong("log", "verify", written(tmp_path / "log"), "--json")
    deliveries = json.loads(result.stdout)["deliveries"]
    kinds = ("accepted", "delivered", "refused", "dead-lettered", "expired", "pending")
    assert deliveries["submissions"] == 3
    assert [deliveries["all"][kind] for kind in kinds] == [6, 1, 1, 1, 1, 2]
    assert [deliveries["recipients"][B][kind] for kind in kinds] == [2, 0, 1, 0, 1, 0]


def test_a_log_of_queries_says_nothing_of_deliveries(tmp_path: Path) -> None:
    async def story() -> None:
        await open_log(tmp_path / "log", key=KEY).close()

    asyncio.run(story())
    result = lienthong("log", "verify", tmp_path / "log")
    assert "submissions" not in output_of(result)


def test_a_delivery_that_nobody_remembers_is_found(tmp_path: Path) -> None:
    folder = written(tmp_path / "log")
    connection = sqlite3.connect(folder / "log.sqlite", isolation_level=None)
    connection.execute("DELETE FROM deliveries WHERE received_idx = 8")
    connection.close()
    (folder / PAGES).write_bytes(digest_database(folder / "log.sqlite"))
    result = lienthong("log", "verify", folder)
    assert result.returncode == 1
    assert "entry 8: log.sqlite: 1 of its deliveries are open and no row carries them: 0" in (
        output_of(result)
    )


def test_many_recipients_are_told_up_to_a_bound(tmp_path: Path) -> None:
    folder = written(tmp_path / "log", *(new(f"VN/GOV/P{at:03}/s") for at in range(60)))
    text = output_of(lienthong("log", "verify", folder))
    assert text.count(" accepted = ") == 1 + log_commands.RECIPIENTS_SHOWN
    assert f"and {63 - log_commands.RECIPIENTS_SHOWN} more recipients; --json names all" in text


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb"])
def test_the_name_of_a_recipient_does_nothing_to_a_terminal(tmp_path: Path, name: str) -> None:
    text = output_of(lienthong("log", "verify", written(tmp_path / "log", new(name))))
    assert "\x1b" not in text
    assert name not in text
