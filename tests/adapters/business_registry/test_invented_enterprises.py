"""The invented enterprises agree with each other and with the invented people."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.business_registry.invented_enterprises import (
    ACTIVE,
    ENTERPRISE_STATUSES,
    ENTERPRISES_FILE,
    build_enterprises,
)
from bus.kit.identifiers import EnterpriseCode, enterprise_check_digit
from bus.kit.invented_nation import ADULT_YEARS
from bus.sandbox.sandbox_data import keep_data, read_nation


@pytest.fixture
def registry(data_dir: Path) -> Iterator[sqlite3.Connection]:
    path = data_dir / "business_registry" / ENTERPRISES_FILE
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        database.execute("ATTACH ? AS nation", (str(read_nation(data_dir).people),))
        yield database


def count(database: sqlite3.Connection, query: str, *values: object) -> int:
    return int(database.execute(query, values).fetchone()[0])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_every_enterprise_code_has_its_check_digit(registry: sqlite3.Connection) -> None:
    codes = [row[0] for row in registry.execute("SELECT ENTERPRISE_GDT_CODE FROM enterprises")]
    assert len(set(codes)) == 2000
    assert all(enterprise_check_digit(code[:9]) == int(code[9]) for code in codes)
    assert any(EnterpriseCode.parse(code).is_dependent_unit for code in codes)


@pytest.mark.parametrize("table", ["members", "representatives"])
def test_members_and_representatives_are_living_adults_of_that_name(
    registry: sqlite3.Connection, data_dir: Path, table: str
) -> None:
    name = {"members": "MEMBER_NAME", "representatives": "FULL_NAME"}[table]
    born_before = read_nation(data_dir).as_of.year - ADULT_YEARS
    right = (
        f"SELECT count(*) FROM {table} t JOIN nation.citizens c USING (personal_number)"
        f" WHERE c.full_name = t.{name} AND NOT c.is_deceased AND c.birth_year < ?"
    )
    assert count(registry, right, born_before) == count(registry, f"SELECT count(*) FROM {table}")
    assert count(registry, f"SELECT count(DISTINCT enterprise) FROM {table}") == 2000


def test_shares_are_a_hundred_percent_and_the_whole_capital(registry: sqlite3.Connection) -> None:
    rows = registry.execute(
        "SELECT sum(RATIO_PERCENT), sum(AMOUNT) - CAPITAL_AMOUNT FROM members"
        " JOIN enterprises ON enterprise = ENTERPRISE_GDT_CODE GROUP BY enterprise"
    ).fetchall()
    assert {(100.0, 0)} == {(round(share, 6), rest) for share, rest in rows}


def test_every_enterprise_has_one_main_sector_and_a_dossier(registry: sqlite3.Connection) -> None:
    assert count(registry, "SELECT count(*) FROM activities WHERE IS_MAIN = 'Y'") == 2000
    assert count(registry, "SELECT count(DISTINCT ENTERPRISE_CODE) FROM dossiers") == 2000
    assert count(registry, "SELECT count(*) FROM dossiers WHERE received >= '2026'") == 0
    found = {row[0] for row in registry.execute("SELECT ENTERPRISE_STATUS FROM enterprises")}
    assert found == set(ENTERPRISE_STATUSES)


def test_no_enterprise_lies_in_a_district_or_a_province_that_is_no_more(
    registry: sqlite3.Connection,
) -> None:
    assert count(registry, "SELECT count(DistrictID) + count(DistrictName) FROM enterprises") == 0
    elsewhere = (
        "SELECT count(*) FROM enterprises WHERE CityID NOT IN"
        " (SELECT permanent_province FROM nation.citizens)"
    )
    assert count(registry, elsewhere) == 0


def test_the_relative_whom_samples_ask_about_represents_an_active_enterprise(
    registry: sqlite3.Connection, data_dir: Path
) -> None:
    found = registry.execute(
        "SELECT e.ENTERPRISE_STATUS, e.LEGAL_NAMES, r.FULL_NAME FROM enterprises e"
        " JOIN representatives r ON r.enterprise = e.ENTERPRISE_GDT_CODE"
        " WHERE r.personal_number = ? ORDER BY e.rowid",
        (read_nation(data_dir).relative,),
    ).fetchone()
    assert found["ENTERPRISE_STATUS"] == ACTIVE
    assert found["FULL_NAME"] in found["LEGAL_NAMES"]


def test_a_nation_gives_the_same_enterprises_again_and_another_nation_others(
    tmp_path: Path, data_dir: Path
) -> None:
    keep_data(tmp_path / "data", 7, {})
    dumps = []
    for attempt, data in (("a", tmp_path / "data"), ("b", tmp_path / "data"), ("c", data_dir)):
        (tmp_path / attempt).mkdir()
        build_enterprises(read_nation(data), tmp_path / attempt)
        dumps.append(dump(tmp_path / attempt / ENTERPRISES_FILE))
    assert dumps[0] == dumps[1] != dumps[2]
    assert dumps[2] == dump(data_dir / "business_registry" / ENTERPRISES_FILE)
