"""The commands `lienthong config …`: what configuration files may say."""

from __future__ import annotations

import json

import click

from bus.access_point.settings import access_point_json_schema
from bus.cli.shown import tell
from bus.settings.hub import hub_json_schema
from bus.settings.routes import routes_json_schema
from bus.settings.worker import worker_json_schema

_SCHEMAS = {
    "routes": routes_json_schema,
    "hub": hub_json_schema,
    "access-point": access_point_json_schema,
    "worker": worker_json_schema,
}


@click.group()
def config() -> None:
    """What routes.yaml, hub.yaml, worker.yaml and the settings of an access point may say."""


@config.command()
@click.argument("file", type=click.Choice(list(_SCHEMAS)), default="routes")
def schema(file: str) -> None:
    """Print the JSON Schema (draft 2020-12) of a configuration file, for editors."""
    tell(json.dumps(_SCHEMAS[file](), ensure_ascii=False, indent=2))
