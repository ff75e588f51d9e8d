"""Where the files for operators lie, and what may be named in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import click
from prometheus_client import parser

from bus.cli import main
from bus.operations.exchange_metrics import ExchangeMetrics
from bus.operations.metrics import metrics_page
from tests.operations.known_status import STATUS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
_NAME = re.compile(r"\b(?:lienthong|process)_[a-z0-9_]+\b")
_LABEL = re.compile(r"\b([a-z_]+)\s*(?:=~|!=|!~|=(?!=))\s*\"")


def told_samples() -> dict[str, set[str]]:
    """Every sample that a hub gives, and its labels."""
    page = metrics_page(STATUS, ExchangeMetrics())
    told: dict[str, set[str]] = {}
    for family in parser.text_string_to_metric_families(page.body.decode()):
        for sample in family.samples:
            told.setdefault(sample.name, set()).update(sample.labels)
    return told


def named_metrics(expression: str) -> set[str]:
    """The metrics of ours that an expression of PromQL names."""
    return set(_NAME.findall(expression))


def named_labels(expression: str) -> set[str]:
    """The labels that it selects by, or puts together."""
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    return {*_LABEL.findall(expression), *re.findall(r"[a-z_]+", " ".join(grouped))}


def require_known_command(words: Sequence[str]) -> None:
    """Fails unless the program has this command, with these options and so many arguments."""
    group: click.Command = main
    context = click.Context(main)
    rest = list(words)
    while isinstance(group, click.Group):
        name, found, rest = group.resolve_command(context, rest)
        assert found is not None, name
        group, context = found, click.Context(found, parent=context)
    if rest != ["--help"]:
        group.make_parser(context).parse_args(rest)  # raises UsageError


def commands_of_unit(unit: Path) -> list[list[str]]:
    """What a unit for systemd starts, without the program's own path."""
    lines = unit.read_text().splitlines()
    started = [line.partition("=")[2] for line in lines if re.match(r"Exec\w+=", line)]
    return [shlex.split(line.replace("%i", "instance")) for line in started]
