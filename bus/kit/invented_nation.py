"""Say what simulated agencies invent their data from: people, places and a day, the same for all.

Nobody in it exists. The sandbox makes the people once from a seed; each simulator makes from them
what its agency knows, so that two agencies that are asked about one person tell of the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from random import Random

ADULT_YEARS = 18


@dataclass(frozen=True, slots=True)
class Place:
    """An address in a commune of a province; there is no district between them any more."""

    province_code: str
    province_name: str
    commune_code: str
    commune_name: str
    street: str

    @property
    def text(self) -> str:
        return f"{self.street}, {self.commune_name}, {self.province_name}"


@dataclass(frozen=True, slots=True)
class InventedNation:
    """What every simulator is given; the same seed gives the same nation."""

    seed: int
    people: Path
    """SQLite, for reading: the table `citizens`, one row a person, with personal_number,
    old_number, full_name (and its parts family_name, middle_name, given_name), sex (1 male,
    2 female), birth (yyyyMMdd or yyyy), birth_year, permanent_province, permanent_commune,
    permanent_detail, father, mother, spouse, guardian, household_head (personal numbers),
    is_deceased (0 or 1), and more."""
    as_of: date
    """The day on which the nation stands still; ages are counted up to it."""
    citizen: str
    """Personal number of the person about whom sample requests ask."""
    relative: str
    """That of the spouse. What can be about a relative is about this one: who is found here has
    an entry in every agency that keeps entries of some people only."""
    draw_place: Callable[[Random, str], Place]
    """An address somewhere in the province of a code."""
