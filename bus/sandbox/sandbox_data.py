"""Build the invented data of all agencies, and pick from it what the demo and the samples ask."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lxml import etree

from bus.sandbox.enterprises import ACTIVE, ENTERPRISES_FILE, build_enterprises
from bus.sandbox.people import POPULATION_FILE, SNAPSHOT_DAY, build_population
from bus.sandbox.places import NGHE_AN

SEED_DEFAULT = 2026
POPULATION_SERVICES = "VN/GOV/G01/dancu"
REGISTRY_SERVICES = "VN/GOV/G12/dkdn"
_POPULATION_NAMESPACE = "http://dancuquocgia.bca"
_DOCUMENT = "Giấy đề nghị đăng ký doanh nghiệp"
_REGISTRY_NAMESPACE = "urn:lienthong:dang-ky-doanh-nghiep:1.0"


@dataclass(frozen=True, slots=True)
class Story:
    """Who registers a household business in Nghệ An, and the enterprise of the family.

    The officer of the one-stop office looks the citizen up, sees the spouse in the answer, and
    finds the spouse as legal representative of the enterprise.
    """

    personal_number: str
    full_name: str
    birth: str
    """yyyyMMdd, or yyyy."""
    address: str
    enterprise_code: str
    enterprise_name: str
    representative_number: str
    representative_name: str
    relation: str
    """What the representative is to the citizen: VoChong, as the answer's element says."""
    journal_number: str
    """A dossier of the enterprise."""


def build_data(data_dir: Path, seed: int = SEED_DEFAULT) -> None:
    """Write population.sqlite and enterprises.sqlite afresh."""
    data_dir.mkdir(parents=True, exist_ok=True)
    build_population(data_dir / POPULATION_FILE, seed)
    build_enterprises(data_dir / ENTERPRISES_FILE, data_dir / POPULATION_FILE, seed)


def story(data_dir: Path) -> Story:
    """The facts of the demo, the same for the same data."""
    with _open(data_dir) as database:
        row = database.execute(
            "SELECT c.personal_number, c.full_name, c.birth, c.permanent_detail,"
            " e.ENTERPRISE_GDT_CODE AS code, e.NAME AS enterprise_name,"
            " r.personal_number AS representative, r.FULL_NAME AS representative_name,"
            " d.IN_JOURNAL_NO AS journal_number"
            " FROM registry.enterprises e"
            " JOIN registry.representatives r ON r.enterprise = e.ENTERPRISE_GDT_CODE"
            " JOIN registry.dossiers d ON d.ENTERPRISE_CODE = e.ENTERPRISE_GDT_CODE"
            " JOIN citizens p ON p.personal_number = r.personal_number"
            " JOIN citizens c ON c.personal_number = p.spouse"
            " WHERE e.ENTERPRISE_STATUS = ? AND c.permanent_province = ? AND c.is_deceased = 0"
            " ORDER BY e.rowid, d.rowid LIMIT 1",
            (ACTIVE, NGHE_AN),
        ).fetchone()
    return Story(
        personal_number=row["personal_number"],
        full_name=row["full_name"],
        birth=row["birth"],
        address=f"{row['permanent_detail']}, Tỉnh Nghệ An",
        enterprise_code=row["code"],
        enterprise_name=row["enterprise_name"],
        representative_number=row["representative"],
        representative_name=row["representative_name"],
        relation="VoChong",
        journal_number=row["journal_number"],
    )


def sample_requests(data_dir: Path) -> dict[str, bytes]:
    """For each service a request element that this data answers, keyed by full service id."""
    told = story(data_dir)
    first_day, last_day = _dossier_days(data_dir)
    citizen = {
        "MaYeuCau": "MC-H41-2026-000001",
        "MaDVC": "H41.MOTCUA",
        "MaCanBo": "CB-H41-0117",
        "SoDinhDanh": told.personal_number,
        "HoVaTen": told.full_name,
        "NgayThangNamSinh": told.birth,
    }
    registry = {
        "chiTietDoanhNghiep": {"msdn": told.enterprise_code},
        "danhSachHoSoTrongNgay": {
            "from_ts": "00:00",
            "to_ts": "23:59",
            "offset": "0",
            "limit": "20",
        },
        "danhSachHoSo": {"from_date": first_day, "to_date": last_day, "offset": "0", "limit": "20"},
        "tinhTrangHoSo": {"in_journal_no": told.journal_number},
    }
    requests = {
        f"{POPULATION_SERVICES}/{code}/v1": _element(_POPULATION_NAMESPACE, code, citizen)
        for code in ("TraCuuThongTinCongDan", "XacThucThongTinCongDan", "XacMinhThongTinNhanThan")
    }
    requests |= {
        f"{REGISTRY_SERVICES}/{code}/v1": _element(_REGISTRY_NAMESPACE, code, fields)
        for code, fields in registry.items()
    }
    documents = _documents(told.journal_number)
    return requests | {f"{REGISTRY_SERVICES}/nopTaiLieu/v1": documents}


def _documents(journal_number: str) -> bytes:
    """Hand in a document that stands in the request itself."""
    fields = {"in_journal_no": journal_number}
    root = etree.fromstring(_element(_REGISTRY_NAMESPACE, "nopTaiLieu", fields))
    document = etree.SubElement(root, f"{{{_REGISTRY_NAMESPACE}}}TaiLieu")
    etree.SubElement(document, f"{{{_REGISTRY_NAMESPACE}}}Ten").text = _DOCUMENT
    content = etree.SubElement(document, f"{{{_REGISTRY_NAMESPACE}}}NoiDung")
    content.text = b64encode(_DOCUMENT.encode()).decode("ascii")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=False)


def _dossier_days(data_dir: Path) -> tuple[str, str]:
    """The last day with a dossier, as both ends of a span."""
    with _open(data_dir) as database:
        last = database.execute(
            "SELECT max(substr(received, 1, 10)) FROM registry.dossiers WHERE received < ?",
            (f"{SNAPSHOT_DAY}",),
        ).fetchone()[0]
    day = f"{datetime.fromisoformat(last):%d/%m/%Y}"
    return day, day


def _element(namespace: str, name: str, fields: Mapping[str, str]) -> bytes:
    element = etree.Element(f"{{{namespace}}}{name}", nsmap={"p": namespace})
    for field, text in fields.items():
        child = etree.SubElement(element, f"{{{namespace}}}{field}")
        if field == "NgayThangNamSinh":
            part = "Nam" if len(text) == 4 else "NgayThangNam"
            child = etree.SubElement(child, f"{{{namespace}}}{part}")
        child.text = text
    return etree.tostring(element, encoding="UTF-8", xml_declaration=False)


@contextmanager
def _open(data_dir: Path) -> Iterator[sqlite3.Connection]:
    """Both databases, the registry's under the name `registry`."""
    with closing(sqlite3.connect(data_dir / POPULATION_FILE)) as database:
        database.row_factory = sqlite3.Row
        database.execute("ATTACH ? AS registry", (str(data_dir / ENTERPRISES_FILE),))
        yield database
