"""The business registry adapter against the simulated business registry."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest
from lxml import etree

import schemas
from adapters.business_registry.adapter import BusinessRegistryAdapter
from bus.kit.contract import (
    AccountRefused,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.sandbox.leased_ports import free_port
from bus.sandbox.sandbox_data import story
from tests.adapters.running_agencies import (
    SLOW_SECONDS,
    RunningAgency,
    query,
    sample_requests,
    settings_of,
)

NS = "{urn:lienthong:dang-ky-doanh-nghiep:1.0}"
PREFIX = "VN/GOV/G12/dkdn"
ENTERPRISE = f"{PREFIX}/chiTietDoanhNghiep/v1"
TODAY = f"{PREFIX}/danhSachHoSoTrongNgay/v1"
DAYS = f"{PREFIX}/danhSachHoSo/v1"
DOSSIER = f"{PREFIX}/tinhTrangHoSo/v1"
SCHEMA = etree.XMLSchema(etree.parse(schemas.FOLDER / "dkdn/1.0/dkdn.xsd"))


def ask(
    adapter: BusinessRegistryAdapter, service: str, payload: bytes, timeout_seconds: float = 10.0
) -> etree._Element:
    SCHEMA.assertValid(etree.fromstring(payload))
    element = adapter.answer(query(service, payload, timeout_seconds=timeout_seconds)).element
    SCHEMA.assertValid(etree.fromstring(etree.tostring(element)))
    return element


def request(service: str, **fields: str) -> bytes:
    element = etree.Element(f"{NS}{service.split('/')[4]}")
    for name, text in fields.items():
        etree.SubElement(element, f"{NS}{name}").text = text
    return etree.tostring(element)


@pytest.mark.parametrize("service", [ENTERPRISE, TODAY, DAYS, DOSSIER])
def test_every_service_answers_its_sample(
    registry: BusinessRegistryAdapter, data_dir: Path, service: str
) -> None:
    answer = ask(registry, service, sample_requests(data_dir)[service])
    assert answer.tag == f"{NS}{service.split('/')[4]}Response"
    assert len(answer) > 0


def test_an_enterprise_is_told_with_its_representative_and_vietnamese_letters_intact(
    registry: BusinessRegistryAdapter, data_dir: Path
) -> None:
    told = story(data_dir)
    answer = ask(registry, ENTERPRISE, sample_requests(data_dir)[ENTERPRISE])
    assert "Công ty" in answer.findtext(f"{NS}MainInformation/{NS}NAME", "")
    assert told.relative_name == answer.findtext(f"{NS}Representatives/{NS}FULL_NAME")
    assert answer.findtext(f"{NS}HOAdress/{NS}CityName") == "Tỉnh Nghệ An"


def test_every_enterprise_can_be_written_in_the_schema(
    registry: BusinessRegistryAdapter, data_dir: Path
) -> None:
    with sqlite3.connect(data_dir / "business_registry" / "enterprises.sqlite") as database:
        codes = database.execute(
            "SELECT ENTERPRISE_GDT_CODE FROM enterprises WHERE rowid % 50 = 0"
            " OR (length(ENTERPRISE_GDT_CODE) > 10 AND rowid % 5 = 0)"
        ).fetchall()
    for (code,) in codes:
        answer = ask(registry, ENTERPRISE, request(ENTERPRISE, msdn=code))
        assert code == answer.findtext(f"{NS}MainInformation/{NS}ENTERPRISE_GDT_CODE")
    assert len(codes) > 40


def test_a_list_counts_all_and_gives_a_page(
    registry: BusinessRegistryAdapter, data_dir: Path
) -> None:
    span = {"from_date": "29/12/2025", "to_date": "31/12/2025"}
    whole = ask(registry, DAYS, request(DAYS, **span, limit="500"))
    page = ask(registry, DAYS, request(DAYS, **span, offset="1", limit="2"))
    numbers = [found.text for found in whole.iter(f"{NS}IN_JOURNAL_NO")]
    assert str(len(numbers)) == page.findtext(f"{NS}DataCount")
    assert numbers[1:3] == [found.text for found in page.iter(f"{NS}IN_JOURNAL_NO")]


def test_an_empty_list_is_an_answer(registry: BusinessRegistryAdapter) -> None:
    span = {"from_date": "01/01/1990", "to_date": "05/01/1990"}
    answer = ask(registry, DAYS, request(DAYS, **span))
    assert answer.findtext(f"{NS}DataCount") == "0"
    assert len(answer) == 1


def test_what_the_registry_does_not_know_is_refused_in_its_own_words(
    registry: BusinessRegistryAdapter,
) -> None:
    with pytest.raises(RecipientRefused) as raised:
        ask(registry, ENTERPRISE, request(ENTERPRISE, msdn="0100109106-077"))
    assert raised.value.public_detail == "Không tìm thấy doanh nghiệp"
    with pytest.raises(RecipientRefused):
        ask(registry, DOSSIER, request(DOSSIER, in_journal_no="40-99-1"))


@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (ENTERPRISE, {"msdn": "0100109107"}),
        (DAYS, {"from_date": "01/12/2025", "to_date": "06/12/2025"}),
        (DAYS, {"from_date": "02/12/2025", "to_date": "01/12/2025"}),
        (DAYS, {"from_date": "31/02/2025", "to_date": "01/03/2025"}),
        (TODAY, {"from_ts": "17:00", "to_ts": "08:00"}),
    ],
)
def test_what_the_schema_cannot_check_is_rejected_before_the_agency_is_asked(
    service: str, fields: dict[str, str]
) -> None:
    adapter = BusinessRegistryAdapter(
        settings_of("business_registry", f"http://127.0.0.1:{free_port()}")
    )
    with pytest.raises(PayloadRejected):
        ask(adapter, service, request(service, **fields))


def test_a_token_that_the_registry_forgot_is_fetched_again_once(
    registry: BusinessRegistryAdapter, registry_agency: RunningAgency, data_dir: Path
) -> None:
    sample = sample_requests(data_dir)[ENTERPRISE]
    ask(registry, ENTERPRISE, sample)
    registry_agency.post("/_forget_tokens")
    ask(registry, ENTERPRISE, sample)


@pytest.mark.parametrize("wrong", [{"client_id": "another"}, {"client_secret": "another"}])
def test_a_wrong_account_is_told_as_such(
    registry_agency: RunningAgency, data_dir: Path, wrong: dict[str, str]
) -> None:
    adapter = BusinessRegistryAdapter(dict(registry_agency.settings) | wrong)
    with pytest.raises(AccountRefused):
        ask(adapter, ENTERPRISE, sample_requests(data_dir)[ENTERPRISE])


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("down", RecipientUnavailable),
        ("garbage", RecipientUnavailable),
        ("refuse", RecipientRefused),
    ],
)
def test_a_fault_of_the_agency_is_named(
    registry: BusinessRegistryAdapter,
    registry_agency: RunningAgency,
    data_dir: Path,
    mode: str,
    error: type[Exception],
) -> None:
    sample = sample_requests(data_dir)[ENTERPRISE]
    with registry_agency.fault(mode), pytest.raises(error):
        ask(registry, ENTERPRISE, sample)
    ask(registry, ENTERPRISE, sample)


@pytest.mark.parametrize("service", [ENTERPRISE, DAYS, DOSSIER])
def test_an_answer_that_breaks_the_schema_is_left_to_the_hubs_validation(
    registry: BusinessRegistryAdapter, registry_agency: RunningAgency, data_dir: Path, service: str
) -> None:
    with registry_agency.fault("wrong-answer"):
        element = registry.answer(query(service, sample_requests(data_dir)[service])).element
    assert not SCHEMA.validate(element)


def test_a_slow_agency_costs_no_more_than_the_timeout(
    registry: BusinessRegistryAdapter, registry_agency: RunningAgency, data_dir: Path
) -> None:
    before = time.monotonic()
    with registry_agency.fault("slow", seconds=SLOW_SECONDS), pytest.raises(RecipientTimeout):
        ask(registry, ENTERPRISE, sample_requests(data_dir)[ENTERPRISE], timeout_seconds=0.5)
    assert time.monotonic() - before < SLOW_SECONDS


def test_an_agency_that_is_not_there_is_unavailable(data_dir: Path) -> None:
    adapter = BusinessRegistryAdapter(
        settings_of("business_registry", f"http://127.0.0.1:{free_port()}")
    )
    with pytest.raises(RecipientUnavailable):
        ask(adapter, ENTERPRISE, sample_requests(data_dir)[ENTERPRISE])
