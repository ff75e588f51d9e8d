"""`sandbox up` writes its settings anew, and what somebody changed in them stays changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from bus.sandbox.kept_edits import edited_port, write_settings

HEADER = "# Written by us.\n"
VALUES = {
    "listen": {"host": "127.0.0.1", "port": 8080},
    "agencies": {"one_agency": {"url": "http://127.0.0.1:9001", "username": "hub"}},
    "anchors": ["a.crt"],
    "precise": True,
}
OTHER_PORTS = {
    **VALUES,
    "listen": {"host": "127.0.0.1", "port": 8090},
    "agencies": {"one_agency": {"url": "http://127.0.0.1:9091", "username": "hub"}},
}


class Settings:
    """A settings file, and what was told about it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "hub.yaml"
        self.told: list[str] = []

    def write(self, values: dict[str, object] = VALUES) -> None:
        write_settings(self.path, HEADER, values, mode=0o600, tell=self.told.append)

    def edit(self, right: str, wrong: str) -> str:
        text = self.path.read_text()
        assert right in text
        self.path.write_text(text.replace(right, wrong))
        return self.path.read_text()

    @property
    def values(self) -> dict[str, object]:
        read: dict[str, object] = yaml.safe_load(self.path.read_text())
        return read


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path)
    made.write()
    return made


def test_a_file_that_nobody_changed_takes_new_values_in_silence(settings: Settings) -> None:
    settings.write(OTHER_PORTS)

    assert settings.values == OTHER_PORTS
    assert settings.told == []
    assert settings.path.stat().st_mode & 0o777 == 0o600


def test_a_changed_file_is_not_touched_while_nothing_else_changes(settings: Settings) -> None:
    edited = settings.edit("precise: true", "precise: false   # as in production")

    settings.write()

    assert settings.path.read_text() == edited
    assert settings.told == []


@pytest.mark.parametrize(
    ("right", "wrong", "where", "value"),
    [
        ("precise: true", "precise: false", ("precise",), False),
        ("port: 8080", "port: 7000", ("listen", "port"), 7000),
        ("username: hub", "username: me", ("agencies", "one_agency", "username"), "me"),
        ("- a.crt", "- a.crt\n- b.crt", ("anchors",), ["a.crt", "b.crt"]),
        ("precise: true", "precise: true\nspool: here", ("spool",), "here"),
        ("agencies:\n", "agencies:\n  echo: {url: x}\n", ("agencies", "echo"), {"url": "x"}),
    ],
)
def test_changes_are_taken_over_into_a_file_that_must_be_written_anew(
    settings: Settings, right: str, wrong: str, where: tuple[str, ...], value: object
) -> None:
    edited = settings.edit(right, wrong)

    settings.write(OTHER_PORTS)

    found: object = settings.values
    for key in where:
        assert isinstance(found, dict)
        found = found[key]
    assert found == value
    assert "9091" in settings.path.read_text()
    (sentence,) = settings.told
    assert "with your changes" in sentence
    assert (settings.path.parent / "hub.yaml.edited").read_text() == edited
    assert str(settings.path.parent / "hub.yaml.edited") in sentence


def test_what_was_taken_out_stays_out(settings: Settings) -> None:
    settings.edit("precise: true\n", "")

    settings.write(OTHER_PORTS)

    assert "precise" not in settings.values


def test_changes_stay_through_a_third_and_a_fourth_time(settings: Settings) -> None:
    settings.edit("precise: true", "precise: false")

    for values in (OTHER_PORTS, VALUES, OTHER_PORTS):
        settings.write(values)

    assert settings.values == {**OTHER_PORTS, "precise": False}


def test_a_file_that_is_no_yaml_is_left_for_the_hub_to_complain_of(settings: Settings) -> None:
    edited = settings.edit("precise: true", "precise: [")

    settings.write(OTHER_PORTS)

    assert settings.path.read_text() == edited


def test_a_file_of_a_version_that_remembered_nothing_is_copied_before_it_is_replaced(
    tmp_path: Path,
) -> None:
    settings = Settings(tmp_path)
    settings.path.write_text("listen: {port: 1}\n")

    settings.write()

    assert settings.values == VALUES
    assert (tmp_path / "hub.yaml.edited").read_text() == "listen: {port: 1}\n"
    assert len(settings.told) == 1


def test_a_port_that_was_changed_by_hand_is_found_and_no_other(settings: Settings) -> None:
    assert edited_port(settings.path, "listen") == 0
    assert edited_port(settings.path.with_name("none.yaml"), "listen") == 0

    settings.edit("port: 8080", "port: 7000")

    assert edited_port(settings.path, "listen") == 7000
    assert edited_port(settings.path, "operations") == 0
