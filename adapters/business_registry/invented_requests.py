"""Ask about the enterprise of the invented nation's relative, service by service."""

from __future__ import annotations

import sqlite3
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime

from lxml import etree

from adapters.business_registry.answers import NAMESPACE
from adapters.business_registry.invented_enterprises import ACTIVE
from bus.kit.invented_nation import InventedNation

_DOCUMENT = "Giấy đề nghị đăng ký doanh nghiệp"
_PAGE = {"offset": "0", "limit": "20"}


def invented_requests(nation: InventedNation, database: sqlite3.Connection) -> Mapping[str, bytes]:
    """By service code, a request that the registry in the database answers."""
    code, journal_number = database.execute(
        "SELECT e.ENTERPRISE_GDT_CODE, d.IN_JOURNAL_NO FROM enterprises e"
        " JOIN representatives r ON r.enterprise = e.ENTERPRISE_GDT_CODE"
        " JOIN dossiers d ON d.ENTERPRISE_CODE = e.ENTERPRISE_GDT_CODE"
        " WHERE r.personal_number = ? AND e.ENTERPRISE_STATUS = ?"
        " ORDER BY e.rowid, d.rowid LIMIT 1",
        (nation.relative, ACTIVE),
    ).fetchone()
    day = _last_day(nation, database)
    fields = {
        "chiTietDoanhNghiep": {"msdn": code},
        "danhSachHoSoTrongNgay": {"from_ts": "00:00", "to_ts": "23:59", **_PAGE},
        "danhSachHoSo": {"from_date": day, "to_date": day, **_PAGE},
        "tinhTrangHoSo": {"in_journal_no": journal_number},
        "nopTaiLieu": {"in_journal_no": journal_number},
    }
    elements = {service: _element(service, given) for service, given in fields.items()}
    _add_document(elements["nopTaiLieu"])
    return {
        service: etree.tostring(element, encoding="UTF-8", xml_declaration=False)
        for service, element in elements.items()
    }


def _last_day(nation: InventedNation, database: sqlite3.Connection) -> str:
    """The last day with a dossier."""
    (last,) = database.execute(
        "SELECT max(substr(received, 1, 10)) FROM dossiers WHERE received < ?",
        (f"{nation.as_of}",),
    ).fetchone()
    return f"{datetime.fromisoformat(last):%d/%m/%Y}"


def _element(service: str, fields: Mapping[str, str]) -> etree._Element:
    element = etree.Element(f"{{{NAMESPACE}}}{service}", nsmap={"p": NAMESPACE})
    for field, text in fields.items():
        etree.SubElement(element, f"{{{NAMESPACE}}}{field}").text = text
    return element


def _add_document(element: etree._Element) -> None:
    """A document that stands in the request itself."""
    document = etree.SubElement(element, f"{{{NAMESPACE}}}TaiLieu")
    etree.SubElement(document, f"{{{NAMESPACE}}}Ten").text = _DOCUMENT
    content = etree.SubElement(document, f"{{{NAMESPACE}}}NoiDung")
    content.text = b64encode(_DOCUMENT.encode()).decode("ascii")
