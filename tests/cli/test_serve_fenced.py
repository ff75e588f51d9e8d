"""A hub whose log another one has taken over ends, so that it can be started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from bus.log.postgres.connection import connect
from bus.sandbox.leased_ports import free_port
from bus.settings.postgres import PostgresSettings
from tests.cli.test_db_commands import hub_yaml
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import SmallNation


def test_a_hub_that_lost_its_log_ends_with_a_code_that_starts_it_again(
    nation: SmallNation, log_database: PostgresSettings, tmp_path: Path
) -> None:
    settings = hub_yaml(nation, tmp_path, log_database)
    document = yaml.safe_load(settings.read_text())
    document["listen"]["port"] = free_port()
    document.pop("operations", None)
    settings.write_text(yaml.safe_dump(document, allow_unicode=True))
    hub = subprocess.Popen(
        [sys.executable, "-m", "bus.cli", "serve", "--settings", settings, "--log-level", "info"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert hub.stderr is not None
    said = []
    try:
        for line in hub.stderr:
            said.append(line)
            if "hub.serving" in line:
                break
        with connect(log_database, "test") as connection:
            connection.execute(
                "UPDATE origins SET owner = gen_random_uuid(), epoch = epoch + 1, hub = 'other', "
                "lease = now() + interval '1 hour'"
            )
        _wait_until(lambda: hub.poll() is not None)
        said.append(hub.stderr.read())
    finally:
        hub.kill()
        hub.stderr.close()
        hub.wait()
    assert hub.returncode == 1, said
    assert "hub.fenced" in said[-1]
    assert "Another hub took over the message log" in said[-1]
    with connect(log_database, "test") as connection:
        assert connection.execute("SELECT hub FROM origins").fetchone() == ("other",)


def _wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + HANG_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)
