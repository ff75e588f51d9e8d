"""Make the data of the invented nation and its agencies, and requests that they answer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bus.core.identifiers import ServiceId
from bus.core.registry import MemberRegistry
from bus.delivery.carrying import adapters_of
from bus.kit.invented_nation import ADULT_YEARS, InventedNation
from bus.kit.load import load_simulator_class
from bus.kit.manifest import Manifest
from bus.kit.simulator import open_to_read
from bus.sandbox.people import PEOPLE_FILE, SNAPSHOT_DAY, build_people
from bus.sandbox.places import NGHE_AN, draw_place

SEED_DEFAULT = 2026
_SEED_FILE = "seed"


@dataclass(frozen=True, slots=True)
class Story:
    """Who registers a household business in Nghệ An, and the relative who has an enterprise.

    The officer of the one-stop office looks the citizen up, sees the spouse in the answer, and
    finds the spouse as legal representative of an enterprise.
    """

    personal_number: str
    full_name: str
    birth: str
    """yyyyMMdd, or yyyy."""
    relative_number: str
    relative_name: str


def keep_data(
    data_dir: Path,
    seed: int,
    manifests: Mapping[str, Manifest],
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Make what is missing: people, then what every simulated agency knows of them.

    An agency that came later gets data about the people who are there, whatever `seed` says.
    Raises ConfigurationError: a manifest names no simulator that can be imported.
    """
    if not (data_dir / PEOPLE_FILE).is_file():
        # Also what another version left: its agencies know people who will not be there.
        shutil.rmtree(data_dir, ignore_errors=True)
        shutil.rmtree(data_dir.with_name("samples"), ignore_errors=True)
        tell("Inventing people, and what agencies know of them …")
        data_dir.mkdir(parents=True)
        (data_dir / _SEED_FILE).write_text(f"{seed}\n", "ascii")
        new = data_dir / f"{PEOPLE_FILE}.new"
        build_people(new, seed)
        new.rename(data_dir / PEOPLE_FILE)
    nation = read_nation(data_dir)
    for adapter, manifest in sorted(manifests.items()):
        folder = data_dir / adapter
        if manifest.simulator is None or folder.is_dir():
            continue
        new = folder.with_name(f"{adapter}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        load_simulator_class(manifest).make_data(nation, new)
        new.rename(folder)


def read_nation(data_dir: Path) -> InventedNation:
    """What simulators are given, over people who were made before. Raises OSError: none were."""
    people = data_dir / PEOPLE_FILE
    # The first married adult of Nghệ An, and who asks there: the samples and the demo tell of them.
    query = (
        "SELECT spouse, personal_number FROM citizens WHERE is_deceased = 0 AND birth_year < ?"
        " AND permanent_province = ? AND spouse IS NOT NULL ORDER BY rowid LIMIT 1"
    )
    with closing(open_to_read(people)) as database:
        citizen, relative = database.execute(
            query, (SNAPSHOT_DAY.year - ADULT_YEARS, NGHE_AN)
        ).fetchone()
    return InventedNation(
        seed=int((data_dir / _SEED_FILE).read_text("ascii")),
        people=people,
        as_of=SNAPSHOT_DAY,
        citizen=citizen,
        relative=relative,
        draw_place=draw_place,
    )


def story(data_dir: Path) -> Story:
    """The facts of the demo, the same for the same data."""
    nation = read_nation(data_dir)
    query = "SELECT full_name, birth FROM citizens WHERE personal_number = ?"
    with closing(open_to_read(nation.people)) as database:
        name, birth = database.execute(query, (nation.citizen,)).fetchone()
        relative_name, _ = database.execute(query, (nation.relative,)).fetchone()
    return Story(nation.citizen, name, birth, nation.relative, relative_name)


def sample_requests(
    data_dir: Path, routes: MemberRegistry, manifests: Mapping[str, Manifest]
) -> dict[ServiceId, bytes]:
    """For each service of an adapter a request: one that these data answer, or its own sample."""
    nation = read_nation(data_dir)
    made = {
        adapter: load_simulator_class(manifest).sample_requests(nation, data_dir / adapter)
        for adapter, manifest in manifests.items()
        if manifest.simulator is not None
    }
    found = {}
    for service_id, service in routes.services.items():
        for adapter in sorted(adapters_of(service, routes)):
            known = made.get(adapter, {})
            if service_id.service_code in known:
                found[service_id] = known[service_id.service_code]
            elif sample := _packaged_sample(manifests.get(adapter), service_id):
                found[service_id] = sample.read_bytes()
    return found


def _packaged_sample(manifest: Manifest | None, asked: ServiceId) -> Path | None:
    for service in manifest.services if manifest else ():
        if (service.code, service.version) == (asked.service_code, asked.service_version):
            return service.sample
    return None
