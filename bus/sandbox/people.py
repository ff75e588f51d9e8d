"""Invent people: families whose numbers, names, ages and addresses agree with each other.

Nobody in it exists. The same seed gives the same people.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import date, timedelta
from operator import attrgetter
from pathlib import Path
from random import Random

from bus.kit.identifiers import PersonalNumber, Sex
from bus.kit.invented_nation import ADULT_YEARS, Place
from bus.sandbox.personal_names import draw_family_name, draw_given_names
from bus.sandbox.places import PROVINCES, draw_place, draw_province

PEOPLE_FILE = "people.sqlite"
CITIZENS = 10_000
SNAPSHOT_DAY = date(2026, 1, 1)
"""The day on which the invented nation stands still; ages are counted up to it."""

# Sample codes: the lists of QCVN 109:2017 are not public.
SINGLE, MARRIED, WIDOWED = "1", "2", "3"
HEAD, SPOUSE_OF_HEAD, CHILD_OF_HEAD, PARENT_OF_HEAD = "CH01", "CH02", "CH03", "CH04"


@dataclass(slots=True)
class Citizen:
    """A row of the register. Mutable while its family is put together, then written once."""

    personal_number: str
    old_number: str | None
    family_name: str
    middle_name: str | None
    given_name: str
    full_name: str
    sex: str
    """1 male, 2 female."""
    birth: str
    """yyyyMMdd, or yyyy where no more is known."""
    birth_year: int
    ethnicity: str
    religion: str
    blood_group: str
    birth_province: str
    """Where the birth was registered, as the province is called now: the personal number keeps the
    code that it had then."""
    home_province: str
    permanent_province: str
    permanent_commune: str
    permanent_detail: str
    current_province: str
    current_commune: str
    current_detail: str
    marital_status: str = SINGLE
    father: str | None = None
    mother: str | None = None
    spouse: str | None = None
    guardian: str | None = None
    household_head: str | None = None
    relation: str | None = None
    household_book: str | None = None
    is_deceased: int = 0


class _Register:
    """Hand out citizens with numbers that nobody has yet."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._taken: set[str] = set()

    def citizen(
        self, sex: Sex, birth_year: int, place: Place, *, family_name: str | None = None
    ) -> Citizen:
        rng = self.rng
        registered = rng.choice(PROVINCES[place.province_code][1])
        family = family_name or draw_family_name(rng)
        middle, given = draw_given_names(rng, sex)
        current = place if rng.random() < 0.85 else draw_place(rng, draw_province(rng))
        return Citizen(
            personal_number=self._personal_number(registered, sex, birth_year),
            old_number=self._old_number() if birth_year <= 2000 and rng.random() < 0.6 else None,
            family_name=family,
            middle_name=middle,
            given_name=given,
            full_name=unicodedata.normalize("NFC", " ".join(filter(None, (family, middle, given)))),
            sex="2" if sex is Sex.FEMALE else "1",
            birth=self._birth(birth_year),
            birth_year=birth_year,
            ethnicity="01" if rng.random() < 0.87 else f"{rng.randint(2, 54):02}",
            religion="00" if rng.random() < 0.85 else f"{rng.randint(1, 6):02}",
            blood_group="00" if rng.random() < 0.5 else f"{rng.randint(1, 4):02}",
            birth_province=place.province_code,
            home_province=place.province_code,
            permanent_province=place.province_code,
            permanent_commune=place.commune_code,
            permanent_detail=f"{place.street}, {place.commune_name}",
            current_province=current.province_code,
            current_commune=current.commune_code,
            current_detail=f"{current.street}, {current.commune_name}",
        )

    def _personal_number(self, province_code: str, sex: Sex, birth_year: int) -> str:
        while True:
            serial = self.rng.randrange(1_000_000)
            number = str(PersonalNumber.compose(province_code, sex, birth_year, serial))
            if self._take(number):
                return number

    def _old_number(self) -> str:
        while True:
            number = f"{self.rng.randrange(10_000_000, 390_000_000):09}"
            if self._take(number):
                return number

    def _take(self, number: str) -> bool:
        is_free = number not in self._taken
        self._taken.add(number)
        return is_free

    def _birth(self, birth_year: int) -> str:
        if birth_year < 1960 and self.rng.random() < 0.05:
            return str(birth_year)
        day = date(birth_year, 1, 1) + timedelta(days=self.rng.randrange(365))
        return f"{day:%Y%m%d}"


def _household(register: _Register, book: str) -> list[Citizen]:
    rng = register.rng
    place = draw_place(rng, draw_province(rng))
    if rng.random() < 0.15:
        sex = rng.choice((Sex.MALE, Sex.FEMALE))
        people = [register.citizen(sex, rng.randint(1950, 2005), place)]
        people[0].relation = HEAD
    else:
        people = _family(register, place)
    head = next(person for person in people if person.relation == HEAD)
    for person in people:
        person.household_head = head.personal_number
        person.household_book = book
    return people


def _family(register: _Register, place: Place) -> list[Citizen]:
    rng = register.rng
    father = register.citizen(Sex.MALE, rng.randint(1955, 2000), place)
    mother_year = min(2003, father.birth_year + rng.randint(-3, 6))
    mother = register.citizen(Sex.FEMALE, mother_year, place)
    _marry(father, mother)
    father.relation, mother.relation = HEAD, SPOUSE_OF_HEAD
    people = [father, mother, *_children(register, place, father, mother)]
    if rng.random() < 0.3:
        people += _grandparents(register, place, father)
    return people


def _children(
    register: _Register, place: Place, father: Citizen, mother: Citizen
) -> Iterator[Citizen]:
    rng = register.rng
    first_year = max(father.birth_year, mother.birth_year) + 20
    last_year = min(mother.birth_year + 42, SNAPSHOT_DAY.year - 1)
    if first_year > last_year:
        return
    for _ in range(rng.choice((0, 1, 1, 2, 2, 2, 3))):
        sex = rng.choice((Sex.MALE, Sex.FEMALE))
        year = rng.randint(first_year, last_year)
        child = register.citizen(sex, year, place, family_name=father.family_name)
        child.father, child.mother = father.personal_number, mother.personal_number
        child.ethnicity, child.relation = father.ethnicity, CHILD_OF_HEAD
        if year >= SNAPSHOT_DAY.year - ADULT_YEARS:
            child.guardian = rng.choice((child.father, child.mother))
        yield child


def _grandparents(register: _Register, place: Place, son: Citizen) -> list[Citizen]:
    rng = register.rng
    year = son.birth_year - rng.randint(21, 35)
    grandfather = register.citizen(Sex.MALE, year, place, family_name=son.family_name)
    grandmother = register.citizen(Sex.FEMALE, min(year + 4, son.birth_year - 20), place)
    _marry(grandfather, grandmother)
    if rng.random() < 0.3:
        grandfather.is_deceased = 1
        grandmother.marital_status, grandmother.spouse = WIDOWED, None
        grandfather.spouse = None
    son.father, son.mother = grandfather.personal_number, grandmother.personal_number
    grandfather.relation = grandmother.relation = PARENT_OF_HEAD
    return [grandfather, grandmother]


def _marry(husband: Citizen, wife: Citizen) -> None:
    husband.spouse, wife.spouse = wife.personal_number, husband.personal_number
    husband.marital_status = wife.marital_status = MARRIED


def build_people(path: Path, seed: int) -> None:
    """Write a fresh register of 10,000 citizens; whatever stood at `path` is replaced."""
    register = _Register(Random(seed))  # noqa: S311 - invented people need no secrecy
    citizens: list[Citizen] = []
    while len(citizens) < CITIZENS:
        household = _household(register, f"{register.rng.randrange(10**9):09}")
        # A household is written whole or not at all: nobody's father may be missing.
        if len(citizens) + len(household) <= CITIZENS:
            citizens += household
    columns = [field.name for field in fields(Citizen)]
    rows = map(attrgetter(*columns), citizens)
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            f"CREATE TABLE citizens ({', '.join(columns)}, PRIMARY KEY (personal_number))"
        )
        database.execute("CREATE UNIQUE INDEX citizens_old_number ON citizens (old_number)")
        database.executemany(
            f"INSERT INTO citizens VALUES ({', '.join('?' for _ in columns)})",  # noqa: S608
            rows,
        )
