"""The JSON Schemas that editors use accept what the program accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from bus.sandbox.nation_files import prepare_nation, reference_routes
from bus.settings.hub import hub_json_schema
from bus.settings.routes import routes_json_schema


def test_the_schema_of_routes_is_a_schema_and_holds_for_unknown_keys() -> None:
    schema = routes_json_schema()
    Draft202012Validator.check_schema(schema)
    broken = {"instance": "VN", "membres": []}
    messages = [error.message for error in Draft202012Validator(schema).iter_errors(broken)]
    assert any("membres" in message for message in messages)


def test_the_reference_routes_follow_their_schema() -> None:
    text = reference_routes().read_text(encoding="utf-8")
    errors = list(Draft202012Validator(routes_json_schema()).iter_errors(yaml.safe_load(text)))
    assert errors == []


def test_the_settings_of_a_sandbox_follow_their_schema(tmp_path: Path) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    prepared = prepare_nation(tmp_path, now=now, hub_port=8080)
    settings = yaml.safe_load(prepared.hub_settings.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(hub_json_schema()).iter_errors(settings)) == []


@pytest.mark.parametrize("schema", [routes_json_schema(), hub_json_schema()])
def test_an_exported_schema_names_its_dialect(schema: dict[str, object]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
