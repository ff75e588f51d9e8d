"""The invented people agree with each other: numbers, families, provinces."""

from __future__ import annotations

import sqlite3
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bus.kit.identifiers import OldIdentityNumber, PersonalNumber, Sex
from bus.kit.invented_nation import ADULT_YEARS
from bus.kit.manifest import read_manifest
from bus.sandbox.people import SNAPSHOT_DAY, build_people
from bus.sandbox.places import PROVINCES
from bus.sandbox.sandbox_data import SEED_DEFAULT, keep_data, read_nation, story
from tests.nation import ADAPTER_IDS, ADAPTERS

ADULT_BIRTH_YEAR_MAX = SNAPSHOT_DAY.year - ADULT_YEARS - 1
MANIFESTS = {name: read_manifest(ADAPTERS / name) for name in ADAPTER_IDS}


@pytest.fixture(scope="module")
def nation_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("invented") / "data"
    keep_data(folder, SEED_DEFAULT, {})
    return folder


@pytest.fixture
def people(nation_dir: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(read_nation(nation_dir).people)) as database:
        database.row_factory = sqlite3.Row
        yield database


def count(database: sqlite3.Connection, query: str, *values: object) -> int:
    return int(database.execute(query, values).fetchone()[0])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_there_are_ten_thousand_citizens_with_numbers_of_their_own(
    people: sqlite3.Connection,
) -> None:
    assert count(people, "SELECT count(DISTINCT personal_number) FROM citizens") == 10_000
    old = [row[0] for row in people.execute("SELECT old_number FROM citizens WHERE old_number")]
    assert len(set(old)) == len(old) > 1000
    assert all(OldIdentityNumber.parse(number) for number in old)


def test_every_personal_number_agrees_with_province_birth_and_sex(
    people: sqlite3.Connection,
) -> None:
    for row in people.execute("SELECT * FROM citizens"):
        number = PersonalNumber.parse(row["personal_number"])
        number.check_birth(int(row["birth"][:4]))
        number.check_sex(Sex.FEMALE if row["sex"] == "2" else Sex.MALE)
        assert number.province_code in PROVINCES[row["birth_province"]][1]


def test_every_name_is_composed_unicode(people: sqlite3.Connection) -> None:
    names = [row[0] for row in people.execute("SELECT full_name FROM citizens")]
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert any("ễ" in name for name in names)


@pytest.mark.parametrize("parent", ["father", "mother"])
def test_parents_are_grown_up_when_their_children_are_born(
    people: sqlite3.Connection, parent: str
) -> None:
    pairs = f"FROM citizens c JOIN citizens p ON p.personal_number = c.{parent}"
    assert count(people, f"SELECT count(*) {pairs}") > 3000
    assert count(people, f"SELECT min(c.birth_year - p.birth_year) {pairs}") >= ADULT_YEARS
    sex = {"father": "1", "mother": "2"}[parent]
    assert count(people, f"SELECT count(*) {pairs} WHERE p.sex <> ?", sex) == 0


def test_children_bear_the_family_name_of_their_father(people: sqlite3.Connection) -> None:
    pairs = "FROM citizens c JOIN citizens p ON p.personal_number = c.father"
    assert count(people, f"SELECT count(*) {pairs} WHERE c.family_name <> p.family_name") == 0


@pytest.mark.parametrize("column", ["father", "mother", "spouse", "guardian", "household_head"])
def test_nobody_points_at_a_person_who_is_not_there(
    people: sqlite3.Connection, column: str
) -> None:
    lost = (
        f"SELECT count(*) FROM citizens c WHERE c.{column} IS NOT NULL"
        f" AND NOT EXISTS (SELECT 1 FROM citizens p WHERE p.personal_number = c.{column})"
    )
    assert count(people, lost) == 0


def test_spouses_name_each_other_and_are_grown_up(people: sqlite3.Connection) -> None:
    pairs = "FROM citizens a JOIN citizens b ON b.personal_number = a.spouse"
    married = count(people, f"SELECT count(*) {pairs}")
    assert married > 4000
    assert married == count(
        people, f"SELECT count(*) {pairs} WHERE b.spouse = a.personal_number AND a.sex <> b.sex"
    )
    youngest = count(people, f"SELECT max(a.birth_year) {pairs}")
    assert youngest <= ADULT_BIRTH_YEAR_MAX


def test_a_household_has_one_head_who_lives_there(people: sqlite3.Connection) -> None:
    households = count(people, "SELECT count(DISTINCT household_head) FROM citizens")
    heads = count(people, "SELECT count(*) FROM citizens WHERE relation = 'CH01'")
    assert households == heads
    elsewhere = (
        "SELECT count(*) FROM citizens c JOIN citizens h ON h.personal_number = c.household_head"
        " WHERE h.permanent_commune <> c.permanent_commune OR h.household_head <> h.personal_number"
    )
    assert count(people, elsewhere) == 0


def test_only_minors_have_a_guardian_and_all_of_them_do(people: sqlite3.Connection) -> None:
    wrong = "SELECT count(*) FROM citizens WHERE (guardian IS NULL) = (birth_year > ?)"
    assert count(people, wrong, ADULT_BIRTH_YEAR_MAX) == 0


def test_a_number_keeps_the_code_of_a_province_that_was_merged(
    people: sqlite3.Connection,
) -> None:
    rows = people.execute("SELECT substr(personal_number, 1, 3), birth_province FROM citizens")
    pairs = {tuple(row) for row in rows}

    assert all(former in PROVINCES[province][1] for former, province in pairs)
    assert ("024", "24") in pairs
    assert ("015", "15") in pairs
    assert ("044", "44") in pairs


def test_the_nation_is_that_of_after_the_mergers_in_every_column(
    people: sqlite3.Connection,
) -> None:
    cities = sum(name.startswith("Thành phố") for name, _ in PROVINCES.values())
    assert (len(PROVINCES), cities) == (34, 6)
    for column in ("birth_province", "home_province", "permanent_province", "current_province"):
        found = people.execute(f"SELECT DISTINCT {column} FROM citizens")
        assert {row[0] for row in found} <= set(PROVINCES)
    assert not [row[1] for row in people.execute("PRAGMA table_info(citizens)") if "dist" in row[1]]


def test_the_story_tells_of_a_couple_in_nghe_an(
    nation_dir: Path, people: sqlite3.Connection
) -> None:
    told = story(nation_dir)
    found = people.execute(
        "SELECT * FROM citizens WHERE personal_number = ?", (told.personal_number,)
    ).fetchone()
    assert (told.full_name, told.relative_number) == (found["full_name"], found["spouse"])
    assert found["permanent_province"] == "40"
    assert not found["is_deceased"]


@pytest.mark.parametrize("seed", [1, 7])
def test_a_seed_makes_the_same_people_again_and_another_seed_others(
    tmp_path: Path, seed: int, nation_dir: Path
) -> None:
    dumps = []
    for attempt in ("a", "b"):
        build_people(tmp_path / attempt, seed)
        dumps.append(dump(tmp_path / attempt))
    assert dumps[0] == dumps[1]
    assert dumps[0] != dump(read_nation(nation_dir).people)


def test_the_nation_is_made_in_seconds_of_work(tmp_path: Path) -> None:
    before = time.process_time()
    keep_data(tmp_path / "data", SEED_DEFAULT, MANIFESTS)
    assert time.process_time() - before < 10


def test_what_is_there_is_kept_and_what_is_missing_is_made(tmp_path: Path) -> None:
    data, told = tmp_path / "data", list[str]()
    keep_data(data, 7, {}, told.append)
    before = dump(data / "people.sqlite")

    keep_data(data, 8, MANIFESTS, told.append)

    assert dump(data / "people.sqlite") == before
    assert read_nation(data).seed == 7
    assert {name for name in ADAPTER_IDS if (data / name).is_dir()} == set(ADAPTER_IDS)
    assert len(told) == 1


def test_data_of_another_version_are_made_anew(tmp_path: Path) -> None:
    data, sample = tmp_path / "data", tmp_path / "samples" / "old.xml"
    for left in (data / "old.sqlite", sample):
        left.parent.mkdir()
        left.write_text("old")

    keep_data(data, SEED_DEFAULT, {})

    assert not (data / "old.sqlite").exists()
    assert not sample.exists()
    assert read_nation(data).seed == SEED_DEFAULT
