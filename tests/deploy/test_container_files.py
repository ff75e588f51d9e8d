"""Image and compose file name files, commands and settings that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bus.cli import main
from bus.sandbox.nation_files import prepare_nation
from bus.settings.hub import read_hub_settings
from tests.deploy.deployed_files import DEPLOY, ROOT, require_known_command
from tests.log.postgres_database import settings_of
from tests.nation import NOW

CONTAINERFILE = DEPLOY / "Containerfile"
STORE = DEPLOY / "postgres-store.yaml"
PAGE = ROOT / "docs/operators.md"


def instructions() -> list[tuple[str, str]]:
    """What the image is made by, one after the other."""
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    return found


def test_the_image_takes_in_all_that_the_package_is_built_from() -> None:
    copied = {
        source
        for name, words in instructions()
        if name == "COPY" and "--from" not in words
        for source in words.split()[:-1]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        "constraints.txt",
        project["project"]["readme"],
        *project["project"]["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
    }

    assert copied == needed
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_has_a_python_that_the_program_runs_on_and_is_nobodys_root() -> None:
    versions = [
        re.search(r"python:(\d+)\.(\d+)", words) for name, words in instructions() if name == "FROM"
    ]

    assert versions
    assert all(found and (int(found[1]), int(found[2])) >= (3, 11) for found in versions)
    assert [words for name, words in instructions() if name == "USER"] == ["10001"]


def test_the_image_starts_commands_that_there_are() -> None:
    told = dict(instructions())
    assert json.loads(told["ENTRYPOINT"]) == ["lienthong"]
    assert json.loads(told["CMD"]) == ["--help"]
    for line in re.findall(r"^#\s+podman run .*? lienthong (.*)$", CONTAINERFILE.read_text(), re.M):
        require_known_command(line.split())


def test_services_of_ours_run_commands_that_there_are_in_one_image() -> None:
    ours = {name: one for name, one in compose()["services"].items() if one["image"] == "lienthong"}

    assert set(ours) == {"tables", "nation"}
    for one in ours.values():
        require_known_command(one["command"])
    build = ours["tables"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == CONTAINERFILE


def test_what_a_service_waits_for_or_is_lent_is_there() -> None:
    found = compose()

    for one in found["services"].values():
        assert set(one.get("depends_on", {})) <= found["services"].keys()
        assert set(one.get("secrets", ())) <= found["secrets"].keys()
        for volume in one.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in found["volumes"] or source == "../nation"


def test_the_database_is_asked_where_it_listens_and_nowhere_else() -> None:
    database = compose()["services"]["postgres"]
    store = yaml.safe_load(STORE.read_text())["store"]["postgres"]
    secret = compose()["secrets"]["database_password"]["file"]

    assert f"listen_addresses={store['hosts'][0]}" in database["command"]
    assert f"port={store['port']}" in database["command"]
    assert f"--port={store['port']}" in database["healthcheck"]["test"]
    assert database["environment"]["POSTGRES_DB"] == store["database"]
    assert database["environment"]["POSTGRES_USER"] == store["user"]
    assert secret == f"../nation/{store['password_file']}"


def test_the_page_of_operators_says_how_the_settings_are_made() -> None:
    text = PAGE.read_text("utf-8")

    for name in (
        "deploy/postgres-store.yaml",
        "nation/keys/database.secret",
        "deploy/compose.yaml",
    ):
        assert name in text


def test_a_sandbox_with_these_lines_behind_its_settings_lies_in_a_database(
    tmp_path: Path, postgres_dsn: str
) -> None:
    server = settings_of(postgres_dsn)
    settings = prepare_nation(tmp_path / "nation", now=NOW, hub_port=8080).hub_settings
    secret = settings.parent / "keys/database.secret"
    secret.touch(mode=0o600)
    secret.write_text("not asked for\n")
    settings.write_text(settings.read_text() + STORE.read_text())

    read = read_hub_settings(settings)
    assert read.database is not None
    assert (read.database.port, read.database.database) == (54320, "lienthong")

    told = settings.read_text().replace("port: 54320", f"port: {server.port}")
    told = told.replace("database: lienthong", f"database: {server.database}")
    settings.write_text(told.replace("user: lienthong", f"user: {server.user}"))
    runner = CliRunner()
    command = ["db", "upgrade", "--database", str(settings)]
    assert runner.invoke(main, command).exit_code == 0
    checked = runner.invoke(main, ["check", "--settings", str(settings)])
    assert checked.exit_code == 0, checked.output


def test_compose_reads_its_file() -> None:
    docker = shutil.which("docker-compose") or shutil.which("podman-compose")
    if docker is None:
        pytest.skip("no compose is installed")
    checked = subprocess.run(
        [docker, "-f", str(DEPLOY / "compose.yaml"), "config"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()
