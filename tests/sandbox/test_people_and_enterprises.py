"""The invented nation agrees with itself: numbers, families, enterprises, the demo's story."""

from __future__ import annotations

import sqlite3
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bus.kit.identifiers import (
    EnterpriseCode,
    OldIdentityNumber,
    PersonalNumber,
    Sex,
    enterprise_check_digit,
)
from bus.sandbox.enterprises import ACTIVE, ENTERPRISE_STATUSES, build_enterprises
from bus.sandbox.people import ADULT_YEARS, SNAPSHOT_DAY, build_population
from bus.sandbox.places import PROVINCES
from bus.sandbox.sandbox_data import build_data, story

ADULT_BIRTH_YEAR_MAX = SNAPSHOT_DAY.year - ADULT_YEARS - 1


@pytest.fixture(scope="module")
def nation_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invented")
    build_data(folder)
    return folder


@pytest.fixture
def population(nation_dir: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(nation_dir / "population.sqlite")) as database:
        database.row_factory = sqlite3.Row
        yield database


@pytest.fixture
def registry(nation_dir: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(nation_dir / "enterprises.sqlite")) as database:
        database.row_factory = sqlite3.Row
        database.execute("ATTACH ? AS population", (str(nation_dir / "population.sqlite"),))
        yield database


def count(database: sqlite3.Connection, query: str, *values: object) -> int:
    return int(database.execute(query, values).fetchone()[0])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_there_are_ten_thousand_citizens_with_numbers_of_their_own(
    population: sqlite3.Connection,
) -> None:
    assert count(population, "SELECT count(DISTINCT personal_number) FROM citizens") == 10_000
    old = [row[0] for row in population.execute("SELECT old_number FROM citizens WHERE old_number")]
    assert len(set(old)) == len(old) > 1000
    assert all(OldIdentityNumber.parse(number) for number in old)


def test_every_personal_number_agrees_with_province_birth_and_sex(
    population: sqlite3.Connection,
) -> None:
    for row in population.execute("SELECT * FROM citizens"):
        number = PersonalNumber.parse(row["personal_number"])
        number.check_birth(int(row["birth"][:4]))
        number.check_sex(Sex.FEMALE if row["sex"] == "2" else Sex.MALE)
        assert number.province_code in PROVINCES[row["birth_province"]][1]


def test_every_name_is_composed_unicode(population: sqlite3.Connection) -> None:
    names = [row[0] for row in population.execute("SELECT full_name FROM citizens")]
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert any("ễ" in name for name in names)


@pytest.mark.parametrize("parent", ["father", "mother"])
def test_parents_are_grown_up_when_their_children_are_born(
    population: sqlite3.Connection, parent: str
) -> None:
    pairs = f"FROM citizens c JOIN citizens p ON p.personal_number = c.{parent}"
    assert count(population, f"SELECT count(*) {pairs}") > 3000
    assert count(population, f"SELECT min(c.birth_year - p.birth_year) {pairs}") >= ADULT_YEARS
    sex = {"father": "1", "mother": "2"}[parent]
    assert count(population, f"SELECT count(*) {pairs} WHERE p.sex <> ?", sex) == 0


def test_children_bear_the_family_name_of_their_father(population: sqlite3.Connection) -> None:
    pairs = "FROM citizens c JOIN citizens p ON p.personal_number = c.father"
    assert count(population, f"SELECT count(*) {pairs} WHERE c.family_name <> p.family_name") == 0


@pytest.mark.parametrize("column", ["father", "mother", "spouse", "guardian", "household_head"])
def test_nobody_points_at_a_person_who_is_not_there(
    population: sqlite3.Connection, column: str
) -> None:
    lost = (
        f"SELECT count(*) FROM citizens c WHERE c.{column} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM citizens p WHERE p.personal_number = c.{column})"
    )
    assert count(population, lost) == 0


def test_spouses_name_each_other_and_are_grown_up(population: sqlite3.Connection) -> None:
    pairs = "FROM citizens a JOIN citizens b ON b.personal_number = a.spouse"
    married = count(population, f"SELECT count(*) {pairs}")
    assert married > 4000
    assert married == count(
        population, f"SELECT count(*) {pairs} WHERE b.spouse = a.personal_number AND a.sex <> b.sex"
    )
    youngest = count(population, f"SELECT max(a.birth_year) {pairs}")
    assert youngest <= ADULT_BIRTH_YEAR_MAX


def test_a_household_has_one_head_who_lives_there(population: sqlite3.Connection) -> None:
    households = count(population, "SELECT count(DISTINCT household_head) FROM citizens")
    heads = count(population, "SELECT count(*) FROM citizens WHERE relation = 'CH01'")
    assert households == heads
    elsewhere = (
        "SELECT count(*) FROM citizens c JOIN citizens h ON h.personal_number = c.household_head"
        " WHERE h.permanent_commune <> c.permanent_commune OR h.household_head <> h.personal_number"
    )
    assert count(population, elsewhere) == 0


def test_only_minors_have_a_guardian_and_all_of_them_do(population: sqlite3.Connection) -> None:
    wrong = "SELECT count(*) FROM citizens WHERE (guardian IS NULL) = (birth_year > ?)"
    assert count(population, wrong, ADULT_BIRTH_YEAR_MAX) == 0


def test_the_nation_is_that_of_after_the_mergers_in_every_column(
    population: sqlite3.Connection, registry: sqlite3.Connection
) -> None:
    assert (
        len(PROVINCES),
        sum(name.startswith("Thành phố") for name, _ in PROVINCES.values()),
    ) == (
        34,
        6,
    )
    for column in ("birth_province", "home_province", "permanent_province", "current_province"):
        found = population.execute(f"SELECT DISTINCT {column} FROM citizens")
        assert {row[0] for row in found} <= set(PROVINCES)
    cities = registry.execute("SELECT DISTINCT CityID, CityName FROM enterprises").fetchall()
    assert all(PROVINCES[city][0] == name for city, name in cities)


def test_nobody_lives_in_a_district_any_more(
    population: sqlite3.Connection, registry: sqlite3.Connection
) -> None:
    assert not [
        row[1] for row in population.execute("PRAGMA table_info(citizens)") if "dist" in row[1]
    ]
    assert count(registry, "SELECT count(DistrictID) + count(DistrictName) FROM enterprises") == 0


def test_a_number_keeps_the_code_of_a_province_that_was_merged(
    population: sqlite3.Connection,
) -> None:
    rows = population.execute("SELECT substr(personal_number, 1, 3), birth_province FROM citizens")
    pairs = {tuple(row) for row in rows}

    assert all(former in PROVINCES[province][1] for former, province in pairs)
    assert ("024", "24") in pairs
    assert ("015", "15") in pairs
    assert ("044", "44") in pairs


def test_every_enterprise_code_has_its_check_digit(registry: sqlite3.Connection) -> None:
    codes = [row[0] for row in registry.execute("SELECT ENTERPRISE_GDT_CODE FROM enterprises")]
    assert len(set(codes)) == 2000
    assert all(enterprise_check_digit(code[:9]) == int(code[9]) for code in codes)
    assert any(EnterpriseCode.parse(code).is_dependent_unit for code in codes)


@pytest.mark.parametrize("table", ["members", "representatives"])
def test_members_and_representatives_are_living_adults_of_that_name(
    registry: sqlite3.Connection, table: str
) -> None:
    name = {"members": "MEMBER_NAME", "representatives": "FULL_NAME"}[table]
    right = (
        f"SELECT count(*) FROM {table} t JOIN population.citizens c USING (personal_number)"
        f" WHERE c.full_name = t.{name} AND NOT c.is_deceased AND c.birth_year <= ?"
    )
    assert count(registry, right, ADULT_BIRTH_YEAR_MAX) == count(
        registry, f"SELECT count(*) FROM {table}"
    )
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


def test_the_story_tells_of_a_family_in_nghe_an(
    nation_dir: Path, registry: sqlite3.Connection
) -> None:
    told = story(nation_dir)
    citizen = registry.execute(
        "SELECT * FROM population.citizens WHERE personal_number = ?", (told.personal_number,)
    ).fetchone()
    assert (told.full_name, told.representative_number) == (citizen["full_name"], citizen["spouse"])
    assert citizen["permanent_province"] == "40"
    enterprise = registry.execute(
        "SELECT * FROM enterprises WHERE ENTERPRISE_GDT_CODE = ?", (told.enterprise_code,)
    ).fetchone()
    assert enterprise["ENTERPRISE_STATUS"] == ACTIVE
    assert told.representative_name in enterprise["LEGAL_NAMES"]


@pytest.mark.parametrize("seed", [1, 7])
def test_a_seed_makes_the_same_nation_again_and_another_seed_another(
    tmp_path: Path, seed: int, nation_dir: Path
) -> None:
    dumps = []
    for attempt in ("a", "b"):
        population, enterprises = tmp_path / f"{attempt}.people", tmp_path / f"{attempt}.registry"
        build_population(population, seed)
        build_enterprises(enterprises, population, seed)
        dumps.append((dump(population), dump(enterprises)))
    assert dumps[0] == dumps[1]
    assert dumps[0][0] != dump(nation_dir / "population.sqlite")


def test_the_nation_is_made_in_three_seconds_of_work(tmp_path: Path) -> None:
    before = time.process_time()
    build_data(tmp_path / "fresh")
    assert time.process_time() - before < 3
