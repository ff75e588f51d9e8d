"""Pick from answers the few facts that the demo shows, under Vietnamese labels."""

from __future__ import annotations

from lxml import etree

_SEXES = {"0": "chưa biết", "1": "nam", "2": "nữ"}
_ANSWERS = {"true": "đúng: có công dân này", "false": "không có công dân này"}
_STATUSES = {"01": "đang hoạt động"}


def facts_of(element: etree._Element, path: str) -> list[str]:
    """The texts of every element of that path (local names) anywhere below."""
    steps = "/".join(f"{{*}}{step}" for step in path.split("/"))
    return [found.text or "" for found in element.iterfind(f".//{steps}")]


def citizen_facts(answer: etree._Element) -> dict[str, str]:
    """Of TraCuuThongTinCongDan: who the citizen is, and to whom she is married."""
    citizen = next(answer.iterfind(".//{*}CongDan"))
    name = [part.text or "" for part in next(citizen.iterfind("{*}HoVaTen"))]
    return {
        "Số định danh": _first(citizen, "SoDinhDanh"),
        "Họ và tên": " ".join(name),
        "Ngày sinh": _day(_first(citizen, "NgayThangNamSinh/NgayThangNam")),
        "Giới tính": _SEXES.get(_first(citizen, "GioiTinh"), ""),
        "Nơi thường trú": _first(citizen, "ThuongTru/ChiTiet"),
        "Vợ/chồng": _first(citizen, "VoChong/HoVaTen"),
    }


def confirmation_facts(answer: etree._Element) -> dict[str, str]:
    """Of XacThucThongTinCongDan: yes or no."""
    return {"Xác thực": _ANSWERS.get(_first(answer, "TonTai"), "")}


def enterprise_facts(answer: etree._Element) -> dict[str, str]:
    """Of chiTietDoanhNghiep: which enterprise, and who stands for it."""
    status = _first(answer, "ENTERPRISE_STATUS")
    return {
        "Mã số doanh nghiệp": _first(answer, "ENTERPRISE_GDT_CODE"),
        "Tên": _first(answer, "MainInformation/NAME"),
        "Trụ sở": _first(answer, "AddressFullText"),
        "Tình trạng": _STATUSES.get(status, status),
        "Người đại diện": _first(answer, "LEGAL_NAMES"),
    }


def _first(element: etree._Element, path: str) -> str:
    return next(iter(facts_of(element, path)), "")


def _day(text: str) -> str:
    return f"{text[6:8]}/{text[4:6]}/{text[:4]}" if len(text) == 8 else text
