"""The commands `lienthong config …`: what configuration files may say."""

from __future__ import annotations

import json

import click

from bus.edge.hub_settings import hub_json_schema
from bus.edge.routes_file import routes_json_schema

_SCHEMAS = {"routes": routes_json_schema, "hub": hub_json_schema}


@click.group()
def config() -> None:
    """What routes.yaml and hub.yaml may say."""


@config.command()
@click.argument("file", type=click.Choice(list(_SCHEMAS)), default="routes")
def schema(file: str) -> None:
    """Print the JSON Schema (draft 2020-12) of routes.yaml or hub.yaml, for editors."""
    click.echo(json.dumps(_SCHEMAS[file](), ensure_ascii=False, indent=2))
