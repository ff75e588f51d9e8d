"""Alerts and dashboard name metrics and labels that there are, and nothing else."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from bus.core import errors
from tests.deploy.deployed_files import DEPLOY, named_labels, named_metrics, told_samples

RULES = DEPLOY / "prometheus/lienthong.rules.yml"
CONFIG = DEPLOY / "prometheus/prometheus.yml"
BOARD = DEPLOY / "grafana/lienthong.json"
OF_PROMETHEUS = {"job", "instance"}


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(BOARD.read_text("utf-8"))
    return found


def expressions() -> list[str]:
    """Every expression of either file."""
    shown = [target["expr"] for panel in board()["panels"] for target in panel.get("targets", ())]
    return [*(rule["expr"] for rule in alerts()), *shown]


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_metrics_and_labels_that_there_are(expression: str) -> None:
    told = told_samples()
    named = named_metrics(expression)

    assert named <= told.keys()
    assert named or expression.startswith("up{")
    assert named_labels(expression) <= OF_PROMETHEUS.union(*(told[name] for name in named))


def test_every_alarm_of_the_operators_page_is_an_alert() -> None:
    page = (DEPLOY.parent / "docs/operators.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `lienthong_")]
    alarmed = {re.findall(r"`(lienthong_[a-z_]+)", row)[0] for row in rows if "**alarm**" in row}
    told = set().union(*(named_metrics(rule["expr"]) for rule in alerts()))

    families = {"_".join(name.split("_")[:2]) for name in told}
    assert alarmed
    assert {name for name in alarmed if "_".join(name.split("_")[:2]) not in families} == set()


def test_an_alert_says_how_urgent_it_is_and_what_is_wrong_where() -> None:
    names = [rule["alert"] for rule in alerts()]

    assert len(set(names)) == len(names)
    for rule in alerts():
        assert re.fullmatch(r"LienThong[A-Z][A-Za-z]+", rule["alert"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        summary = rule["annotations"]["summary"]
        labels = set(re.findall(r"\$labels\.([a-z_]+)", summary))
        told = told_samples()
        known = OF_PROMETHEUS.union(*(told[name] for name in named_metrics(rule["expr"])))
        assert "instance" in labels
        assert labels <= known


def test_outcomes_that_are_named_are_codes_of_ours() -> None:
    codes = {one.code for one in vars(errors).values() if hasattr(one, "code")}
    named = re.findall(r'(?:outcome|end)="([^"]+)"', " ".join(expressions()))

    assert set(named) <= codes | {"delivered", "answered-again", "failed", "unknown"}


def test_the_dashboard_is_one_that_grafana_can_lay_out() -> None:
    panels = board()["panels"]
    ids = [panel["id"] for panel in panels]
    places = [panel["gridPos"] for panel in panels]

    assert len(set(ids)) == len(ids)
    assert all(one["x"] >= 0 and one["x"] + one["w"] <= 24 for one in places)
    assert not [pair for pair in itertools.combinations(places, 2) if overlap(*pair)]
    variables = {one["name"] for one in board()["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z][a-z_]*)", json.dumps(board())))
    assert {name for name in used if not name.startswith("__")} == variables
    for panel in panels:
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["targets"]
            shown = set(re.findall(r"{{([a-z_]+)}}", json.dumps(panel["targets"])))
            told = told_samples()
            named = set().union(*(named_metrics(one["expr"]) for one in panel["targets"]))
            assert shown <= OF_PROMETHEUS.union(*(told[name] for name in named))


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def test_prometheus_takes_both_of_its_files() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (package prometheus)")

    for kind, file in (("rules", RULES), ("config", CONFIG)):
        checked = subprocess.run(
            [promtool, "check", kind, str(file)], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_is_told_to_read_the_alerts_under_the_job_that_they_name() -> None:
    config = yaml.safe_load(CONFIG.read_text("utf-8"))

    assert config["rule_files"] == [RULES.name]
    jobs = {one["job_name"] for one in config["scrape_configs"]}
    assert set(re.findall(r'job="([^"]+)"', " ".join(expressions()))) == jobs
