"""YAML is read into plain values, with the line of each, and within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import ConfigurationError
from bus.settings import yaml_document
from bus.settings.yaml_document import YamlDocument, read_yaml


def read(text: str | bytes) -> object:
    raw = text if isinstance(text, bytes) else text.encode()
    return read_yaml(raw, file="f.yaml").values


def refusal(text: str | bytes) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    (problem,) = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("037", "037"),
        ("no", "no"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("'5'", "5"),
        ('"true"', "true"),
        ("5", 5),
        ("-5", -5),
        ("1.5", 1.5),
        ("true", True),
        ("~", None),
        ("", None),
        ("Nghệ An", "Nghệ An"),
    ],
)
def test_codes_and_dates_stay_text(written: str, value: object) -> None:
    assert {"a": value} == read(f"a: {written}\n")


def test_every_value_knows_its_line() -> None:
    document = read_yaml(b"a: 1\nb:\n  - c: 2\n  - c: 3\n    d: {e: 4}\n", file="f.yaml")

    problem = document.problem(("b", 1, "d", "e"), "is wrong")

    assert str(problem) == "f.yaml:5: b[1].d.e: is wrong"


def test_a_problem_at_a_missing_key_has_the_line_of_what_stands_around_it() -> None:
    document = read_yaml(b"a: 1\nb:\n  - c: 2\n", file="f.yaml")

    assert document.problem(("b", 0, "missing"), "is missing").line == 3


def test_a_key_that_stands_twice_is_told_with_both_lines() -> None:
    document = read_yaml(b"a: 1\nb: 2\na: {c: 3}\n", file="f.yaml")

    assert list(map(str, document.duplicates)) == ["f.yaml:3: a: stands twice, first in line 1"]
    assert document.values == {"a": 1, "b": 2}


def test_an_alias_stands_for_its_anchor() -> None:
    assert read("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object:os.system x", "f.yaml:1: a: the tag"),
        ("a: &x [*x]", "f.yaml:1: a[0]: the alias *x stands for nothing"),
        ("a: 1\n---\nb: 2", "f.yaml:2: expected one YAML document"),
        ("x: 1\na: {b: 1]", "f.yaml:2: not YAML"),
        ("? [1]\n: 2", "f.yaml:1: expected a plain key"),
        (b"a: 1\nb: \xff", "f.yaml:2: expected UTF-8"),
        (b"a: \x00", "f.yaml: not YAML"),
        ("[" * 100_000, "nested deeper than 24 levels"),
    ],
)
def test_what_is_no_plain_document_is_refused_with_its_line(
    text: str | bytes, message: str
) -> None:
    assert message in refusal(text)


def test_aliases_of_aliases_count_as_much_as_they_stand_for() -> None:
    lines = ["a0: &a0 [1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]

    assert "more than 500000 values" in refusal("\n".join(lines))


def test_a_file_larger_than_the_bound_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_document, "YAML_BYTES_MAX", 10)

    assert "at most 10 are read" in refusal("a: 123456789")


@given(st.binary(max_size=200) | st.text(alphabet="a:-[]{}&*!'\"|>#\n ,?", max_size=80))
def test_any_bytes_are_a_document_or_a_configuration_error(content: bytes | str) -> None:
    raw = content.encode() if isinstance(content, str) else content
    outcome: object
    try:
        outcome = read_yaml(raw, file="f.yaml")
    except ConfigurationError as error:
        outcome = error

    assert isinstance(outcome, YamlDocument | ConfigurationError)
