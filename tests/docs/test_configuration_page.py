"""The reference of configuration is what the program reads by."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from bus.settings.hub import read_hub_settings

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "configuration.md"


def test_the_tables_are_up_to_date() -> None:
    script = runpy.run_path(str(DOCS / "make_configuration_tables.py"))

    assert script["with_tables"](PAGE.read_text()) == PAGE.read_text()


def test_every_section_of_every_form_has_a_table() -> None:
    script = runpy.run_path(str(DOCS / "make_configuration_tables.py"))

    told = set(re.findall(r"<!-- table \w+ (\w+) -->", PAGE.read_text()))
    forms = {
        name
        for schema in script["SCHEMAS"].values()
        for name in [schema["title"], *schema["$defs"]]
        if name.endswith("Form")
    }

    assert len(forms) > 12
    assert forms - told == set()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    text = PAGE.read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "hub.yaml").write_text(text)
    return tmp_path / "hub.yaml"


def test_the_example_of_hub_yaml_is_sound(example: Path) -> None:
    assert read_hub_settings(example).log.origin == "lienthong.example/vn"
