"""Read the numbers of citizens and enterprises and check what can be checked without a register.

Sources: Decree 137/2015 and Circular 07/2016/TT-BCA (personal identification number), Decree
01/2021 Art. 8 (enterprise code), Circular 105/2020/TT-BTC Art. 5 (tax code and dependent units).
Errors never repeat the number of a person: it would end up in diagnostics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from bus.core.identifiers import IdentifierInvalid

__all__ = [
    "BIRTH_PROVINCES",
    "EnterpriseCode",
    "IdentifierInvalid",
    "OldIdentityNumber",
    "PersonalNumber",
    "Sex",
]

_TWELVE_DIGITS = re.compile(r"[0-9]{12}\Z")
_NINE_DIGITS = re.compile(r"[0-9]{9}\Z")
_ENTERPRISE_CODE = re.compile(r"([0-9]{10})(?:-([0-9]{3}))?\Z")
_ENTERPRISE_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)

BIRTH_PROVINCES = MappingProxyType(
    {
        "001": "Hà Nội",
        "002": "Hà Giang",
        "004": "Cao Bằng",
        "006": "Bắc Kạn",
        "008": "Tuyên Quang",
        "010": "Lào Cai",
        "011": "Điện Biên",
        "012": "Lai Châu",
        "014": "Sơn La",
        "015": "Yên Bái",
        "017": "Hòa Bình",
        "019": "Thái Nguyên",
        "020": "Lạng Sơn",
        "022": "Quảng Ninh",
        "024": "Bắc Giang",
        "025": "Phú Thọ",
        "026": "Vĩnh Phúc",
        "027": "Bắc Ninh",
        "030": "Hải Dương",
        "031": "Hải Phòng",
        "033": "Hưng Yên",
        "034": "Thái Bình",
        "035": "Hà Nam",
        "036": "Nam Định",
        "037": "Ninh Bình",
        "038": "Thanh Hóa",
        "040": "Nghệ An",
        "042": "Hà Tĩnh",
        "044": "Quảng Bình",
        "045": "Quảng Trị",
        "046": "Thừa Thiên Huế",
        "048": "Đà Nẵng",
        "049": "Quảng Nam",
        "051": "Quảng Ngãi",
        "052": "Bình Định",
        "054": "Phú Yên",
        "056": "Khánh Hòa",
        "058": "Ninh Thuận",
        "060": "Bình Thuận",
        "062": "Kon Tum",
        "064": "Gia Lai",
        "066": "Đắk Lắk",
        "067": "Đắk Nông",
        "068": "Lâm Đồng",
        "070": "Bình Phước",
        "072": "Tây Ninh",
        "074": "Bình Dương",
        "075": "Đồng Nai",
        "077": "Bà Rịa - Vũng Tàu",
        "079": "Thành phố Hồ Chí Minh",
        "080": "Long An",
        "082": "Tiền Giang",
        "083": "Bến Tre",
        "084": "Trà Vinh",
        "086": "Vĩnh Long",
        "087": "Đồng Tháp",
        "089": "An Giang",
        "091": "Kiên Giang",
        "092": "Cần Thơ",
        "093": "Hậu Giang",
        "094": "Sóc Trăng",
        "095": "Bạc Liêu",
        "096": "Cà Mau",
    }
)
"""Province of birth registration, the first three digits of a personal number.

GAP: nobody published whether these change with the 34 provinces of 07/2025. Issued numbers are
assumed to stand, so all 63 are taken.
"""


class Sex(StrEnum):
    """Sex as a personal number tells it."""

    MALE = "male"
    FEMALE = "female"


@dataclass(frozen=True, slots=True, order=True)
class PersonalNumber:
    """Số định danh cá nhân: province (3), century and sex (1), year (2), random (6).

    There is no check digit. `PersonalNumber.parse` is the way to make one.
    """

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PersonalNumber:
        """Read twelve digits; raise IdentifierInvalid."""
        if not _TWELVE_DIGITS.match(text):
            raise IdentifierInvalid("a personal number has 12 digits")
        if text[:3] not in BIRTH_PROVINCES:
            raise IdentifierInvalid(f"a personal number cannot begin with {text[:3]}: no province")
        return cls(text)

    @classmethod
    def compose(cls, province_code: str, sex: Sex, birth_year: int, serial: int) -> PersonalNumber:
        """Make the number of these facts; raise IdentifierInvalid."""
        if not 1900 <= birth_year <= 2399:
            raise IdentifierInvalid("a personal number knows birth years from 1900 to 2399")
        if not 0 <= serial <= 999_999:
            raise IdentifierInvalid("the serial of a personal number has 6 digits")
        century_and_sex = (birth_year - 1900) // 100 * 2 + (sex is Sex.FEMALE)
        return cls.parse(f"{province_code}{century_and_sex}{birth_year % 100:02}{serial:06}")

    @property
    def province_code(self) -> str:
        return self.text[:3]

    @property
    def province_name(self) -> str:
        return BIRTH_PROVINCES[self.text[:3]]

    @property
    def sex(self) -> Sex:
        return Sex.FEMALE if int(self.text[3]) % 2 else Sex.MALE

    @property
    def birth_year(self) -> int:
        # 0 and 1 stand for the 20th century, 2 and 3 for the 21st, and so on to the 24th.
        return 1900 + int(self.text[3]) // 2 * 100 + int(self.text[4:6])

    def check_birth(self, born: date | int) -> None:
        """Compare with a date of birth, or its year; raise IdentifierInvalid."""
        year = born.year if isinstance(born, date) else born
        if year != self.birth_year:
            raise IdentifierInvalid("the personal number tells another year of birth")

    def check_sex(self, sex: Sex) -> None:
        """Compare with a known sex; raise IdentifierInvalid."""
        if sex is not self.sex:
            raise IdentifierInvalid("the personal number tells another sex")

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class OldIdentityNumber:
    """Số chứng minh nhân dân: nine digits, issued before the personal number."""

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> OldIdentityNumber:
        """Read nine digits; raise IdentifierInvalid."""
        if not _NINE_DIGITS.match(text):
            raise IdentifierInvalid("an old identity number has 9 digits")
        return cls(text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class EnterpriseCode:
    """Mã số doanh nghiệp, which is the tax code too: `0100109106`, a unit of it `0100109106-001`.

    GAP: since 07/2025 a personal number may serve as the tax code of a household business; such a
    code is no enterprise code here.
    """

    text: str

    @classmethod
    def parse(cls, text: str) -> EnterpriseCode:
        """Read ten digits, or ten, a hyphen and three; raise IdentifierInvalid."""
        form = _ENTERPRISE_CODE.match(text)
        if not form:
            raise IdentifierInvalid(
                f"{text[:20]!r}: an enterprise code has 10 digits, or 10, a hyphen and 3"
            )
        if form[2] == "000":
            raise IdentifierInvalid(f"{text!r}: dependent units are counted from 001")
        expected = enterprise_check_digit(form[1][:9])
        # GAP: where the rule gives 10, issuers disagree (never issued, or written 0); any digit
        # stands there rather than refuse an enterprise that exists.
        if expected != 10 and expected != int(form[1][9]):
            raise IdentifierInvalid(f"{text!r}: the check digit is wrong")
        return cls(text)

    @property
    def main_code(self) -> str:
        """The code of the enterprise itself."""
        return self.text[:10]

    @property
    def is_dependent_unit(self) -> bool:
        return len(self.text) > 10

    def __str__(self) -> str:
        return self.text


def enterprise_check_digit(nine_digits: str) -> int:
    """10 - (Σ digit · weight mod 11), so from 0 to 10; 10 is no digit."""
    weighted = zip(_ENTERPRISE_WEIGHTS, nine_digits, strict=True)
    return 10 - sum(weight * int(digit) for weight, digit in weighted) % 11
