"""Invent a business registry whose representatives and members live in the invented population.

No enterprise in it exists. The same seed and the same people give the same enterprises.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from random import Random
from types import MappingProxyType

from bus.kit.identifiers import enterprise_check_digit
from bus.kit.invented_nation import ADULT_YEARS, InventedNation, Place

ENTERPRISES_FILE = "enterprises.sqlite"
ENTERPRISES = 2_000

# GAP: the registry's code lists are not public; these are sample codes.
ENTERPRISE_STATUSES = MappingProxyType(
    {
        "01": "Đang hoạt động",
        "02": "Tạm ngừng kinh doanh",
        "03": "Không còn hoạt động tại địa chỉ đã đăng ký",
        "04": "Bị thu hồi Giấy chứng nhận do cưỡng chế về quản lý thuế",
        "05": "Đang làm thủ tục giải thể, đã bị chia, bị hợp nhất, bị sáp nhập",
        "06": "Đang làm thủ tục phá sản",
        "07": "Đã giải thể, phá sản, chấm dứt tồn tại",
    }
)
"""The legal statuses of Decree 01/2021 Art. 41, under sample codes."""
ACTIVE = "01"
_STATUS_WEIGHTS = (80, 7, 4, 2, 3, 1, 3)

_FORMS = MappingProxyType(
    {
        "TNHH1": ("Công ty trách nhiệm hữu hạn một thành viên", "Công ty TNHH MTV", 1),
        "TNHH2": ("Công ty trách nhiệm hữu hạn hai thành viên trở lên", "Công ty TNHH", 3),
        "CTCP": ("Công ty cổ phần", "Công ty cổ phần", 5),
        "DNTN": ("Doanh nghiệp tư nhân", "Doanh nghiệp tư nhân", 1),
    }
)
"""Sample code: name of the legal form, how a name begins, most members invented."""

_SECTORS = MappingProxyType(
    {
        "0111": "Trồng lúa",
        "0322": "Nuôi trồng thủy sản nội địa",
        "1020": "Chế biến, bảo quản thủy sản và các sản phẩm từ thủy sản",
        "1410": "May trang phục (trừ trang phục từ da lông thú)",
        "3100": "Sản xuất giường, tủ, bàn, ghế",
        "4101": "Xây dựng nhà để ở",
        "4322": "Lắp đặt hệ thống cấp, thoát nước, hệ thống sưởi và điều hòa không khí",
        "4520": "Bảo dưỡng, sửa chữa ô tô và xe có động cơ khác",
        "4632": "Bán buôn thực phẩm",
        "4663": "Bán buôn vật liệu, thiết bị lắp đặt khác trong xây dựng",
        "4933": "Vận tải hàng hóa bằng đường bộ",
        "5510": "Dịch vụ lưu trú ngắn ngày",
        "5610": "Nhà hàng và các dịch vụ ăn uống phục vụ lưu động",
        "6201": "Lập trình máy vi tính",
        "7110": "Hoạt động kiến trúc và tư vấn kỹ thuật có liên quan",
        "7911": "Đại lý du lịch",
    }
)
"""VSIC 2018 (Decision 27/2018), a few classes."""
_OWN_NAMES = (
    "Hồng Lam",
    "Sông Lam",
    "Trường Sơn",
    "Hưng Thịnh",
    "An Phát",
    "Thành Đạt",
    "Minh Khôi",
    "Đại Việt",
    "Tân Tiến",
    "Hoàng Gia",
    "Phú Quý",
    "Bình An",
    "Ngọc Linh",
    "Đông Á",
    "Việt Tín",
    "Thái Dương",
    "Kim Liên",
    "Bảo Châu",
    "Hải Âu",
    "Quê Hương",
)
_TRADES = (
    ("Thương mại", "TRADING"),
    ("Xây dựng", "CONSTRUCTION"),
    ("Thương mại và Dịch vụ", "TRADING AND SERVICES"),
    ("Đầu tư phát triển", "INVESTMENT AND DEVELOPMENT"),
    ("Công nghệ", "TECHNOLOGY"),
)

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Adult:
    """A citizen who may own or represent an enterprise."""

    personal_number: str
    full_name: str
    province: str


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is written to each table; the columns are the agency's own field names."""

    enterprises: list[Row]
    activities: list[Row]
    members: list[Row]
    representatives: list[Row]
    dossiers: list[Row]


def build_enterprises(nation: InventedNation, folder: Path) -> None:
    """Write a registry of 2,000 enterprises into an empty folder."""
    invention = _Invention(nation, Random(nation.seed + 1))  # noqa: S311 - no secrecy needed
    for number in range(ENTERPRISES):
        invention.add_enterprise(is_of_relative=number == 0)
    _write(folder / ENTERPRISES_FILE, invention.rows)


def _adults(nation: InventedNation) -> list[Adult]:
    """All living adults."""
    query = (
        "SELECT personal_number, full_name, permanent_province FROM citizens"
        " WHERE is_deceased = 0 AND birth_year < ? ORDER BY rowid"
    )
    with closing(sqlite3.connect(nation.people)) as database:
        found = database.execute(query, (nation.as_of.year - ADULT_YEARS,)).fetchall()
    return [Adult(*row) for row in found]


class _Invention:
    """The rows so far, and what the next ones are drawn from."""

    def __init__(self, nation: InventedNation, rng: Random) -> None:
        self.rows = _Rows([], [], [], [], [])
        self._nation = nation
        self._rng = rng
        self._adults = _adults(nation)
        self._relative = next(one for one in self._adults if one.personal_number == nation.relative)
        self._codes = _codes(rng)

    def add_enterprise(self, *, is_of_relative: bool) -> None:
        """One more; that of the relative about whom the samples ask is active."""
        rng = self._rng
        first = self._relative if is_of_relative else rng.choice(self._adults)
        status = (
            ACTIVE if is_of_relative else rng.choices(list(ENTERPRISE_STATUSES), _STATUS_WEIGHTS)[0]
        )
        code = next(self._codes)
        form = rng.choice(list(_FORMS))
        most = min(_FORMS[form][2], 5)
        others = rng.sample(self._adults, rng.randint(min(most - 1, 1), most - 1))
        owners = [first, *(adult for adult in others if adult != first)]
        capital = rng.randint(2, 400) * 50_000_000
        founded = self._nation.as_of - timedelta(days=rng.randint(400, 7000))
        representatives = owners[:2] if form == "CTCP" and rng.random() < 0.3 else owners[:1]
        dossiers = list(_dossiers(rng, code, founded, first, self._nation.as_of))
        place = self._nation.draw_place(rng, first.province)
        rows = self.rows
        rows.enterprises.append(
            _main_information(rng, code, form)
            | _address(place)
            | {
                "FOUNDING_DATE": _day(founded),
                "LAST_AMEND_DATE": dossiers[-1]["REGISTRATION_DATE"] if dossiers[1:] else None,
                "NUMBER_CHANGES": len(dossiers) - 1,
                "ENTERPRISE_STATUS": status,
                "LEGAL_NAMES": "; ".join(adult.full_name for adult in representatives),
                "CAPITAL_AMOUNT": capital,
            }
        )
        rows.representatives.extend(
            {
                "enterprise": code,
                "FULL_NAME": adult.full_name,
                "personal_number": adult.personal_number,
            }
            for adult in representatives
        )
        rows.members.extend(_members(rng, code, owners, capital))
        rows.activities.extend(_activities(rng, code))
        rows.dossiers.extend(dossiers)


def _codes(rng: Random) -> Iterator[str]:
    """Enterprise codes with right check digits, some of them of dependent units; none twice."""
    taken: set[str] = set()
    while True:
        nine = f"{rng.randint(1, 63):02}{rng.randrange(10**7):07}"
        check_digit = enterprise_check_digit(nine)
        # Where the rule gives 10 (no digit), no code is made.
        if check_digit == 10 or nine in taken:
            continue
        taken.add(nine)
        unit = f"-{rng.randint(1, 9):03}" if rng.random() < 0.03 else ""
        yield f"{nine}{check_digit}{unit}"


def _main_information(rng: Random, code: str, form: str) -> Row:
    trade, foreign_trade = rng.choice(_TRADES)
    own_name = rng.choice(_OWN_NAMES)
    plain = _plain(own_name)
    return {
        "ENTERPRISE_ID": str(rng.randrange(10**8, 10**9)),
        "ENTERPRISE_GDT_CODE": code,
        "IMP_BUSINESS_CODE": None,
        "ENTERPRISE_TYPE_ID": form,
        "ENTERPRISE_TYPE_NAME": _FORMS[form][0],
        "NAME": f"{_FORMS[form][1]} {trade} {own_name}",
        "SHORT_NAME": plain.title().replace(" ", "") if rng.random() < 0.5 else None,
        "NAME_F": f"{plain.upper()} {foreign_trade} COMPANY",
    }


def _address(place: Place) -> Row:
    return {
        "CityID": place.province_code,
        "CityName": place.province_name,
        "DistrictID": None,
        "DistrictName": None,
        "WardID": place.commune_code,
        "WardName": place.commune_name,
        "StreetNumber": place.street,
        "AddressFullText": f"{place.text}, Việt Nam",
    }


def _members(rng: Random, code: str, owners: Sequence[Adult], capital: int) -> Iterator[Row]:
    # Shares in hundredths of a percent, so that they are 100.00 together.
    cuts = sorted(rng.sample(range(1, 100), len(owners) - 1))
    bounds = [0, *(cut * 100 for cut in cuts), 10_000]
    for owner, low, high in zip(owners, bounds, bounds[1:], strict=False):
        yield {
            "enterprise": code,
            "MEMBER_NAME": owner.full_name,
            "AMOUNT": capital * (high - low) // 10_000,
            "RATIO_PERCENT": (high - low) / 100,
            "COUNTRY": "Việt Nam",
            "personal_number": owner.personal_number,
        }


def _activities(rng: Random, code: str) -> Iterator[Row]:
    for position, sector in enumerate(rng.sample(list(_SECTORS), rng.randint(1, 5))):
        is_main = "Y" if position == 0 else "N"
        yield {"enterprise": code, "CODE": sector, "NAME": _SECTORS[sector], "IS_MAIN": is_main}


def _dossiers(rng: Random, code: str, founded: date, contact: Adult, as_of: date) -> Iterator[Row]:
    """The founding, then changes; every tenth enterprise has one in work in the last ten days."""
    days = [founded]
    days += sorted(founded + timedelta(days=rng.randint(30, 390)) for _ in range(rng.randint(0, 2)))
    if rng.random() < 0.1:
        days.append(as_of - timedelta(days=rng.randint(1, 10)))
    for position, day in enumerate(days):
        received = datetime.combine(day, time(rng.randint(7, 16), rng.randint(0, 59)))
        in_work = as_of - day <= timedelta(days=3)
        done = None if in_work else _day(day + timedelta(days=3))
        yield {
            "IN_JOURNAL_NO": f"{contact.province}-{day:%y}-{code[:10]}{position}",
            "DOCUMENT_TYPE": "TL" if position == 0 else "TD",
            "ENTERPRISE_CODE": code,
            "SITE_ID": contact.province,
            "RECEIPT_DATE": f"{received:%d/%m/%Y %H:%M}",
            "PLAN_DATE": _day(day + timedelta(days=3)),
            "PROCESS_STATUS": "DXL" if in_work else "DTKQ",
            "PROCESSED_DATE": done,
            "REGISTRATION_DATE": done,
            "SUPPLEMENT_DATE": None,
            "SUBMISSION_TYPE": rng.choice(("TT", "QM")),
            "CONTACT_FULL_NAME": contact.full_name,
            "CONTACT_ADDRESS": None,
            "CONTACT_ID_NO": contact.personal_number,
            "CONTACT_PHONE": f"09{rng.randrange(10**8):08}",
            "CONTACT_EMAIL": None,
            "received": f"{received:%Y-%m-%d %H:%M}",
        }


def _day(day: date) -> str:
    return f"{day:%d/%m/%Y}"


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFD", name.replace("Đ", "D").replace("đ", "d"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "enterprises": "PRIMARY KEY (ENTERPRISE_GDT_CODE)",
        "activities": "PRIMARY KEY (enterprise, CODE)",
        "members": "PRIMARY KEY (enterprise, personal_number)",
        "representatives": "PRIMARY KEY (enterprise, personal_number)",
        "dossiers": "PRIMARY KEY (IN_JOURNAL_NO)",
    }
)


def _write(path: Path, rows: _Rows) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for table, key in _TABLES.items():
            found: list[Row] = getattr(rows, table)
            columns = list(found[0])
            database.execute(f"CREATE TABLE {table} ({', '.join(columns)}, {key})")
            places = ", ".join(f":{column}" for column in columns)
            database.executemany(f"INSERT INTO {table} VALUES ({places})", found)  # noqa: S608
        database.execute("CREATE INDEX dossiers_received ON dossiers (received)")
        database.execute("CREATE INDEX dossiers_enterprise ON dossiers (ENTERPRISE_CODE)")
