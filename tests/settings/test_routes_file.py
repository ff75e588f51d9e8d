"""routes.yaml is read whole, or refused with every mistake at once."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.metaservices import RESERVED_SERVICE_CODES
from bus.core.registry import FaultSpelling, MemberRegistry, Mode
from bus.settings import routes_form, routes_values
from bus.settings.routes import parse_registry, read_registry
from signing.policy import DIGEST_ALGORITHMS, SIGNATURE_ALGORITHMS, SignaturePolicy

REFERENCE = Path(__file__).parents[2] / "routes.yaml"
REFERENCE_TEXT = REFERENCE.read_text()

SMALL = """\
instance: VN
hub: VN/GOV/G22/truclienthong
members:
  - id: VN/GOV/G22
    name: Văn phòng Chính phủ
    organ_code: G22
    organ_code_2016: 000.00.00.G22
    subsystems: [truclienthong]
  - id: VN/GOV/H41
    name: Nghệ An
    organ_code: H41
    organ_code_2016: 000.00.00.H41
    subsystems: [motcua, vanban]
services:
  - id: VN/GOV/G22/truclienthong/hoi/v1
    title: Hỏi
    adapter: echo
    schema: echo/1.0/echo.xsd
    mode: query
    timeout_seconds: 1.5
grants:
  - clients: [VN/GOV/H41/motcua, VN/GOV/H41/vanban]
    services: [VN/GOV/G22/truclienthong/hoi/v1]
    purpose: Thử
    legal_basis: Không
"""


def nation(text: str) -> MemberRegistry:
    return parse_registry(text.encode(), file="routes.yaml")


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        nation(text)
    return [str(problem) for problem in caught.value.problems]


# --- the good path -------------------------------------------------------------------------


def test_the_reference_nation_is_sound() -> None:
    read = read_registry(REFERENCE)

    motcua = SubsystemId.parse("VN/GOV/H41/motcua")
    lookup = ServiceId.parse("VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1")
    assert str(read.hub) == "VN/GOV/G22/truclienthong"
    assert read.grants[(motcua, lookup)].purpose.startswith("Giải quyết thủ tục")
    assert read.services[lookup].mode is Mode.QUERY
    assert len(read.services) == 10
    assert len(read.subscriptions[ServiceId.parse("VN/GOV/G22/vanban/PhatHanhVanBan/v1")]) == 34
    assert all(service.provider.member in read.members for service in read.services)


def test_both_organ_codes_lead_to_the_member() -> None:
    read = read_registry(REFERENCE)

    assert read.member_by_organ_code["H41"] == MemberId.parse("VN/GOV/H41")
    assert read.member_by_organ_code["000.00.00.H41"] == MemberId.parse("VN/GOV/H41")


def test_the_digest_names_the_very_bytes() -> None:
    read = read_registry(REFERENCE)

    assert read.text == REFERENCE.read_bytes()
    assert read.digest == hashlib.sha256(REFERENCE.read_bytes()).digest()


def test_one_entry_grants_each_service_to_each_client() -> None:
    read = nation(SMALL)

    assert {str(client) for client, _ in read.grants} == {
        "VN/GOV/H41/motcua",
        "VN/GOV/H41/vanban",
    }


def test_a_member_proves_itself_by_its_id_unless_told_otherwise() -> None:
    named = SMALL.replace(
        "organ_code: H41\n", "organ_code: H41\n    certificate_subject: MST-2900\n"
    )

    read = nation(named)

    assert dict(read.member_by_certificate_subject) == {
        "VN/GOV/G22": MemberId.parse("VN/GOV/G22"),
        "MST-2900": MemberId.parse("VN/GOV/H41"),
    }


def test_what_is_not_said_has_the_defaults_of_the_core() -> None:
    read = nation(SMALL)

    assert read.limits == Limits()
    assert read.policy == SignaturePolicy()
    assert (read.faults.spelling, read.faults.http_status) == (FaultSpelling.PASCAL, 500)


def test_limits_faults_and_signatures_are_taken_over() -> None:
    read = nation(
        SMALL
        + "limits: {signature_references_max: 5}\n"
        + "faults: {spelling: snake, http_status: 200}\n"
        + "signatures: {algorithms: [ed25519], digests: [sha512], rsa_bits_min: 3072}\n"
    )

    assert read.limits.signature_references_max == 5
    assert read.policy.references_max == 5
    assert read.policy.rsa_bits_min == 3072
    assert len(read.policy.signature_algorithms) == len(read.policy.digest_algorithms) == 1
    assert (read.faults.spelling, read.faults.http_status) == (FaultSpelling.SNAKE, 200)


def test_a_service_can_be_switched_off_with_a_notice() -> None:
    read = nation(
        SMALL.replace("mode: query", "mode: query\n    enabled: false\n    notice: Bảo trì")
    )

    (service,) = read.services.values()
    assert (service.is_enabled, service.notice) == (False, "Bảo trì")


def test_every_algorithm_of_the_core_has_a_name_and_every_limit_a_key() -> None:
    names = set(get_args(routes_form.SignatureAlgorithmName))

    assert names == set(routes_form.SIGNATURE_ALGORITHM_NAMES)
    assert set(routes_form.SIGNATURE_ALGORITHM_NAMES.values()) == SIGNATURE_ALGORITHMS
    assert set(routes_form.DIGEST_ALGORITHM_NAMES.values()) == DIGEST_ALGORITHMS
    assert list(routes_form.LimitsForm.model_fields) == [limit.name for limit in fields(Limits)]


# --- one mistake, one problem ----------------------------------------------------------------

MISTAKES = [
    ("instance: VN", "instance: VN!", 1, "instance", "expected 1 to 64 characters"),
    ("instance: VN", "", 2, "instance", "missing; expected: The X-Road instance"),
    ("hub: VN/GOV/G22/truclienthong", "hub: VN/GOV/G22", 2, "hub", "expected instance/class/code"),
    ("G22/truclienthong\n", "G22/trucliethong\n", 2, "hub", "Did you mean 'truclienthong'?"),
    ("hub: VN", "hub: &a !!str VN", 2, "hub", "the tag tag:yaml.org,2002:str is not allowed"),
    ("members:", "memberz: 1\nmembers:", 3, "memberz", "not known. Did you mean 'members'?"),
    ("id: VN/GOV/H41", "id: EE/GOV/H41", 9, "members[1].id", "expected an id that starts with VN/"),
    ("id: VN/GOV/H41", "id: VN/GOV/G22", 9, "members[1].id", "VN/GOV/G22 stands twice"),
    ("name: Nghệ An", "name: ' Nghệ An'", 10, "members[1].name", "without blanks around it"),
    ("name: Nghệ An", "name: 41", 10, "members[1].name", "expected text, found a whole number"),
    ("code: H41", "code: h41", 11, "members[1].organ_code", "organ code of Decision 20/2020"),
    (
        "code: H41",
        "code: G22",
        11,
        "members[1].organ_code",
        "G22 stands twice, first at members[0]",
    ),
    ("code: H41", f"code: H41{'.123' * 9}", 11, "members[1].organ_code", "at most 35 characters"),
    ("name: Nghệ An", 'name: "Nghệ\\tAn"', 10, "members[1].name", "one line of printable text"),
    (".00.H41", ".H41", 12, "members[1].organ_code_2016", "organ code of QCVN 102:2016"),
    (".00.H41", ".00.H42", 12, "members[1].organ_code_2016", "expected a code that ends with .H41"),
    ("[motcua, vanban]", "[]", 13, "members[1].subsystems", "at least 1 in the list"),
    ("[motcua, vanban]", "[motcua, vanban, a/b]", 13, "members[1].subsystems[2]", "1 to 64"),
    ("[motcua, vanban]", "[motcua, vanban, vanban]", 13, "members[1].subsystems[2]", "twice"),
    (
        "G22/truclienthong/hoi/v1\n    t",
        "G22/khac/hoi/v1\n    t",
        15,
        "services[0].id",
        "no subsystem",
    ),
    (
        "G22/truclienthong/hoi/v1\n    t",
        "G22/hoi/v1\n    t",
        15,
        "services[0].id",
        "service/version",
    ),
    ("title: Hỏi", "titel: Hỏi", 16, "services[0].titel", "Did you mean 'title'?"),
    ("adapter: echo", "adapter: ../echo", 17, "services[0].adapter", "name of a folder below"),
    ("schema: echo", "schema: ../echo", 18, "services[0].schema", "a path below the schemas'"),
    ("mode: query", "mode: qery", 19, "services[0].mode", "expected 'query' or 'submission'"),
    ("seconds: 1.5", "seconds: '1.5'", 20, "services[0].timeout_seconds", "a number, found text"),
    ("seconds: 1.5", "seconds: 0", 20, "services[0].timeout_seconds", "a number greater than 0"),
    ("seconds: 1.5", "seconds: 301", 20, "services[0].timeout_seconds", "of at most 300"),
    ("mode: query", "notice: Bảo trì\n    mode: query", 19, "services[0].notice", "switched off"),
    ("H41/vanban]", "H41/vanbn]", 22, "grants[0].clients[1]", "Did you mean 'vanban'?"),
    ("H41/vanban]", "H43/vanban]", 22, "grants[0].clients[1]", "the member VN/GOV/H43 is not"),
    ("H41/vanban]", "H41/motcua]", 22, "grants[0].clients[1]", "to VN/GOV/H41/motcua stands twice"),
    ("hoi/v1]", "hoi/v2]", 23, "grants[0].services[0]", "is not registered. Did you mean"),
    ("purpose: Thử", "purpose: ''", 24, "grants[0].purpose", "not empty"),
    (
        "    legal_basis: Không",
        "",
        22,
        "grants[0].legal_basis",
        "missing; expected: The text of law",
    ),
    (
        "legal_basis: Không",
        "purpose: Thử",
        25,
        "grants[0].purpose",
        "stands twice, first in line 24",
    ),
]


def with_mistake(right: str, wrong: str) -> str:
    assert right in SMALL
    return SMALL.replace(right, wrong, 1)


@pytest.mark.parametrize(("right", "wrong", "line", "path", "words"), MISTAKES)
def test_each_mistake_is_told_with_path_and_line(
    right: str, wrong: str, line: int, path: str, words: str
) -> None:
    told = problems_of(with_mistake(right, wrong))

    start = f"routes.yaml:{line}: {path}: "
    assert any(problem.startswith(start) and words in problem for problem in told), told


@pytest.mark.parametrize(
    ("appended", "path", "words"),
    [
        ("limits: {envelope_bytes_max: 0}", "limits.envelope_bytes_max", "at least 1"),
        ("limits: {envelope_bytes_max: 1e3}", "limits.envelope_bytes_max", "found a number"),
        ("limits: {envelop_bytes_max: 1}", "limits.envelop_bytes_max", "'envelope_bytes_max'?"),
        ("faults: {http_status: 404}", "faults.http_status", "expected 200 or 500"),
        ("faults: {spelling: kebab}", "faults.spelling", "expected 'pascal' or 'snake'"),
        ("signatures: {algorithms: [rsa-sha1]}", "signatures.algorithms[0]", "'rsa-sha256'"),
        ("signatures: {digests: []}", "signatures.digests", "at least 1 in the list"),
        ("signatures: {rsa_bits_min: 1024}", "signatures.rsa_bits_min", "at least 2048"),
        ("faults: [200]", "faults", "expected keys with values, found a list"),
    ],
)
def test_each_mistake_in_a_short_section_is_told(appended: str, path: str, words: str) -> None:
    (told,) = problems_of(SMALL + appended + "\n")

    assert told.startswith(f"routes.yaml:26: {path}: ")
    assert words in told


def test_two_members_cannot_prove_themselves_by_one_certificate_subject() -> None:
    text = SMALL.replace(
        "organ_code: H41\n", "organ_code: H41\n    certificate_subject: VN/GOV/G22\n"
    )

    (told,) = problems_of(text)

    assert "members[1].certificate_subject: VN/GOV/G22 stands twice, first at members[0]" in told


def test_a_name_in_decomposed_letters_is_refused() -> None:
    decomposed = unicodedata.normalize("NFD", "Nghệ An")

    (told,) = problems_of(SMALL.replace("Nghệ An", decomposed))

    assert "members[1].name: expected text in Unicode form NFC" in told


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = SMALL
    for right, wrong in [
        ("instance: VN", "instance: VN!"),
        ("name: Nghệ An", "name: 5"),
        ("mode: query", "mode: qery"),
        ("H41/vanban]", "H43/vanban]"),
        ("hoi/v1]", "hoi/v9]"),
        ("legal_basis: Không", "legal_base: Không"),
    ]:
        text = text.replace(right, wrong, 1)

    told = problems_of(text)

    lines = [int(re.match(r"routes\.yaml:(\d+):", problem)[1]) for problem in told]  # type: ignore[index]
    assert lines == sorted(lines)
    assert {1, 10, 19, 22, 23, 25} <= set(lines)


def test_a_wrong_member_is_told_once_and_not_at_each_use() -> None:
    told = problems_of(SMALL.replace("name: Nghệ An", "nam: Nghệ An"))

    assert [problem.split(": ")[1] for problem in told] == ["members[1].name", "members[1].nam"]


@pytest.mark.parametrize("text", ["", "[]", "a", "members: [1, [2], {a: 1}]\ngrants: {a: 1}\n"])
def test_what_is_no_nation_at_all_is_refused(text: str) -> None:
    assert problems_of(text)


def test_a_file_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.yaml: cannot be read: No such file"):
        read_registry(tmp_path / "none.yaml")


@given(st.integers(0, len(REFERENCE_TEXT)), st.integers(0, 40), st.text(max_size=8))
def test_any_edit_of_the_reference_gives_a_nation_or_problems_with_lines(
    start: int, length: int, inserted: str
) -> None:
    text = REFERENCE_TEXT[:start] + inserted + REFERENCE_TEXT[start + length :]
    outcome: object
    try:
        outcome = parse_registry(text.encode("utf-8", "surrogatepass"), file="routes.yaml")
    except ConfigurationError as error:
        outcome = error.problems

    assert isinstance(outcome, MemberRegistry) or outcome


# --- members that ask themselves, metaservices, agencies that rest -------------------------------


def test_a_member_itself_may_ask_and_be_asked() -> None:
    read = nation(
        SMALL.replace("clients: [VN/GOV/H41/motcua,", "clients: [VN/GOV/H41,")
        .replace("G22/truclienthong/hoi/v1", "G22//hoi/")
        .replace("    subsystems: [motcua, vanban]\n", "    subsystems: [vanban]\n")
    )

    itself = SubsystemId.parse("VN/GOV/H41")
    (service,) = read.services
    assert (service.provider, service.service_version) == (SubsystemId.parse("VN/GOV/G22"), "")
    assert (itself, service) in read.grants
    assert itself in read.subsystems


def test_a_member_needs_no_subsystems() -> None:
    text = SMALL.replace("    subsystems: [motcua, vanban]\n", "").replace(
        "[VN/GOV/H41/motcua, VN/GOV/H41/vanban]", "[VN/GOV/H41]"
    )

    assert nation(text).members[MemberId.parse("VN/GOV/H41")].subsystems == ()


@pytest.mark.parametrize("code", sorted(RESERVED_SERVICE_CODES))
def test_no_service_has_the_name_of_a_metaservice(code: str) -> None:
    (problem,) = problems_of(SMALL.replace("/hoi/v1", f"/{code}/v1"))

    assert problem.startswith("routes.yaml:15: services[0].id: ")
    assert f"{code} is the name of a metaservice" in problem


def test_an_agency_may_rest_with_a_notice() -> None:
    read = nation(SMALL.replace("name: Nghệ An", "name: Nghệ An\n    maintenance: Bảo trì"))

    assert [member.maintenance for member in read.members.values()] == ["", "Bảo trì"]


@pytest.mark.parametrize(
    ("kind", "texts", "others"),
    [
        (
            routes_values.SubsystemIdText,
            ["VN/GOV/H41", "VN/GOV/H41/motcua"],
            ["VN/GOV", "VN/GOV/H41/", "VN/GOV/H41/a/b"],
        ),
        (
            routes_values.ServiceIdText,
            ["VN/GOV/G01/dancu/hoi/v1", "VN/GOV/G01//hoi/", "VN/GOV/G01//hoi/v1"],
            ["VN/GOV/G01/dancu/hoi", "VN/GOV//dancu/hoi/v1", "VN/GOV/G01/dancu//v1"],
        ),
        (routes_values.HubIdText, ["VN/GOV/G22/hub"], ["VN/GOV/G22"]),
    ],
)
def test_editors_and_the_hub_take_the_same_identifiers(
    kind: Any, texts: list[str], others: list[str]
) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(kind)
    pattern = adapter.json_schema()["pattern"]

    for text in texts:
        assert re.search(pattern, text), text
        assert adapter.validate_python(text) is not None
    for text in others:
        assert not re.search(pattern, text), text
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


# --- organ codes -----------------------------------------------------------------------------

COMPANY = """\
  - id: VN/COM/0100109106
    name: Một công ty
    subsystems: [hoadon]
"""


def test_a_company_without_an_organ_code_is_a_member_like_any_other() -> None:
    read = nation(SMALL.replace("services:\n", f"{COMPANY}services:\n", 1))

    company = MemberId.parse("VN/COM/0100109106")
    assert (read.members[company].organ_code, read.members[company].organ_code_2016) == ("", "")
    assert SubsystemId.parse("VN/COM/0100109106/hoadon") in read.subsystems
    assert company not in read.member_by_organ_code.values()
    assert "" not in read.member_by_organ_code


@pytest.mark.parametrize("missing", ["organ_code", "organ_code_2016"])
def test_an_agency_may_have_one_form_of_the_organ_code_only(missing: str) -> None:
    lines = [line for line in SMALL.splitlines() if line.strip() != f"{missing}: H41"]
    lines = [line for line in lines if line.strip() != f"{missing}: 000.00.00.H41"]

    read = nation("\n".join(lines) + "\n")

    codes = [code for code, member in read.member_by_organ_code.items() if "H41" in str(member)]
    assert len(codes) == 1


@pytest.mark.parametrize("code", ["0100109106", "0100109106-001"])
def test_the_organ_code_of_an_enterprise_is_its_registration_code(code: str) -> None:
    company = COMPANY + f'    organ_code: "{code}"\n'

    read = nation(SMALL.replace("services:\n", f"{company}services:\n", 1))

    assert read.member_by_organ_code[code] == MemberId.parse("VN/COM/0100109106")


def test_the_codes_of_agencies_that_were_merged_lead_to_the_one_that_took_them_in() -> None:
    read = read_registry(REFERENCE)

    finance = MemberId.parse("VN/GOV/G12")
    assert {read.member_by_organ_code[code] for code in ("G05", "000.00.00.G05")} == {finance}
    assert MemberId.parse("VN/GOV/G05") not in read.members


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ("[G22]", "G22 stands twice, first at members[0].organ_code (line 6)"),
        ("[H41]", "H41 stands twice, first at members[1].organ_code (line 11)"),
        ("[G05, G05]", "G05 stands twice, first at members[1].former_organ_codes[0]"),
        ("[g05]", "expected an organ code as H41 or 000.00.00.H41"),
    ],
)
def test_a_former_code_is_nobody_elses_and_has_one_of_the_two_forms(codes: str, told: str) -> None:
    text = SMALL.replace("organ_code: H41\n", f"organ_code: H41\n    former_organ_codes: {codes}\n")

    (problem,) = problems_of(text)

    assert told in problem
