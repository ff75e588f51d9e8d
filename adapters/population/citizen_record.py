"""Write a citizen of the invented population as the agency's CongdanCollection."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date

from lxml import etree

NAMESPACE = "http://dancuquocgia.bca"
_COUNTRY = "VN"

FindCitizen = Callable[[str], sqlite3.Row | None]


def empty_collection(as_of: date) -> etree._Element:
    """Nobody is found: an answer, not a refusal."""
    return _collection(as_of, count=0)


def collection(citizen: sqlite3.Row, find: FindCitizen, as_of: date) -> etree._Element:
    """One citizen with relatives, in the order of the agency's schema."""
    element = _collection(as_of, count=1)
    if citizen["is_deceased"]:
        element.set("GhiChu", "Đã chết")
    record = _add(element, "CongDan")
    _add(record, "SoDinhDanh", citizen["personal_number"])
    _add_known(record, "SoCMND", citizen["old_number"])
    name = _add(record, "HoVaTen")
    _add(name, "Ho", citizen["family_name"])
    _add_known(name, "ChuDem", citizen["middle_name"])
    _add(name, "Ten", citizen["given_name"])
    _add(record, "GioiTinh", citizen["sex"])
    _add(record, "DanToc", citizen["ethnicity"])
    _add(record, "TonGiao", citizen["religion"])
    _add(record, "TinhTrangHonNhan", citizen["marital_status"])
    _add(record, "NhomMau", citizen["blood_group"])
    birth = _add(record, "NgayThangNamSinh")
    _add(birth, "Nam" if len(citizen["birth"]) == 4 else "NgayThangNam", citizen["birth"])
    _add_place(record, "NoiDangKyKhaiSinh", citizen["birth_province"])
    _add(record, "QuocTich", _COUNTRY)
    _add_place(record, "QueQuan", citizen["home_province"])
    for group, prefix in (("ThuongTru", "permanent"), ("NoiOHienTai", "current")):
        _add_place(
            record,
            group,
            citizen[f"{prefix}_province"],
            commune=citizen[f"{prefix}_commune"],
            detail=citizen[f"{prefix}_detail"],
        )
    _add_family(record, citizen, find)
    return element


def _add_family(record: etree._Element, citizen: sqlite3.Row, find: FindCitizen) -> None:
    relatives = {"Cha": "father", "Me": "mother", "VoChong": "spouse", "NguoiDaiDien": "guardian"}
    for group, column in relatives.items():
        relative = find(citizen[column]) if citizen[column] else None
        if relative is not None:
            element = _add(record, group)
            _add(element, "HoVaTen", relative["full_name"])
            _add(element, "QuocTich", _COUNTRY)
            _add(element, "SoDinhDanh", relative["personal_number"])
            _add_known(element, "SoCMND", relative["old_number"])
    head = find(citizen["household_head"])
    if head is not None:
        element = _add(record, "ChuHo")
        _add(element, "QuanHe", citizen["relation"])
        _add(element, "SoDinhDanh", head["personal_number"])
        _add_known(element, "SoCMND", head["old_number"])
        _add(element, "HoVaTen", head["full_name"])
    _add_known(record, "SoSoHoKhau", citizen["household_book"])


def _collection(as_of: date, *, count: int) -> etree._Element:
    element = etree.Element(f"{{{NAMESPACE}}}CongdanCollection", nsmap={"dc": NAMESPACE})
    element.set("SoCongDan", str(count))
    element.set("ThoiDiemDuLieu", f"{as_of:%Y-%m-%d}T00:00:00+07:00")
    return element


def _add_place(
    record: etree._Element,
    group: str,
    province: str,
    *,
    commune: str | None = None,
    detail: str | None = None,
) -> None:
    place = _add(record, group)
    _add(place, "MaTinhThanh", province)
    _add_known(place, "MaPhuongXa", commune)
    _add_known(place, "ChiTiet", detail)
    _add(place, "QuocGia", _COUNTRY)


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _add_known(parent: etree._Element, name: str, text: str | None) -> None:
    if text is not None:
        _add(parent, name, text)
