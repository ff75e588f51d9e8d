"""`lienthong call` shows an answer only when everything about it is proved."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from tests.cli.running import described, lienthong, output_of
from tests.client.hub_stand_in import listening
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import REFERENCE

LOOK_UP = "TraCuuThongTinCongDan"


def _sample(sandbox: Path, service: str = LOOK_UP) -> Path:
    return sandbox / "samples" / f"{service}.xml"


def _codes(sandbox: Path) -> list[str]:
    return [one["id"].split("/")[-2] for one in described(sandbox)["services"]]


def test_every_sample_request_is_answered(sandbox: Path) -> None:
    submitted = {
        known.service_code for known, service in REFERENCE.services.items() if service.submission
    }
    for code in _codes(sandbox):
        sample, asking = _sample(sandbox, code), _client_of(code)
        result = lienthong("call", code, "--as", asking, "--body", sample, "--dir", sandbox)
        assert result.returncode == 0, output_of(result)
        answer = parse_xml(result.stdout.strip(), bytes_max=10**6)
        is_accepted = code in submitted
        assert etree.QName(answer).localname == ("acceptance" if is_accepted else f"{code}Response")
        assert (b"Accepted as entry" in result.stderr) is is_accepted


def _client_of(code: str) -> str:
    """Who may use a service: the one-stop office of Nghệ An, or whoever may."""
    clients = [str(client) for client, one in REFERENCE.grants if one.service_code == code]
    return "VN/GOV/H41/motcua" if "VN/GOV/H41/motcua" in clients else clients[0]


def test_the_folder_may_stand_in_the_environment_and_the_body_come_from_stdin(
    sandbox: Path,
) -> None:
    result = lienthong(
        "call",
        "dancu/TraCuuThongTinCongDan/v1",
        "--as",
        "VN/GOV/H41/motcua",
        "--body",
        "-",
        stdin=_sample(sandbox).read_bytes(),
        folder=sandbox,
    )
    assert result.returncode == 0, output_of(result)
    assert "received as entry" in result.stderr.decode()


def test_the_same_message_gets_the_same_bytes_again(sandbox: Path) -> None:
    # A message id is taken with the bytes it came with: a new signature makes other bytes.
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox]
    ask += ["--message-id", "once", "--envelope"]
    first, second = lienthong(*ask), lienthong(*ask)
    assert (first.returncode, second.returncode) == (0, 1)
    assert first.stdout.startswith(b"<?xml")
    assert "message-id.conflict" in second.stderr.decode()


def test_a_request_in_soap_1_2_gets_its_answer_in_soap_1_2(sandbox: Path) -> None:
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox]
    result = lienthong(*ask, "--soap", "1.2", "--envelope")
    assert result.returncode == 0, output_of(result)
    assert b'xmlns:soap="http://www.w3.org/2003/05/soap-envelope"' in result.stdout


def test_a_plain_request_is_one_of_soap_1_1(sandbox: Path) -> None:
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox]
    result = lienthong(*ask, "--soap", "1.2", "--plain")
    assert result.returncode == 2
    assert "SOAP 1.1" in result.stderr.decode()


def test_json_holds_answer_and_receipt(sandbox: Path) -> None:
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox]
    result = lienthong(*ask, "--json", "--user-id", "CB-1", "--issue", "HS-1")
    values = json.loads(result.stdout)
    assert values["signer"] == "VN/GOV/G01"
    assert values["receipt"]["outcome"] == values["receipt"]["received"] + 1


def test_a_refusal_is_told_with_code_reason_and_fault_id(sandbox: Path) -> None:
    ask = ["call", LOOK_UP, "--as", "G03/tuyensinh", "--body", _sample(sandbox), "--dir", sandbox]
    result = lienthong(*ask)
    assert (result.returncode, result.stdout) == (1, b"")
    first, second = result.stderr.decode().splitlines()
    assert first.startswith("access.denied: No grant")
    assert second.startswith("Fault ")
    assert "Server.ServerProxy.AccessDenied" in second
    fault = json.loads(lienthong(*ask, "--json").stdout)["fault"]
    assert fault["code"] == "access.denied"
    shown = lienthong("log", "show", sandbox, "--event", "refused", "--json").stdout.decode()
    assert fault["fault_id"] in shown


@pytest.mark.parametrize(
    ("service", "subsystem", "hint"),
    [
        ("TraCuuThongTinCongDa", "H41/motcua", "Did you mean 'TraCuuThongTinCongDan'"),
        (LOOK_UP, "H41/motcuaa", "Did you mean 'H41/motcua'"),
        (LOOK_UP, "motcua", "may be each of: VN/GOV/H14/motcua"),
    ],
)
def test_a_name_that_leads_nowhere_gets_a_hint(
    service: str, subsystem: str, hint: str, sandbox: Path
) -> None:
    result = lienthong(
        "call", service, "--as", subsystem, "--body", _sample(sandbox), "--dir", sandbox
    )
    assert result.returncode == 2
    assert hint in result.stderr.decode()


def test_a_body_that_is_not_xml_is_not_sent(sandbox: Path) -> None:
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", "-", "--dir", sandbox]
    result = lienthong(*ask, stdin=b"<!DOCTYPE a><a/>")
    assert result.returncode == 2
    assert "cannot be sent" in result.stderr.decode()


def test_a_folder_without_a_sandbox_is_told(tmp_path: Path) -> None:
    body = tmp_path / "a.xml"
    body.write_bytes(b"<a/>")
    result = lienthong("call", LOOK_UP, "--as", "a", "--body", body, "--dir", tmp_path)
    assert result.returncode == 2
    assert "lienthong sandbox up" in result.stderr.decode()


# --- on the way back, somebody meddles -----------------------------------------------------------


def _passed_on(url: str, change: Callable[[bytes], bytes]) -> Callable[[bytes], tuple[int, bytes]]:
    """A proxy before the hub that changes what comes back."""

    def post(body: bytes) -> tuple[int, bytes]:
        request = urllib.request.Request(url, body, {"Content-Type": "text/xml; charset=utf-8"})
        try:
            with urllib.request.urlopen(request, timeout=HANG_SECONDS_MAX) as reply:
                return reply.status, change(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, change(error.read())

    return post


def _folder_behind(proxy: str, sandbox: Path, folder: Path) -> Path:
    """A folder whose sandbox.json leads to the proxy and else to the sandbox."""
    values: dict[str, Any] = described(sandbox) | {"hub_url": proxy}
    (folder / "sandbox.json").write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda raw: raw.replace("Hương".encode(), "Hường".encode()), "signature does not hold"),
        (lambda raw: raw.replace(b"<lt:receipt", b"<!-- --><lt:receipt"), "about another answer"),
        (lambda _: b"<html/>", "not a SOAP envelope"),
    ],
)
def test_an_answer_altered_on_the_way_is_not_shown(
    change: Callable[[bytes], bytes], reason: str, sandbox: Path, tmp_path: Path
) -> None:
    hub_url = described(sandbox)["hub_url"]
    with listening(_passed_on(hub_url, change)) as proxy:
        folder = _folder_behind(proxy, sandbox, tmp_path)
        ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", folder]
        result = lienthong(*ask)
    assert (result.returncode, result.stdout) == (2, b"")
    assert reason in result.stderr.decode()


def test_an_honest_proxy_changes_nothing(sandbox: Path, tmp_path: Path) -> None:
    hub_url = described(sandbox)["hub_url"]
    with listening(_passed_on(hub_url, lambda raw: raw)) as proxy:
        folder = _folder_behind(proxy, sandbox, tmp_path)
        ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", folder]
        assert lienthong(*ask).returncode == 0


def test_the_receipt_of_another_hub_is_not_believed(sandbox: Path, tmp_path: Path) -> None:
    other_key = tmp_path / "other.vkey"
    name, _, _ = Path(described(sandbox)["log_verifier_key"]).read_text().partition("+")
    other_key.write_text(_verifier_key(name))
    values = described(sandbox) | {"log_verifier_key": str(other_key)}
    (tmp_path / "sandbox.json").write_text(json.dumps(values))
    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", tmp_path]
    result = lienthong(*ask)
    assert (result.returncode, result.stdout) == (2, b"")
    assert "receipt does not hold" in result.stderr.decode()


def _verifier_key(name: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from signing.signed_note import SigningKey

    key = SigningKey(name, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    return f"{key.verifying_key}\n"


def test_a_file_is_sent_beside_the_body_and_the_receipt_comes_back(
    sandbox: Path, tmp_path: Path
) -> None:
    # Given a document in a file, and a body that names it
    document = tmp_path / "đơn 1.pdf"
    document.write_bytes(b"%PDF-1.7\r\n" + bytes(300_000))
    sample = _sample(sandbox, "nopTaiLieu").read_text()
    body = tmp_path / "body.xml"
    content = re.compile(r"<(\w+):NoiDung>[^<]*</\1:NoiDung>")
    named = r"<\1:TepDinhKem>cid:_n_1.pdf</\1:TepDinhKem>"
    body.write_text(content.sub(named, sample))
    given = ("call", "nopTaiLieu", "--as", "H41/motcua", "--body", body, "--dir", sandbox)

    # When it is sent
    saved = tmp_path / "saved"
    result = lienthong(*given, "--attach", document, "--save-attachments", saved)

    # Then the agency took the very file, and its receipt lies in the folder
    assert result.returncode == 0, output_of(result)
    assert hashlib.sha256(document.read_bytes()).hexdigest() in result.stdout.decode()
    (receipt,) = saved.iterdir()
    assert receipt.name == "1-bien-nhan_dkdn.gov.vn"
    assert str(document.stat().st_size) in receipt.read_text()
    # And the log gives both out again
    index = re.search(r"received as entry (\d+)", output_of(result))
    assert index is not None
    shown = lienthong(
        "log", "show", sandbox, "--index", index[1], "--payload", "--save-attachments", saved
    )
    assert shown.returncode == 0, output_of(shown)
    assert (saved / f"{index[1]}-1-_n_1.pdf").read_bytes() == document.read_bytes()


def test_a_file_that_is_not_there_is_not_sent(sandbox: Path, tmp_path: Path) -> None:
    result = lienthong(
        "call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox,
        "--attach", f"{tmp_path / 'no.pdf'}:application/pdf",
    )  # fmt: skip
    assert result.returncode == 2
    assert "No such file" in output_of(result)


def test_a_service_that_takes_no_attachment_says_so(sandbox: Path) -> None:
    sample = _sample(sandbox)
    result = lienthong(
        "call", LOOK_UP, "--as", "H41/motcua", "--body", sample, "--dir", sandbox,
        "--attach", f"{sample}:text/xml",
    )  # fmt: skip
    assert result.returncode == 1
    assert "attachment.not-allowed" in output_of(result)


# --- checked before it is sent --------------------------------------------------------------------


def _entries(sandbox: Path) -> int:
    return len(lienthong("log", "show", sandbox, "--limit", "100000", "--json").stdout.splitlines())


@pytest.mark.parametrize("plain", [[], ["--plain"]])
@pytest.mark.parametrize(
    "label",
    [
        ["--message-id", "a\nb"],
        ["--message-id", "x" * 129],
        ["--message-id", "a\x1bb"],
        ["--message-id", "a\x00b"],
        ["--message-id", "a\udcffb"],
        ["--user-id", "\x1b[31mx"],
        ["--user-id", "a\uffffb"],
        ["--user-id", "\udcff"],
        ["--issue", "a\x07b"],
        ["--issue", "x" * 100_000],
    ],
)
def test_a_label_that_no_hub_takes_is_told_before_anything_is_sent(
    label: list[str], plain: list[str], sandbox: Path
) -> None:
    before = _entries(sandbox)

    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--body", _sample(sandbox), "--dir", sandbox]
    result = lienthong(*ask, *label, *plain)

    assert result.returncode == 2, output_of(result)
    assert result.stderr.decode().startswith("The request cannot be sent: ")
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == b""
    assert _entries(sandbox) == before


@pytest.mark.parametrize("plain", [[], ["--plain"]])
@pytest.mark.parametrize("other", ["nopTaiLieu", "chiTietDoanhNghiep"])
def test_the_body_of_another_service_is_told_before_it_is_sent(
    other: str, plain: list[str], sandbox: Path
) -> None:
    before = _entries(sandbox)

    ask = ["call", LOOK_UP, "--as", "H41/motcua", "--dir", sandbox, *plain]
    result = lienthong(*ask, "--body", _sample(sandbox, other))

    assert result.returncode == 2
    assert f"The body is an element {other}" in output_of(result)
    assert LOOK_UP in output_of(result)
    assert _entries(sandbox) == before


@pytest.mark.parametrize(
    "spelling",
    [
        "đơn đề nghị.txt",
        "đơn%20đề%20nghị.txt",
        "%C4%91%C6%A1n%20%C4%91%E1%BB%81%20ngh%E1%BB%8B.txt",
        unicodedata.normalize("NFD", "đơn đề nghị.txt"),
        "_n_ngh_.txt",
    ],
)
def test_a_file_is_found_under_its_own_name_in_any_spelling(
    spelling: str, sandbox: Path, tmp_path: Path
) -> None:
    document = tmp_path / "đơn đề nghị.txt"
    document.write_text("x\n")
    body = _body_with(sandbox, tmp_path, f"cid:{spelling}")

    ask = ["call", "nopTaiLieu", "--as", "H41/motcua", "--body", body, "--dir", sandbox]
    result = lienthong(*ask, "--attach", document)

    assert result.returncode == 0, output_of(result)
    is_other = spelling != "_n_ngh_.txt"
    assert ("The file" in output_of(result)) is is_other
    assert ("goes as cid:_n_ngh_.txt" in output_of(result)) is is_other


def test_a_reference_that_names_no_file_is_told_with_the_names_that_go(
    sandbox: Path, tmp_path: Path
) -> None:
    document = tmp_path / "a.txt"
    document.write_text("x")
    body = _body_with(sandbox, tmp_path, "cid:b.txt")

    ask = ["call", "nopTaiLieu", "--as", "H41/motcua", "--body", body, "--dir", sandbox]
    result = lienthong(*ask, "--attach", document)

    assert result.returncode == 1
    assert "The body names cid:b.txt; beside it go a.txt." in output_of(result)


def test_two_files_under_one_name_are_told_before_they_are_sent(
    sandbox: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "đ.txt", tmp_path / "ơ.txt"
    first.write_text("1")
    second.write_text("2")
    body = _body_with(sandbox, tmp_path, "cid:_.txt")

    ask = ["call", "nopTaiLieu", "--as", "H41/motcua", "--body", body, "--dir", sandbox]
    result = lienthong(*ask, "--attach", first, "--attach", second)

    assert result.returncode == 2
    assert "Two attachments would be called cid:_.txt" in output_of(result)


def _body_with(sandbox: Path, folder: Path, reference: str) -> Path:
    sample = _sample(sandbox, "nopTaiLieu").read_text()
    content = re.compile(r"<(\w+):NoiDung>[^<]*</\1:NoiDung>")
    body = folder / "body.xml"
    named = content.sub(rf"<\1:TepDinhKem>{reference}</\1:TepDinhKem>", sample)
    body.write_text(named)
    return body
