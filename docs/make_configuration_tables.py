"""Write the tables of docs/configuration.md from the forms that the hub reads by.

Run `python docs/make_configuration_tables.py`; a test fails while the file is not up to date.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bus.access_point.settings import access_point_json_schema
from bus.kit.manifest import ManifestForm
from bus.settings.hub import hub_json_schema
from bus.settings.routes import routes_json_schema
from bus.settings.worker import worker_json_schema

PAGE = Path(__file__).with_name("configuration.md")
SCHEMAS = {
    "routes": routes_json_schema(),
    "hub": hub_json_schema(),
    "access_point": access_point_json_schema(),
    "worker": worker_json_schema(),
    "manifest": ManifestForm.model_json_schema(),
}

_BLOCK = re.compile(r"(<!-- table (\w+) (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str) -> str:
    """The page with every table written anew."""
    return _BLOCK.sub(lambda block: block[1] + table(block[2], block[3]) + block[4], page)


def table(file: str, form: str) -> str:
    """One table: the keys of one section, in the order of the form."""
    root = SCHEMAS[file]
    section = root if root["title"] == form else root["$defs"][form]
    required = section.get("required", [])
    rows = ["| key | value | if left out | meaning |", "|---|---|---|---|"]
    for key, schema in section["properties"].items():
        default = "**required**" if key in required else default_text(schema)
        meaning = schema.get("description") or resolved(root, schema).get("description", "")
        cells = [f"`{key}`", value_text(root, schema), default, " ".join(meaning.split())]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for."""
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = root["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def value_text(root: dict[str, Any], schema: dict[str, Any]) -> str:
    """What kind of value a key takes."""
    schema = resolved(root, schema)
    if "anyOf" in schema:
        return value_text(root, schema["anyOf"][0])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of: {value_text(root, schema['items'])}"
    if schema["type"] == "object":
        inner = schema.get("additionalProperties")
        return f"by key: {value_text(root, inner)}" if isinstance(inner, dict) else "section"
    words = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "true, false",
    }
    return words[schema["type"]] + bounds_text(schema)


def bounds_text(schema: dict[str, Any]) -> str:
    """Between which numbers it lies."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**31 - 1:
        return f", {low} to {high}"
    if low is not None:
        return f", at least {low}"
    if "exclusiveMinimum" in schema:
        return f", above {schema['exclusiveMinimum']:g}, at most {high:g}"
    return ""


def default_text(schema: dict[str, Any]) -> str:
    """What counts when the key is not there."""
    default = schema.get("default")
    if isinstance(default, dict) or ("default" not in schema):
        return "its defaults"
    if default is None:
        return "—"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
