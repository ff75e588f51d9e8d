"""What the numbers of citizens and enterprises tell, and what is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.identifiers import IdentifierInvalid
from bus.kit.identifiers import (
    BIRTH_PROVINCES,
    EnterpriseCode,
    OldIdentityNumber,
    PersonalNumber,
    Sex,
    enterprise_check_digit,
)

provinces = st.sampled_from(sorted(BIRTH_PROVINCES))
digits = st.characters(whitelist_categories=["Nd"])


def test_there_are_63_provinces_of_birth_registration() -> None:
    assert len(BIRTH_PROVINCES) == 63
    assert BIRTH_PROVINCES["040"] == "Nghệ An"


@given(provinces, st.sampled_from(Sex), st.integers(1900, 2399), st.integers(0, 999_999))
def test_a_personal_number_tells_what_it_was_composed_of(
    province: str, sex: Sex, birth_year: int, serial: int
) -> None:
    number = PersonalNumber.parse(str(PersonalNumber.compose(province, sex, birth_year, serial)))
    assert (number.province_code, number.sex, number.birth_year) == (province, sex, birth_year)


@pytest.mark.parametrize(
    ("text", "sex", "birth_year"),
    [
        ("040099000001", Sex.MALE, 1999),
        ("040199000001", Sex.FEMALE, 1999),
        ("040204000001", Sex.MALE, 2004),
        ("040304000001", Sex.FEMALE, 2004),
        ("040410000001", Sex.MALE, 2110),
    ],
)
def test_the_fourth_digit_tells_century_and_sex(text: str, sex: Sex, birth_year: int) -> None:
    number = PersonalNumber.parse(text)
    assert (sex, birth_year) == (number.sex, number.birth_year)


def test_a_personal_number_is_compared_with_birth_and_sex() -> None:
    number = PersonalNumber.parse("040190000123")
    number.check_birth(date(1990, 12, 31))
    number.check_birth(1990)
    number.check_sex(Sex.FEMALE)
    with pytest.raises(IdentifierInvalid, match="year of birth"):
        number.check_birth(date(1991, 1, 1))
    with pytest.raises(IdentifierInvalid, match="sex"):
        number.check_sex(Sex.MALE)


@pytest.mark.parametrize(
    "text", ["", "04019000012", "0401900001234", "100190000123", "04019000012x"]
)
def test_what_is_no_personal_number_is_refused(text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        PersonalNumber.parse(text)


@given(st.text(digits, min_size=12, max_size=12).filter(lambda text: not text.isascii()))
def test_digits_of_other_scripts_are_refused(text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        PersonalNumber.parse(text)


def test_neither_repr_nor_error_repeats_a_persons_number() -> None:
    number = PersonalNumber.parse("040190000123")
    assert "0000123" not in repr(number)
    assert "12345678" not in repr(OldIdentityNumber.parse("123456789"))
    with pytest.raises(IdentifierInvalid) as raised:
        PersonalNumber.parse("999190000123")
    assert "190000123" not in str(raised.value)


def test_an_old_identity_number_has_nine_digits() -> None:
    assert str(OldIdentityNumber.parse("182345678")) == "182345678"
    with pytest.raises(IdentifierInvalid):
        OldIdentityNumber.parse("1823456789")


def test_a_tax_code_in_public_use_passes_the_check() -> None:
    assert EnterpriseCode.parse("0100109106").main_code == "0100109106"
    with pytest.raises(IdentifierInvalid, match="check digit"):
        EnterpriseCode.parse("0100109107")


@given(
    st.from_regex(r"[0-9]{9}", fullmatch=True).filter(
        lambda nine: enterprise_check_digit(nine) < 10
    )
)
def test_one_last_digit_of_ten_is_right(nine: str) -> None:
    taken = []
    for last in range(10):
        try:
            taken.append(EnterpriseCode.parse(f"{nine}{last}"))
        except IdentifierInvalid:
            continue
    assert [f"{nine}{enterprise_check_digit(nine)}"] == [code.text for code in taken]


@given(st.integers(0, 9))
def test_where_the_rule_gives_ten_no_enterprise_is_refused(last: int) -> None:
    assert enterprise_check_digit("000000000") == 10
    assert EnterpriseCode.parse(f"000000000{last}").text.endswith(str(last))


def test_a_dependent_unit_has_three_more_digits() -> None:
    unit = EnterpriseCode.parse("0100109106-001")
    assert unit.is_dependent_unit
    assert unit.main_code == "0100109106"
    with pytest.raises(IdentifierInvalid, match="001"):
        EnterpriseCode.parse("0100109106-000")


def test_a_number_cannot_be_made_of_facts_that_it_does_not_know() -> None:
    with pytest.raises(IdentifierInvalid, match="1900 to 2399"):
        PersonalNumber.compose("040", Sex.MALE, 1899, 1)
    with pytest.raises(IdentifierInvalid, match="6 digits"):
        PersonalNumber.compose("040", Sex.MALE, 1990, 1_000_000)


def test_a_number_names_the_province_of_its_birth() -> None:
    number = PersonalNumber.compose("040", Sex.FEMALE, 1990, 7)
    assert (number.province_code, number.province_name) == ("040", "Nghệ An")


def test_an_enterprise_code_is_ten_digits_or_ten_and_three() -> None:
    with pytest.raises(IdentifierInvalid, match="10 digits"):
        EnterpriseCode.parse("12345")
    digit = enterprise_check_digit("077785501")
    unit = EnterpriseCode.parse(f"077785501{digit}-002")
    assert (unit.main_code, unit.is_dependent_unit) == (f"077785501{digit}", True)
    assert str(unit) == f"077785501{digit}-002"
