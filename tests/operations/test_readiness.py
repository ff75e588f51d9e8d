"""Before a hub starts, everything that would stop it is told at once."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bus.operations.readiness import check_readiness
from bus.operations.readiness_report import Readiness
from bus.sandbox.authority import Authority, Holder
from bus.sandbox.authority_files import AuthorityFiles
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.hub import read_hub_settings
from tests.log.recorded_logs import format_1_log

NOW = datetime(2026, 6, 1, tzinfo=UTC)

ROUTES = """\
instance: VN
hub: VN/GOV/G22/truclienthong
members:
  - id: VN/GOV/G22
    name: Văn phòng Chính phủ
    organ_code: G22
    organ_code_2016: 000.00.00.G22
    subsystems: [truclienthong]
  - id: VN/GOV/G01
    name: Bộ Công an
    organ_code: G01
    organ_code_2016: 000.00.00.G01
    subsystems: [thu]
services:
  - id: VN/GOV/G01/thu/hoi/v1
    title: Hỏi
    adapter: ready_agency
    schema: thu/1.0/thu.xsd
    mode: query
    timeout_seconds: 1
grants: []
"""
SCHEMA = """\
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:thu">
  <xs:element name="hoi" type="xs:string"/>
  <xs:element name="hoiResponse" type="xs:string"/>
</xs:schema>
"""
MANIFEST = """\
id: ready_agency
name: Cơ quan thử nghiệm
class: adapters.ready_agency.adapter:Echo
services:
  - {code: hoi, version: v1, sample: hoi.xml}
settings:
  url: {required: true, secret: false, description: Address of the agency}
  secret: {required: false, secret: true, description: Secret of the account}
"""
ADAPTER = """\
from bus.kit.contract import Adapter, Answer, Query


class Echo(Adapter):
    def answer(self, query: Query) -> Answer:
        return Answer(query.element())
"""


@pytest.fixture(scope="session")
def agencies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # One folder for all tests: an imported module stays imported.
    folder = tmp_path_factory.mktemp("agencies")
    for name, content in {
        "__init__.py": "",
        "adapter.py": ADAPTER,
        "hoi.xml": "<hoi/>",
        "manifest.yaml": MANIFEST,
    }.items():
        path = folder / "ready_agency" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


@pytest.fixture
def prepared(tmp_path: Path, agencies: Path) -> PreparedNation:
    (tmp_path / "source.yaml").write_text(ROUTES)
    schema = tmp_path / "xsd" / "thu" / "1.0" / "thu.xsd"
    schema.parent.mkdir(parents=True)
    schema.write_text(SCHEMA)
    prepared = prepare_nation(
        tmp_path,
        now=NOW,
        hub_port=8080,
        authority_port=9009,
        routes=tmp_path / "source.yaml",
    )
    edit(
        prepared.hub_settings,
        "agencies: {}",
        "agencies:\n  ready_agency:\n    url: http://127.0.0.1:9001",
    )
    with prepared.hub_settings.open("a") as file:
        file.write(f"schemas: xsd\nadapters: {agencies}\n")
    return prepared


def check(prepared: PreparedNation, *, now: datetime = NOW) -> Readiness:
    return check_readiness(prepared.hub_settings, now=now)


def told(prepared: PreparedNation, *, now: datetime = NOW) -> list[str]:
    problems = check(prepared, now=now).problems
    return [str(problem).removeprefix(f"{prepared.folder}/") for problem in problems]


def edit(path: Path, right: str, wrong: str) -> None:
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))


def test_a_prepared_folder_is_ready(prepared: PreparedNation) -> None:
    assert check(prepared) == Readiness((), ())


def test_the_reference_nation_with_its_own_adapters_and_schemas_is_ready(tmp_path: Path) -> None:
    prepared = prepare_nation(tmp_path, now=NOW, hub_port=8080)

    assert told(prepared) == []


# --- settings and routes ---------------------------------------------------------------------


def test_settings_that_cannot_be_read_are_all_that_is_told(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "port: 8080", "port: 0")

    (problem,) = told(prepared)

    assert problem == "hub.yaml:4: listen.port: expected a number of at least 1"


def test_mistakes_of_every_file_are_told_in_one_run(prepared: PreparedNation) -> None:
    edit(prepared.routes, "timeout_seconds: 1", "timeout_seconds: 0")
    (prepared.folder / "keys" / "log.key").unlink()
    prepared.anchor.write_text("x")
    (prepared.folder / "keys" / "log-read.key").chmod(0o640)

    assert told(prepared) == [
        "routes.yaml:20: services[0].timeout_seconds: expected a number greater than 0.0",
        "trust/ca.crt: no certificate in PEM or DER",
        "keys/log.key: cannot be read: No such file or directory",
        "keys/log-read.key: others than its owner may use it (mode 0640); set mode 0600",
    ]


# --- adapters and schemas --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            "adapter: ready_agency",
            "adapter: redy_agency",
            "routes.yaml:17: services[0].adapter: there is no adapter redy_agency. Did you mean",
        ),
        (
            "thu/hoi/v1",
            "thu/hoi/v2",
            "routes.yaml:17: services[0].adapter: the adapter ready_agency does not carry hoi/v2",
        ),
        (
            "thu/1.0/thu.xsd",
            "thu/1.0/khac.xsd",
            "xsd/thu/1.0/khac.xsd: cannot be read: No such file or directory",
        ),
    ],
)
def test_routes_adapters_and_schemas_must_agree(
    prepared: PreparedNation, right: str, wrong: str, problem: str
) -> None:
    edit(prepared.routes, right, wrong)

    (only,) = told(prepared)

    assert only.startswith(problem)


SUBMITTED = """\
    mode: submission
    timeout_seconds: 1
    recipients: subscribers
recipients:
  - {subsystem: VN/GOV/G01/thu, adapter: ready_agency}
subscriptions:
  - event: VN/GOV/G01/thu/hoi/v1
    subscribers: [VN/GOV/G01/thu]
    purpose: Thử
    legal_basis: Không
"""


def test_what_workers_do_elsewhere_needs_nothing_here(prepared: PreparedNation) -> None:
    routes = prepared.hub_settings.parent / "routes.yaml"
    text = ROUTES.replace("mode: query", "mode: submission").replace("ready_agency", "far_agency")
    routes.write_text(text)
    hub = prepared.hub_settings.read_text()
    here = [str(one) for one in check_readiness(prepared.hub_settings, now=NOW).problems]
    assert any("far_agency" in one for one in here)
    secret = prepared.hub_settings.parent / "mq.secret"
    secret.write_text("x\n")
    secret.chmod(0o600)
    prepared.hub_settings.write_text(
        f"{hub}broker:\n  agencies: [far_agency]\n"
        "  rabbitmq: {nodes: [mq], user: hub, password_file: mq.secret}\n"
    )
    assert check_readiness(prepared.hub_settings, now=NOW).problems == ()
    secret.unlink()
    prepared.hub_settings.write_text(
        prepared.hub_settings.read_text().replace("[far_agency]", "[far_agency, far_agenci]")
    )
    found = [str(one) for one in check_readiness(prepared.hub_settings, now=NOW).problems]
    assert len(found) == 2
    assert any("mq.secret" in one for one in found)
    assert any("broker.agencies[1]" in one and "Did you mean 'far_agency'" in one for one in found)


def test_an_adapter_that_does_not_deliver_carries_no_submission(prepared: PreparedNation) -> None:
    edit(prepared.routes, "    mode: query\n    timeout_seconds: 1\n", SUBMITTED)
    edit(prepared.routes, "    adapter: ready_agency\n", "")

    assert told(prepared) == [
        (
            "routes.yaml:15: services[0]: the adapter ready_agency has no method deliver, "
            "which this service needs"
        )
    ]


def test_an_adapter_reaches_recipients_only_with_what_it_carries(prepared: PreparedNation) -> None:
    edit(prepared.routes, "    mode: query\n    timeout_seconds: 1\n", SUBMITTED)
    edit(prepared.routes, "    adapter: ready_agency\n", "")
    prepared.routes.write_text(prepared.routes.read_text().replace("hoi/v1", "hoi/v2"))

    assert (
        "routes.yaml:22: recipients[0].adapter: the adapter ready_agency does not carry hoi/v2"
    ) in told(prepared)


def test_what_is_submitted_needs_no_answer_in_its_schema(prepared: PreparedNation) -> None:
    edit(prepared.routes, "mode: query", "mode: submission")
    edit(prepared.folder / "xsd" / "thu" / "1.0" / "thu.xsd", "hoiResponse", "traLoi")

    assert [line for line in told(prepared) if "schema" in line] == []


def test_a_schema_without_the_answer_is_told(prepared: PreparedNation) -> None:
    edit(prepared.folder / "xsd" / "thu" / "1.0" / "thu.xsd", "hoiResponse", "traLoi")

    assert told(prepared) == [
        "routes.yaml:18: services[0].schema: thu/1.0/thu.xsd has no element hoiResponse"
    ]


def test_a_schema_that_does_not_compile_is_told(prepared: PreparedNation) -> None:
    edit(prepared.folder / "xsd" / "thu" / "1.0" / "thu.xsd", "xs:string", "xs:strng")

    (problem,) = told(prepared)

    assert problem.startswith("xsd/thu/1.0/thu.xsd: ")


def test_a_file_that_a_schema_lacks_is_told_with_the_line_that_names_it(
    prepared: PreparedNation,
) -> None:
    schema = prepared.folder / "xsd" / "thu" / "1.0" / "thu.xsd"
    first = '  <xs:element name="hoi" '
    edit(schema, first, f'  <xs:include schemaLocation="chung/ten.xsd"/>\n{first}')
    line = (
        schema.read_text().splitlines().index('  <xs:include schemaLocation="chung/ten.xsd"/>') + 1
    )

    assert told(prepared) == [
        (
            f"xsd/thu/1.0/thu.xsd:{line}: thu/1.0/chung/ten.xsd, which it needs, cannot be read: "
            "No such file or directory"
        )
    ]


def test_settings_of_adapters_must_be_complete_and_known(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "    url: http://127.0.0.1:9001", "    uri: http://127.0.0.1:9001")

    missing, unknown = told(prepared)

    path = "agencies.ready_agency"
    text = prepared.hub_settings.read_text()
    line = text[: text.index("ready_agency:")].count("\n") + 1
    assert missing.startswith(
        f"hub.yaml:{line}: {path}.url: the adapter needs this setting: Address"
    )
    assert unknown.startswith(f"hub.yaml:{line + 1}: {path}.uri: the adapter does not know")


def test_settings_for_an_adapter_that_does_not_exist_are_told(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "agencies:\n", "agencies:\n  redy_agency: {url: x}\n")

    (problem,) = told(prepared)

    assert "agencies.redy_agency: there is no such adapter. Did you mean 'ready_agency'?" in problem


def test_an_adapter_that_no_service_names_stops_nobody_and_is_told(
    prepared: PreparedNation, agencies: Path
) -> None:
    unused = shutil.copytree(agencies / "ready_agency", agencies / "spare_agency")
    shutil.copytree(unused, agencies / "half_agency")
    try:
        edit(unused / "manifest.yaml", "id: ready_agency", "id: spare_agency")
        edit(unused / "manifest.yaml", "adapters.ready_agency", "adapters.spare_agency")
        edit(prepared.hub_settings, "agencies:\n", "agencies:\n  spare_agency: {uri: x}\n")

        found = check(prepared)
    finally:
        for name in ("spare_agency", "half_agency"):
            shutil.rmtree(agencies / name)

    warnings = [str(one) for one in found.warnings]
    assert found.problems == ()
    assert any("half_agency/manifest.yaml:1: id: expected" in one for one in warnings)
    for told_of in (
        "agencies.spare_agency: no service in routes.yaml names this adapter: it is not used",
        "agencies.spare_agency.url: the adapter needs this setting",
        "agencies.spare_agency.uri: the adapter does not know this setting",
    ):
        assert any(told_of in one for one in warnings), warnings


def test_the_manifest_of_an_adapter_that_is_used_is_told_once(
    prepared: PreparedNation, agencies: Path
) -> None:
    manifest = agencies / "ready_agency" / "manifest.yaml"
    sound = manifest.read_text()
    try:
        edit(manifest, "class:", "clas:")

        problems = check(prepared).problems
    finally:
        manifest.write_text(sound)

    assert [problem.path for problem in problems] == ["class", "clas"]


def test_a_secret_in_a_file_that_others_may_read_is_a_warning(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "9001\n", "9001\n    secret: not-for-display\n")
    prepared.hub_settings.chmod(0o644)

    found = check(prepared)

    (warning,) = found.warnings
    assert found.is_ready
    assert "agencies.ready_agency.secret: a secret stands here and others" in str(warning)
    assert "not-for-display" not in str(warning)


# --- keys and certificates -------------------------------------------------------------------


def test_every_answering_member_needs_a_signer(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "  VN/GOV/G01:\n", "  VN/GOV/G22:\n")

    problems = told(prepared)

    assert any(
        "signers.VN/GOV/G01: no key to sign the answers of VN/GOV/G01 with" in problem
        for problem in problems
    )
    assert any("expected 'VN/GOV/G22' for VN/GOV/G22" in problem for problem in problems)


def test_a_signer_of_nobody_is_told(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "  VN/GOV/G01:\n", "  VN/GOV/G02:\n")

    assert any(
        "signers.VN/GOV/G02: this member is not registered." in one for one in told(prepared)
    )


def test_a_certificate_of_another_key_is_told(prepared: PreparedNation) -> None:
    keys = prepared.folder / "keys"
    (keys / "VN-GOV-G01-thu.crt").write_bytes((keys / "VN-GOV-G22-truclienthong.crt").read_bytes())

    assert told(prepared) == ["keys/VN-GOV-G01-thu.crt: the certificate was issued for another key"]


def test_a_certificate_of_a_strange_authority_is_told(prepared: PreparedNation) -> None:
    stranger = Authority.create("Another Root", NOW)
    issued = stranger.issue(Holder("Bộ Công an", "VN/GOV/G01", "VN/GOV/G01/thu"), NOW)
    (prepared.folder / "keys" / "VN-GOV-G01-thu.crt").write_bytes(issued.certificate_pem)
    (prepared.folder / "keys" / "VN-GOV-G01-thu.key").write_bytes(issued.key_pem)

    (problem,) = told(prepared)

    assert problem.startswith("keys/VN-GOV-G01-thu.crt: the certificate is not accepted: ")


@pytest.mark.parametrize(("days", "threshold"), [(300, None), (310, 60), (340, 30), (360, 7)])
def test_a_certificate_that_expires_soon_is_a_warning(
    prepared: PreparedNation, days: int, threshold: int | None
) -> None:
    found = check(prepared, now=NOW + timedelta(days=days))

    expected = f"expires in less than {threshold} days: valid from 2026-05-31T23:55:00+00:00"
    assert found.is_ready
    known = len(read_hub_settings(prepared.hub_settings).trust.certificates)
    own = 2
    assert len(found.warnings) == (0 if threshold is None else own + known)
    assert all(expected in warning.message for warning in found.warnings)


def test_a_certificate_that_has_expired_is_a_problem(prepared: PreparedNation) -> None:
    problems = told(prepared, now=NOW + timedelta(days=366))

    assert [problem.split(":")[0] for problem in problems] == [
        "keys/VN-GOV-G22-truclienthong.crt",
        "keys/VN-GOV-G01-thu.crt",
    ]


def test_an_anchor_that_has_expired_is_a_problem(prepared: PreparedNation) -> None:
    problems = told(prepared, now=NOW + timedelta(days=3651))

    assert any(problem.startswith("trust/ca.crt: not valid now: ") for problem in problems)


# --- certificates that messages only name ------------------------------------------------------


def test_known_certificates_with_which_nobody_can_send_are_warned_of(
    prepared: PreparedNation,
) -> None:
    folder = prepared.folder
    stranger = Authority.create("Khác", NOW)
    holder = Holder("Bộ Công an", "VN/GOV/G01", "VN/GOV/G01/thu")
    authority = Authority.load(
        (folder / "authority" / "ca.key").read_bytes(), prepared.anchor.read_bytes()
    )
    nobody = Holder("Không ai", "VN/GOV/Z99", "VN/GOV/Z99/thu")
    for name, issued in {
        "stranger": stranger.issue(holder, NOW),
        "nobody": authority.issue(nobody, NOW),
    }.items():
        (folder / f"{name}.crt").write_bytes(issued.certificate_pem)
    edit(
        prepared.hub_settings,
        "certificates:\n",
        "certificates:\n  - stranger.crt\n  - nobody.crt\n",
    )

    warnings = [one for one in warned(prepared) if one.startswith(("stranger", "nobody"))]

    assert len(warnings) == 2
    assert warnings[0].startswith("stranger.crt: messages that name it are refused: ")
    assert warnings[1] == "nobody.crt: no member has the certificate subject 'VN/GOV/Z99'"


# --- revocation ------------------------------------------------------------------------------


def warned(prepared: PreparedNation) -> list[str]:
    found = check(prepared)
    assert found.is_ready
    return [str(one).removeprefix(f"{prepared.folder}/") for one in found.warnings]


def test_a_hub_that_asks_nobody_about_revocation_is_warned_of(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "check: required", "check: none")

    (warning,) = warned(prepared)

    assert "revocation.check: a revoked certificate is taken like any other" in warning


@pytest.mark.parametrize(
    ("policy", "consequence"),
    [("required", "is refused"), ("where-named", "is taken even if it is revoked")],
)
def test_certificates_about_which_nobody_can_be_asked_are_warned_of(
    prepared: PreparedNation, policy: str, consequence: str
) -> None:
    edit(prepared.hub_settings, "check: required", f"check: {policy}")
    key = prepared.folder / "keys" / "VN-GOV-G01-thu.key"
    authority = AuthorityFiles(prepared.folder).authority()
    issued = authority.issue(Holder("Bộ Công an", "VN/GOV/G01", "VN/GOV/G01/thu"), NOW)
    key.with_suffix(".crt").write_bytes(issued.certificate_pem)
    key.write_bytes(issued.key_pem)

    (warning,) = warned(prepared)

    assert warning.startswith("keys/VN-GOV-G01-thu.crt: ")
    assert "names neither OCSP responder nor CRL" in warning
    assert warning.endswith(consequence)

    edit(prepared.hub_settings, "fetch_seconds: 2", "ocsp_url: http://127.0.0.1:9009/ocsp")
    assert warned(prepared) == []


def test_a_list_in_a_file_that_cannot_be_used_is_told(prepared: PreparedNation) -> None:
    (prepared.folder / "wrong.crl").write_bytes(b"no list")
    edit(prepared.hub_settings, "fetch_seconds: 2", "crls: [missing.crl, wrong.crl, 'http://a/b']")

    missing, wrong = told(prepared)

    assert "missing.crl: cannot be read" in missing
    assert "wrong.crl: not a CRL in DER" in wrong


def test_a_cache_that_cannot_be_written_is_told(prepared: PreparedNation) -> None:
    (prepared.folder / "cache").write_text("a file where the folder should be")
    edit(prepared.hub_settings, "fetch_seconds: 2", "cache: cache")

    (problem,) = told(prepared)

    assert "revocation.cache: " in problem
    assert "cannot be written: Not a directory" in problem


# --- log and doors ---------------------------------------------------------------------------


def test_a_log_that_cannot_be_written_is_told(prepared: PreparedNation) -> None:
    (prepared.folder / "log").rmdir()
    (prepared.folder / "log").write_text("a file where the folder should be")

    (problem,) = told(prepared)

    assert "log.folder: " in problem
    assert "cannot be written: Not a directory" in problem


def test_folders_that_the_hub_can_make_need_not_be_there(prepared: PreparedNation) -> None:
    (prepared.folder / "log").rmdir()
    (prepared.folder / "state").rmdir()

    assert told(prepared) == []


def test_precise_faults_for_strangers_are_a_warning(prepared: PreparedNation) -> None:
    edit(prepared.hub_settings, "host: 127.0.0.1", "host: 0.0.0.0")

    found = check(prepared)

    assert found.is_ready
    assert [warning.path for warning in found.warnings] == ["show_precise_faults"]


# --- keys that follow, time, operations ----------------------------------------------------------


def follow(prepared: PreparedNation, *, begins: timedelta) -> None:
    """Name a key that follows the hub's; its certificate begins so much after NOW."""
    authority = AuthorityFiles(prepared.folder).authority()
    hub = Holder("Văn phòng Chính phủ", "VN/GOV/G22", "VN/GOV/G22/truclienthong")
    issued = authority.issue(hub, NOW + begins)
    (prepared.folder / "next.key").touch(mode=0o600)
    (prepared.folder / "next.key").write_bytes(issued.key_pem)
    (prepared.folder / "next.crt").write_bytes(issued.certificate_pem)
    listed = "  - keys/VN-GOV-G22-truclienthong.crt\n"  # as one that senders may only name
    edit(prepared.hub_settings, listed, "")
    edit(
        prepared.hub_settings,
        "  certificate: keys/VN-GOV-G22-truclienthong.crt\nsigners",
        "  certificate: keys/VN-GOV-G22-truclienthong.crt\n"
        "  next: {key: next.key, certificate: next.crt}\nsigners",
    )


def told_of_next(prepared: PreparedNation, *, now: datetime) -> list[str]:
    about_hub = [one for one in check(prepared, now=now).warnings if "next.crt" in one.file]
    return [one.message for one in about_hub]


def test_a_key_that_follows_may_begin_later(prepared: PreparedNation) -> None:
    follow(prepared, begins=timedelta(days=300))

    assert told(prepared) == []


def test_a_certificate_that_was_followed_is_no_worry_until_it_has_expired(
    prepared: PreparedNation,
) -> None:
    follow(prepared, begins=timedelta(days=300))
    hub = "keys/VN-GOV-G22-truclienthong.crt"

    def about_hub(day: int) -> list[str]:
        findings = check(prepared, now=NOW + timedelta(days=day))
        both = (*findings.problems, *findings.warnings)
        return [one.message for one in both if one.file.endswith(hub)]

    assert about_hub(340) == []
    (expired,) = about_hub(380)
    assert expired.startswith("has expired and was followed; take it out: valid from")


def test_a_key_that_follows_is_watched_like_the_first(prepared: PreparedNation) -> None:
    follow(prepared, begins=timedelta(days=300))

    (soon,) = told_of_next(prepared, now=NOW + timedelta(days=650))

    assert soon.startswith("expires in less than 30 days")


def test_a_key_that_follows_must_name_the_same_member(prepared: PreparedNation) -> None:
    follow(prepared, begins=timedelta(days=300))
    other = (
        AuthorityFiles(prepared.folder)
        .authority()
        .issue(Holder("x", "VN/GOV/G01", "VN/GOV/G01/thu"), NOW)
    )
    (prepared.folder / "next.key").write_bytes(other.key_pem)
    (prepared.folder / "next.crt").write_bytes(other.certificate_pem)

    (problem,) = told(prepared)

    assert problem.startswith("next.crt: the certificate says 'VN/GOV/G01'")


def test_the_anchors_of_a_time_authority_are_looked_at(prepared: PreparedNation) -> None:
    later = NOW + timedelta(days=3630)
    assert "timestamps:" in prepared.hub_settings.read_text()

    about = [one for one in check(prepared, now=later).warnings if "time.crt" in one.file]
    assert [one.message[:31] for one in about] == ["expires in less than 30 days: v"]

    (prepared.folder / "trust" / "time.crt").unlink()
    assert told(prepared) == ["trust/time.crt: cannot be read: No such file or directory"]


def test_a_door_of_operators_that_strangers_reach_is_a_warning(prepared: PreparedNation) -> None:
    with prepared.hub_settings.open("a") as file:
        file.write("operations: {host: 0.0.0.0, port: 9010}\n")

    (warning,) = check(prepared).warnings

    assert warning.path == "operations.host"
    assert "keep strangers from it" in warning.message


def test_a_log_of_an_older_format_is_to_be_upgraded_first(prepared: PreparedNation) -> None:
    old = format_1_log(prepared.folder / "old")
    shutil.copytree(old, read_hub_settings(prepared.hub_settings).log.folder, dirs_exist_ok=True)
    (problem,) = told(prepared)
    assert "this log is of format 1" in problem
    assert "lienthong db upgrade" in problem
