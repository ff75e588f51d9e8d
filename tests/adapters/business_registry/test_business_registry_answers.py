"""Whatever JSON the business registry gives becomes an answer, or one of two errors."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

import schemas
from adapters.business_registry.answers import write_answer
from adapters.business_registry.fields import ADDRESS, DOSSIER, ENTERPRISE_GROUPS, MAIN_INFORMATION
from bus.kit.contract import RecipientRefused, RecipientUnavailable

NS = "urn:lienthong:dang-ky-doanh-nghiep:1.0"
SERVICES = ["chiTietDoanhNghiep", "danhSachHoSoTrongNgay", "danhSachHoSo", "tinhTrangHoSo"]
XS = {"xs": "http://www.w3.org/2001/XMLSchema"}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)
groups = st.dictionaries(st.sampled_from([*MAIN_INFORMATION, *DOSSIER, *ADDRESS]), values)
replies = st.fixed_dictionaries(
    {},
    optional={
        "Status": st.sampled_from([0, 1, "0", "1", None, 2]),
        "DataCount": values,
        "Message": values,
        **{key: groups | st.lists(groups | values, max_size=2) for key in ENTERPRISE_GROUPS},
        "Data": st.lists(groups, max_size=2) | values,
    },
)


@given(st.sampled_from(SERVICES), replies)
def test_any_json_object_is_an_answer_or_one_of_two_errors(
    service: str, given_reply: dict[str, object]
) -> None:
    try:
        element = write_answer(service, given_reply, dossiers_key="Data")
    except (RecipientRefused, RecipientUnavailable):
        return
    assert etree.fromstring(etree.tostring(element)).tag == f"{{{NS}}}{service}Response"


def test_amounts_are_written_without_exponent() -> None:
    reply = {"Status": 1, "MainInformation": {"CAPITAL_AMOUNT": Decimal("1.5E+10")}}
    element = write_answer("chiTietDoanhNghiep", reply, dossiers_key="Data")
    assert element.findtext(f".//{{{NS}}}CAPITAL_AMOUNT") == "15000000000"


def test_dossiers_may_be_listed_under_another_name() -> None:
    reply = {"Status": 1, "DataCount": 1, "Items": [{"IN_JOURNAL_NO": "1"}]}
    element = write_answer("danhSachHoSo", reply, dossiers_key="Items")
    assert element.findtext(f".//{{{NS}}}IN_JOURNAL_NO") == "1"


def test_a_long_refusal_is_handed_on_short_and_on_one_line() -> None:
    with pytest.raises(RecipientRefused) as raised:
        write_answer("tinhTrangHoSo", {"Status": 0, "Message": "a\n" * 500}, dossiers_key="Data")
    assert len(raised.value.public_detail) == 200
    assert "\n" not in raised.value.public_detail


@pytest.mark.parametrize(
    ("group", "fields"),
    [*ENTERPRISE_GROUPS.items(), ("HoSo", DOSSIER)],
    ids=lambda one: str(one)[:9],
)
def test_the_fields_stand_in_the_order_of_the_schema(group: str, fields: list[str]) -> None:
    schema = etree.parse(schemas.FOLDER / "dkdn/1.0/dkdn.xsd")
    declared = schema.xpath(
        "/xs:schema/xs:complexType[@name=$group]/xs:sequence/xs:element/@name",
        namespaces=XS,
        group=group,
    )
    assert list(fields) == declared
