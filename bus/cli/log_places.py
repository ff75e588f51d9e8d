"""Find the log that a command is about: in a folder, or with its entries in a database."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from bus.audit.postgres.source import LogDatabase
from bus.core.errors import ConfigurationError, Problem
from bus.log.files import DATABASE
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.postgres import PostgresSettings

path_argument = click.argument("path", type=click.Path(path_type=Path), required=False)
database_option = click.option(
    "--database",
    "settings_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="hub.yaml of a hub that keeps its entries in a database; PATH is its log's folder then.",
)


@dataclass(frozen=True, slots=True)
class FoundLog:
    """Where a log lies."""

    folder: Path
    database: LogDatabase | None
    read_key: Path
    """The file that is tried if none is given."""
    pseudonym_key: Path


def find_log(path: Path | None, settings_file: Path | None) -> FoundLog:
    """The log that PATH or `--database` name. Raises ConfigurationError, click.UsageError."""
    if settings_file is None:
        if path is None:
            raise click.UsageError("Expected the log's folder PATH, or --database.")
        folder = log_folder(path)
        keys = folder.absolute().parent / "keys"
        return FoundLog(folder, None, keys / "log-read.key", keys / "log-pseudonym.key")
    settings, database = settings_with_database(settings_file)
    log = settings.log
    found = LogDatabase(database, log.origin)
    return FoundLog(path or log.folder, found, log.read_key, log.pseudonym_key)


def settings_with_database(settings_file: Path) -> tuple[HubSettings, PostgresSettings]:
    """What a hub.yaml says, and its database. Raises ConfigurationError, also where it has none."""
    settings = read_hub_settings(settings_file)
    if settings.database is None:
        problem = Problem(str(settings_file), "store", "missing: this hub keeps its log in SQLite")
        raise ConfigurationError([problem])
    return settings, settings.database


def database_of(settings: HubSettings) -> LogDatabase | None:
    """Where the entries of a hub's log lie; None: in its folder."""
    if settings.database is None:
        return None
    return LogDatabase(settings.database, settings.log.origin)


def log_folder(path: Path) -> Path:
    """The log's folder: the one given, or the one in the sandbox given."""
    inside = path / "log"
    is_around = os.path.lexists(inside / DATABASE) and not os.path.lexists(path / DATABASE)
    return inside if is_around else path
