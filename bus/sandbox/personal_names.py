"""Draw Vietnamese personal names: family name by its frequency, middle and given name by sex."""

from __future__ import annotations

from random import Random
from types import MappingProxyType

from bus.kit.identifiers import Sex

_FAMILY_NAMES = MappingProxyType(
    {
        "Nguyễn": 38,
        "Trần": 12,
        "Lê": 10,
        "Phạm": 7,
        "Hoàng": 5,
        "Phan": 5,
        "Vũ": 4,
        "Đặng": 3,
        "Bùi": 3,
        "Đỗ": 2,
        "Hồ": 2,
        "Ngô": 2,
        "Dương": 1,
        "Lý": 1,
        "Đinh": 1,
        "Trịnh": 1,
        "Mai": 1,
        "Cao": 1,
        "Thái": 1,
    }
)
_MIDDLE_NAMES = MappingProxyType(
    {
        Sex.MALE: ("Văn", "Hữu", "Đức", "Quang", "Minh", "Xuân", "Đình", "Công", "Thế", "Ngọc"),
        Sex.FEMALE: ("Thị", "Thị", "Thị Ngọc", "Thị Thu", "Thanh", "Thùy", "Phương", "Hồng"),
    }
)
_GIVEN_NAMES = MappingProxyType(
    {
        Sex.MALE: (
            (
                "An",
                "Bình",
                "Cường",
                "Dũng",
                "Đạt",
                "Hải",
                "Hiếu",
                "Hùng",
                "Khánh",
                "Long",
                "Mạnh",
                "Nam",
                "Phúc",
                "Quân",
                "Sơn",
                "Thắng",
                "Tuấn",
                "Việt",
                "Vượng",
                "Ý",
            )
        ),
        Sex.FEMALE: (
            (
                "Ánh",
                "Châu",
                "Dung",
                "Giang",
                "Hà",
                "Hằng",
                "Hạnh",
                "Hiền",
                "Hoa",
                "Hương",
                "Lan",
                "Linh",
                "Mai",
                "Nga",
                "Nguyệt",
                "Nhung",
                "Oanh",
                "Thảo",
                "Trang",
                "Yến",
            )
        ),
    }
)


def draw_family_name(rng: Random) -> str:
    return rng.choices(tuple(_FAMILY_NAMES), tuple(_FAMILY_NAMES.values()))[0]


def draw_given_names(rng: Random, sex: Sex) -> tuple[str | None, str]:
    """Middle name, which some people do not have, and given name."""
    middle = None if rng.random() < 0.03 else rng.choice(_MIDDLE_NAMES[sex])
    return middle, rng.choice(_GIVEN_NAMES[sex])
