"""Name the provinces since 1 July 2025 and, as sample data, some communes of each.

Two levels: province and commune. The 34 codes are those of Decision 19/2025/QĐ-TTg. The list of
communes is not packaged here: their names and codes are invented, but for a few of Nghệ An.
"""

from __future__ import annotations

from random import Random
from types import MappingProxyType

from bus.kit.invented_nation import Place

NGHE_AN = "40"

PROVINCES = MappingProxyType(
    {
        "01": ("Thành phố Hà Nội", ("001",)),
        "04": ("Tỉnh Cao Bằng", ("004",)),
        "08": ("Tỉnh Tuyên Quang", ("008", "002")),
        "11": ("Tỉnh Điện Biên", ("011",)),
        "12": ("Tỉnh Lai Châu", ("012",)),
        "14": ("Tỉnh Sơn La", ("014",)),
        "15": ("Tỉnh Lào Cai", ("010", "015")),
        "19": ("Tỉnh Thái Nguyên", ("019", "006")),
        "20": ("Tỉnh Lạng Sơn", ("020",)),
        "22": ("Tỉnh Quảng Ninh", ("022",)),
        "24": ("Tỉnh Bắc Ninh", ("027", "024")),
        "25": ("Tỉnh Phú Thọ", ("025", "026", "017")),
        "31": ("Thành phố Hải Phòng", ("031", "030")),
        "33": ("Tỉnh Hưng Yên", ("033", "034")),
        "37": ("Tỉnh Ninh Bình", ("037", "035", "036")),
        "38": ("Tỉnh Thanh Hóa", ("038",)),
        "40": ("Tỉnh Nghệ An", ("040",)),
        "42": ("Tỉnh Hà Tĩnh", ("042",)),
        "44": ("Tỉnh Quảng Trị", ("045", "044")),
        "46": ("Thành phố Huế", ("046",)),
        "48": ("Thành phố Đà Nẵng", ("048", "049")),
        "51": ("Tỉnh Quảng Ngãi", ("051", "062")),
        "52": ("Tỉnh Gia Lai", ("064", "052")),
        "56": ("Tỉnh Khánh Hòa", ("056", "058")),
        "66": ("Tỉnh Đắk Lắk", ("066", "054")),
        "68": ("Tỉnh Lâm Đồng", ("068", "067", "060")),
        "75": ("Tỉnh Đồng Nai", ("075", "070")),
        "79": ("Thành phố Hồ Chí Minh", ("079", "074", "077")),
        "80": ("Tỉnh Tây Ninh", ("072", "080")),
        "82": ("Tỉnh Đồng Tháp", ("087", "082")),
        "86": ("Tỉnh Vĩnh Long", ("086", "083", "084")),
        "91": ("Tỉnh An Giang", ("089", "091")),
        "92": ("Thành phố Cần Thơ", ("092", "094", "093")),
        "96": ("Tỉnh Cà Mau", ("096", "095")),
    }
)
"""Code of 07/2025: name, and the provinces of birth registration that went into it."""

_COMMUNES_OF_NGHE_AN = (
    "Phường Trường Vinh",
    "Phường Thành Vinh",
    "Phường Vinh Hưng",
    "Phường Cửa Lò",
    "Xã Kim Liên",
    "Xã Nghi Lộc",
    "Xã Diễn Châu",
    "Xã Quỳ Châu",
)
_COMMUNES_ELSEWHERE = (
    "Phường Tân An",
    "Phường Hòa Bình",
    "Phường Thống Nhất",
    "Xã Bình Minh",
    "Xã Đông Phú",
    "Xã Mỹ Thạnh",
    "Xã Phước Lộc",
    "Xã Trường Sơn",
)
_STREETS = (
    "đường Lê Lợi",
    "đường Nguyễn Huệ",
    "đường Trần Phú",
    "đường Quang Trung",
    "đường Phan Bội Châu",
    "đường Hồ Xuân Hương",
    "ngõ Đền Thượng",
    "xóm Đình",
    "thôn Đoài",
    "ấp Tân Hưng",
)


def draw_province(rng: Random) -> str:
    """A province; every fifth time Nghệ An, whose offices the demo follows."""
    return NGHE_AN if rng.random() < 0.2 else rng.choice(tuple(PROVINCES))


def draw_place(rng: Random, province_code: str) -> Place:
    """An address somewhere in a province."""
    names = _COMMUNES_OF_NGHE_AN if province_code == NGHE_AN else _COMMUNES_ELSEWHERE
    index = rng.randrange(len(names))
    house = rng.randint(1, 299)
    street = rng.choice(_STREETS)
    alley = f"{rng.randint(1, 973)}/" if rng.random() < 0.08 else ""
    return Place(
        province_code,
        PROVINCES[province_code][0],
        f"{province_code}{index * 3 + 1:03}",
        names[index],
        f"Số {alley}{house} {street}",
    )
