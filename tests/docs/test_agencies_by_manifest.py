"""Nothing of the program knows an agency: code names none, outside its folder and its tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.sandbox.nation_files import reference_routes
from bus.settings.routes import read_registry
from tests.nation import ADAPTERS

ROOT = Path(__file__).parents[2]
AGENCIES = sorted(path.parent.name for path in ADAPTERS.glob("*/manifest.yaml"))
"""Routes.yaml, pages and samples speak of the sample nation as data; code does not."""


def names_of(source: str) -> Iterator[str]:
    """Every identifier and every text of a module."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(name=name):
                yield name
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case ast.Constant(value=str(name)):
                yield name
            case ast.Constant(value=bytes(raw)):
                yield raw.decode("latin-1")


def pattern_of(agency: str) -> re.Pattern[str]:
    """An id as a whole part of a name or path: `agency`, `adapters/agency/…`, `Agency…`, AGENCY_….

    In prose a word is only a word; an id of several words is none.
    """
    class_name = "".join(part.title() for part in agency.split("_"))
    part = rf"(?:^|[._/\-\"'`]){re.escape(agency)}(?:$|[._/\-:\"'`])"
    anywhere = (
        rf"|{re.escape(agency)}|{re.escape(agency.replace('_', '-'))}" if "_" in agency else ""
    )
    return re.compile(rf"{part}{anywhere}|\b{class_name}[A-Z]|\b{agency.upper()}(?:_|\b)")


def _letters(text: str) -> str:
    """What all ways to write an id have in common: most files are seen to have none of them."""
    return text.lower().replace("_", "").replace("-", "")


def naming(agency: str, sources: dict[str, str]) -> list[str]:
    pattern, letters = pattern_of(agency), _letters(agency)
    return [
        f"{place}: {name[:80]}"
        for place, source in sources.items()
        if letters in _letters(source)
        for name in names_of(source)
        if pattern.search(name)
    ]


def sources_without(agency: str) -> dict[str, str]:
    own = ROOT / "tests" / "adapters" / agency
    return {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for folder in ("bus", "signing", "schemas", "tests", "docs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if own not in path.parents
    }


@pytest.mark.parametrize("agency", AGENCIES)
def test_no_code_outside_its_folder_names_an_agency(agency: str) -> None:
    sources = sources_without(agency)
    assert len(sources) > 500
    assert naming(agency, sources) == []


@pytest.mark.parametrize("agency", AGENCIES)
@pytest.mark.parametrize("file", ["pyproject.toml", "Makefile", ".ci/run", "constraints.txt"])
def test_no_file_that_builds_or_tests_the_program_names_an_agency(agency: str, file: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    assert re.findall(rf"\b{agency}\b|\b{agency.replace('_', '-')}\b", text) == []


def texts_of(source: str) -> Iterator[str]:
    """Every text of a module but what documents it, where services stand as examples."""
    tree = ast.parse(source)
    documenting = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documenting:
            match node.value:
                case str(text):
                    yield text
                case bytes(raw):
                    yield raw.decode("latin-1")


def words_of_agencies() -> set[str]:
    """What their services are called, and who gives them; who asks as well is named as a client."""
    routes = read_registry(reference_routes())
    clients = {client for client, _ in routes.grants}
    providers = {str(one.provider) for one in routes.services if one.provider not in clients}
    return providers | {one.service_code for one in routes.services}


def test_the_program_holds_no_service_of_an_agency() -> None:
    words = words_of_agencies()
    assert len(words) > 8
    # What the bench measures is one message of its own, whatever agencies there are.
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted((ROOT / "bus").rglob("*.py"))
        if path.parent.name != "bench"
    }
    assert [
        f"{place}: {word}"
        for place, source in sources.items()
        for text in texts_of(source)
        for word in words
        if word in text
    ] == []


def test_a_service_in_a_text_is_found_and_one_in_prose_is_none() -> None:
    source = 'def f():\n    """As VN/A/B/c/Code/v1."""\n    return "VN/A/B/c/Code/v1", b"<Code/>"\n'

    found = [text for text in texts_of(source) if "Code" in text]

    assert found == ["VN/A/B/c/Code/v1", "<Code/>"]


@pytest.mark.parametrize(
    "source",
    [
        "import adapters.one_agency.adapter",
        "from adapters.one_agency import simulator",
        "def one_agency(): ...",
        "OneAgencyAdapter(1)",
        "run(one_agency=1)",
        "AGENCIES = ('other', 'one_agency')",
        "open('adapters/one_agency/manifest.yaml')",
        "ONE_AGENCY_FILE = 1",
        "name = 'one-agency'",
        "told = b'one_agency ended'",
        "f'{x}: one_agency'",
    ],
)
def test_a_name_in_code_is_found(source: str) -> None:
    assert naming("one_agency", {"somewhere.py": source})


@pytest.mark.parametrize(
    ("source", "is_named"),
    [
        ("f'adapter-census'", True),
        ("census.ask()", True),
        ("told['census']", True),
        ("x = 'census.sqlite'", True),
        ("'''As in adapters/census.'''", True),
        ("say('The census knows everybody.')", False),
        ("consensus = 'consensus'", False),
    ],
)
def test_a_word_of_prose_is_no_name(source: str, *, is_named: bool) -> None:
    assert bool(naming("census", {"somewhere.py": source})) is is_named
