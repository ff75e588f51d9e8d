"""The JSON Schemas for editors describe the files that the hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.settings.hub import hub_json_schema
from bus.settings.routes import routes_json_schema
from bus.settings.yaml_document import read_yaml

REFERENCE = Path(__file__).parents[2] / "routes.yaml"


@pytest.mark.parametrize("json_schema", [routes_json_schema, hub_json_schema])
def test_the_json_schema_describes_every_key(json_schema: Callable[[], dict[str, Any]]) -> None:
    schema = json_schema()
    forms = [form for form in [schema, *schema["$defs"].values()] if "properties" in form]

    described = {
        f"{form['title']}.{key}": key_schema.get("description") or key_schema.get("$ref")
        for form in forms
        for key, key_schema in form["properties"].items()
    }

    assert len(described) > 20
    assert [key for key, description in described.items() if not description] == []
    assert all(form["additionalProperties"] is False for form in forms)


def test_the_json_schema_takes_the_reference_file_and_refuses_a_wrong_one() -> None:
    schema = json.loads(json.dumps(routes_json_schema()))
    right = read_yaml(REFERENCE.read_bytes(), file="routes.yaml").values
    wrong = read_yaml(
        REFERENCE.read_bytes().replace(b"mode: query", b"mode: qery", 1), file="f"
    ).values

    assert list(refusals(schema, right, schema)) == []
    assert list(refusals(schema, wrong, schema)) == ["'qery' is none of ['query', 'submission']"]


JSON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def refusals(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> Iterator[str]:
    """Judge a value by the keywords of JSON Schema that our schema uses, independently of it."""
    if "$ref" in schema:
        yield from refusals(root["$defs"][schema["$ref"].rpartition("/")[2]], value, root)
    if "anyOf" in schema and all(any(refusals(one, value, root)) for one in schema["anyOf"]):
        yield f"{value!r} is none of the alternatives"
    if "type" in schema and not isinstance(value, JSON_TYPES[schema["type"]]):
        yield f"{value!r} is no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{value!r} is none of {schema['enum']}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{value!r} does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{value!r} is less than {schema['minimum']}"
    if isinstance(value, list):
        for item in value:
            yield from refusals(schema.get("items", {}), item, root)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{key} is missing" for key in schema.get("required", []) if key not in value)
        for key, item in value.items():
            if key in known:
                yield from refusals(known[key], item, root)
            elif schema.get("additionalProperties") is False:
                yield f"{key} is not known"
