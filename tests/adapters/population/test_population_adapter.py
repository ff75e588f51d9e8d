"""The population adapter against the simulated population database."""

from __future__ import annotations

import sqlite3
import threading
import time
import unicodedata
from pathlib import Path

import pytest
from lxml import etree

import schemas
from adapters.population.adapter import PopulationAdapter, plain_name, upper_name
from bus.kit.contract import (
    AccountRefused,
    AnswerInvalid,
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
from tests.hang_limits import HANG_SECONDS_MAX

NS = "{http://dancuquocgia.bca}"
LOOK_UP = "VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"
AUTHENTICATE = "VN/GOV/G01/dancu/XacThucThongTinCongDan/v1"
VERIFY = "VN/GOV/G01/dancu/XacMinhThongTinNhanThan/v1"
SCHEMA = etree.XMLSchema(etree.parse(schemas.FOLDER / "dancu/1.0/dancu.xsd"))


def ask(
    adapter: PopulationAdapter, service: str, payload: bytes, timeout_seconds: float = 10.0
) -> etree._Element:
    request = etree.fromstring(payload)
    SCHEMA.assertValid(request)
    element = adapter.answer(query(service, payload, timeout_seconds=timeout_seconds)).element
    SCHEMA.assertValid(etree.fromstring(etree.tostring(element)))
    return element


def changed(payload: bytes, field: str, text: str) -> bytes:
    element = etree.fromstring(payload)
    found = element.find(f".//{NS}{field}")
    assert found is not None
    found.text = text
    return etree.tostring(element)


@pytest.mark.parametrize("service", [LOOK_UP, AUTHENTICATE, VERIFY])
def test_every_service_answers_its_sample(
    population: PopulationAdapter, data_dir: Path, service: str
) -> None:
    answer = ask(population, service, sample_requests(data_dir)[service])
    assert answer.tag == f"{NS}{service.split('/')[4]}Response"


def test_a_look_up_tells_the_citizen_with_vietnamese_letters_intact(
    population: PopulationAdapter, data_dir: Path
) -> None:
    told = story(data_dir)
    answer = ask(population, LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    name = answer.find(f".//{NS}CongDan/{NS}HoVaTen")
    assert name is not None
    full_name = " ".join(part.text or "" for part in name)
    assert told.full_name == full_name
    assert unicodedata.is_normalized("NFC", full_name)
    assert told.personal_number == answer.findtext(f".//{NS}CongDan/{NS}SoDinhDanh")
    assert told.relative_name == answer.findtext(f".//{NS}VoChong/{NS}HoVaTen")


def test_every_citizen_can_be_written_in_the_schema(
    population: PopulationAdapter, data_dir: Path
) -> None:
    with sqlite3.connect(data_dir / "people.sqlite") as database:
        rows = database.execute(
            "SELECT personal_number, full_name, birth FROM citizens WHERE rowid % 400 = 0"
            " OR (length(birth) = 4 AND rowid % 3 = 0)"
        ).fetchall()
    sample = sample_requests(data_dir)[LOOK_UP]
    for number, full_name, birth in rows:
        request = changed(changed(sample, "SoDinhDanh", number), "HoVaTen", full_name)
        if len(birth) == 4:
            request = request.replace(b"NgayThangNam>", b"Nam>")
        born = "Nam" if len(birth) == 4 else "NgayThangNam"
        answer = ask(population, LOOK_UP, changed(request, born, birth))
        assert answer[0].get("SoCongDan") == "1"
    assert len(rows) > 25


def test_a_decomposed_lower_case_name_finds_the_same_citizen(
    population: PopulationAdapter, data_dir: Path
) -> None:
    name = unicodedata.normalize("NFD", story(data_dir).full_name.lower())
    request = changed(sample_requests(data_dir)[LOOK_UP], "HoVaTen", name)
    assert ask(population, LOOK_UP, request)[0].get("SoCongDan") == "1"


def test_names_may_be_sent_without_accents_and_spaces(
    population_agency: RunningAgency, data_dir: Path
) -> None:
    settings = dict(population_agency.settings) | {"name_form": "plain"}
    adapter = PopulationAdapter(settings)
    answer = ask(adapter, AUTHENTICATE, sample_requests(data_dir)[AUTHENTICATE])
    assert answer.findtext(f".//{NS}TonTai") == "true"
    assert plain_name("Đặng Thị Ngọc Ánh") == "DANGTHINGOCANH"
    assert upper_name(" Đặng  Thị Ánh ") == "ĐẶNG THỊ ÁNH"


def test_an_unknown_form_of_names_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="expected one of upper, plain"):
        PopulationAdapter(settings_of("population", "http://127.0.0.1:9") | {"name_form": "lower"})


def test_fields_of_the_office_are_sent_where_they_are_set(
    population_agency: RunningAgency, data_dir: Path
) -> None:
    office = {"ma_don_vi": "H41", "tai_khoan": "motcua", "so_dien_thoai": "02383000000"}
    adapter = PopulationAdapter(dict(population_agency.settings) | office)
    answer = ask(adapter, LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    assert answer[0].get("SoCongDan") == "1"


def test_an_old_identity_number_finds_its_citizen(
    population: PopulationAdapter, data_dir: Path
) -> None:
    with sqlite3.connect(data_dir / "people.sqlite") as database:
        number, full_name, birth = database.execute(
            "SELECT old_number, full_name, birth FROM citizens"
            " WHERE old_number IS NOT NULL AND length(birth) = 8"
        ).fetchone()
    request = sample_requests(data_dir)[LOOK_UP].replace(b"SoDinhDanh>", b"SoCMND>")
    request = changed(changed(request, "SoCMND", number), "HoVaTen", full_name)
    answer = ask(population, LOOK_UP, changed(request, "NgayThangNam", birth))
    assert answer.findtext(f".//{NS}CongDan/{NS}SoCMND") == number


def test_nobody_found_is_an_answer(population: PopulationAdapter, data_dir: Path) -> None:
    samples = sample_requests(data_dir)
    request = changed(samples[LOOK_UP], "HoVaTen", "Trần Không Có Ai")
    assert ask(population, LOOK_UP, request)[0].get("SoCongDan") == "0"
    request = changed(samples[AUTHENTICATE], "HoVaTen", "Trần Không Có Ai")
    assert ask(population, AUTHENTICATE, request).findtext(f".//{NS}TonTai") == "false"
    request = changed(samples[VERIFY], "HoVaTen", "Trần Không Có Ai")
    verified = [child.text for child in ask(population, VERIFY, request)[0]]
    assert verified == ["true", "false", "true"]


def test_a_day_that_no_calendar_has_is_rejected_before_the_agency_is_asked(
    data_dir: Path,
) -> None:
    adapter = PopulationAdapter(settings_of("population", f"http://127.0.0.1:{free_port()}"))
    request = changed(sample_requests(data_dir)[LOOK_UP], "NgayThangNam", "19850231")
    with pytest.raises(PayloadRejected, match="calendar"):
        ask(adapter, LOOK_UP, request)


def test_a_number_of_another_birth_year_is_rejected(data_dir: Path) -> None:
    adapter = PopulationAdapter(settings_of("population", f"http://127.0.0.1:{free_port()}"))
    request = changed(sample_requests(data_dir)[LOOK_UP], "NgayThangNam", "19010101")
    with pytest.raises(PayloadRejected, match="SoDinhDanh"):
        ask(adapter, LOOK_UP, request)


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("down", RecipientUnavailable),
        ("garbage", AnswerInvalid),
        ("refuse", RecipientRefused),
    ],
)
def test_a_fault_of_the_agency_is_named(
    population: PopulationAdapter,
    population_agency: RunningAgency,
    data_dir: Path,
    mode: str,
    error: type[Exception],
) -> None:
    with population_agency.fault(mode), pytest.raises(error):
        ask(population, LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    ask(population, LOOK_UP, sample_requests(data_dir)[LOOK_UP])


def test_a_refusal_hands_on_the_agencys_words_but_keeps_them_out_of_the_log(
    population: PopulationAdapter, population_agency: RunningAgency, data_dir: Path
) -> None:
    with population_agency.fault("refuse"), pytest.raises(RecipientRefused) as raised:
        ask(population, LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    assert raised.value.public_detail == "Đơn vị không được phép khai thác"
    assert raised.value.detail == "SOAP fault soap:Server"


def test_an_answer_that_breaks_the_schema_is_left_to_the_hubs_validation(
    population: PopulationAdapter, population_agency: RunningAgency, data_dir: Path
) -> None:
    request = query(LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    with population_agency.fault("wrong-answer"):
        element = population.answer(request).element
    assert not SCHEMA.validate(element)


def test_an_answer_to_another_question_counts_as_unavailable(
    population: PopulationAdapter, population_agency: RunningAgency, data_dir: Path
) -> None:
    request = query(VERIFY, sample_requests(data_dir)[VERIFY])
    with population_agency.fault("wrong-answer"), pytest.raises(RecipientUnavailable):
        population.answer(request)


def test_a_slow_agency_costs_no_more_than_the_timeout(
    population: PopulationAdapter, population_agency: RunningAgency, data_dir: Path
) -> None:
    before = time.monotonic()
    with population_agency.fault("slow", seconds=SLOW_SECONDS), pytest.raises(RecipientTimeout):
        ask(population, LOOK_UP, sample_requests(data_dir)[LOOK_UP], timeout_seconds=0.5)
    assert time.monotonic() - before < SLOW_SECONDS


def test_an_agency_that_is_not_there_is_unavailable_and_does_not_hinder_the_start(
    data_dir: Path,
) -> None:
    adapter = PopulationAdapter(settings_of("population", f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(RecipientUnavailable):
        ask(adapter, LOOK_UP, sample_requests(data_dir)[LOOK_UP])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"secret": "another"}, AccountRefused),
        ({"username": "another"}, AccountRefused),
        ({"ma_tich_hop_tra_cuu": "999"}, RecipientRefused),
    ],
)
def test_a_wrong_account_is_told_as_such_and_a_wrong_code_is_refused(
    population_agency: RunningAgency,
    data_dir: Path,
    wrong: dict[str, str],
    error: type[Exception],
) -> None:
    adapter = PopulationAdapter(dict(population_agency.settings) | wrong)
    with pytest.raises(error):
        ask(adapter, LOOK_UP, sample_requests(data_dir)[LOOK_UP])


def test_a_clock_that_is_wrong_spoils_our_proof(
    population_agency: RunningAgency, data_dir: Path
) -> None:
    settings = population_agency.settings
    adapter = PopulationAdapter(settings, clock=lambda: 1_000_000_000_000)
    with pytest.raises(AccountRefused):
        ask(adapter, LOOK_UP, sample_requests(data_dir)[LOOK_UP])


def test_many_threads_get_their_own_answers(population: PopulationAdapter, data_dir: Path) -> None:
    samples = sample_requests(data_dir)
    given: list[str] = []

    def work(service: str) -> None:
        given.extend(ask(population, service, samples[service]).tag for _ in range(5))

    services = [LOOK_UP, AUTHENTICATE, VERIFY] * 2
    threads = [threading.Thread(target=work, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=HANG_SECONDS_MAX)
    expected = [f"{NS}{service.split('/')[4]}Response" for service in services for _ in range(5)]
    assert sorted(expected) == sorted(given)


def test_neither_secret_nor_payload_shows_in_a_repr(data_dir: Path) -> None:
    request = query(LOOK_UP, sample_requests(data_dir)[LOOK_UP])
    assert story(data_dir).personal_number not in repr(request)
