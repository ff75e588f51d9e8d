"""`lienthong mailbox` fetches, saves and acknowledges what is proved, and senders hear of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bus.core.limits import Limits
from bus.protocols.soap_xroad.parse import parse
from tests.cli.running import Result, lienthong, output_of
from tests.client.hub_stand_in import listening

SENDER, BOX, OTHER_BOX, THIRD_BOX = "G22/vanban", "H18/vanban", "H35/vanban", "H37/vanban"


def mailbox(sandbox: Path, *arguments: object, who: str = BOX, code: int = 0) -> Result:
    result = lienthong("mailbox", *arguments, "--as", who, "--dir", sandbox)
    assert result.returncode == code, output_of(result)
    return result


def told(sandbox: Path, *arguments: object, who: str = BOX) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(mailbox(sandbox, *arguments, "--json", who=who).stdout)
    return values


@pytest.fixture
def submitted(sandbox: Path) -> int:
    """A document to all provinces; the entry that received it."""
    body = sandbox / "samples" / "PhatHanhVanBan.xml"
    result = lienthong(
        *("call", "PhatHanhVanBan", "--as", SENDER, "--body", body, "--json", "--dir", sandbox)
    )
    assert result.returncode == 0, output_of(result)
    return int(json.loads(result.stdout)["receipt"]["received"])


def test_a_document_is_fetched_saved_and_accepted(
    sandbox: Path, submitted: int, tmp_path: Path
) -> None:
    listed = told(sandbox, "list")["messages"]
    mine = next(one for one in listed if one["delivery"].startswith(f"{submitted}-"))
    assert (mine["sender"], mine["held"], mine["fetched"]) == ("VN/GOV/G22/vanban", False, 0)
    held = told(sandbox, "fetch", "--count", 16, "--save", tmp_path)["messages"]
    one = next(one for one in held if one["delivery"] == mine["delivery"])
    saved = tmp_path / f"{one['delivery']}.xml"
    envelope = parse(saved.read_bytes(), Limits())
    assert str(envelope.client) == "VN/GOV/G22/vanban"
    assert json.loads(saved.with_suffix(".json").read_text())["lease"] == one["lease"]
    assert saved.with_suffix(".receipt").read_bytes().startswith(b"lienthong.example/")
    for each in held:
        arguments = ("acknowledge", each["delivery"], "--lease", each["lease"])
        assert told(sandbox, *arguments)["verdict"] == "delivered"
    assert b"Nothing is there" in mailbox(sandbox, "fetch", "--save", tmp_path).stdout
    shown = mailbox(sandbox, "list").stdout.decode()
    assert one["delivery"] not in shown


def test_what_came_beside_a_document_is_fetched_with_it_and_proved(
    sandbox: Path, tmp_path: Path
) -> None:
    file = tmp_path / "phu-luc.pdf"
    file.write_bytes(b"%PDF-1.4 " + bytes(200_000))
    body = sandbox / "samples" / "PhatHanhVanBan.xml"
    result = lienthong(
        *("call", "PhatHanhVanBan", "--as", SENDER, "--body", body, "--attach", file, "--json"),
        *("--dir", sandbox),
    )
    assert result.returncode == 0, output_of(result)
    received = json.loads(result.stdout)["receipt"]["received"]
    held = told(sandbox, "fetch", "--count", 16, "--save", tmp_path, who=THIRD_BOX)["messages"]
    one = next(one for one in held if one["delivery"].startswith(f"{received}-"))
    assert one["attachments"] == [
        {"id": "phu-luc.pdf", "type": "application/pdf", "bytes": 200_009}
    ]
    (saved,) = (tmp_path / f"{one['delivery']}-attachments").iterdir()
    assert saved.read_bytes() == file.read_bytes()
    for each in held:
        arguments = ("acknowledge", each["delivery"], "--lease", each["lease"])
        mailbox(sandbox, *arguments, who=THIRD_BOX)


def test_a_refusal_comes_back_to_the_sender_with_what_was_signed(
    sandbox: Path, submitted: int, tmp_path: Path
) -> None:
    held = told(sandbox, "fetch", "--count", 16, "--save", tmp_path, who=OTHER_BOX)["messages"]
    for each in held:
        mailbox(
            sandbox,
            *("acknowledge", each["delivery"], "--lease", each["lease"]),
            *("--refuse", "not-ours", "--reason", "Không thuộc thẩm quyền"),
            who=OTHER_BOX,
        )
    mine = next(one for one in held if one["delivery"].startswith(f"{submitted}-"))
    found: list[dict[str, Any]] = []
    after: tuple[object, ...] = ()
    while True:
        page = told(sandbox, "receipts", "--save", tmp_path / "sent", *after, who=SENDER)
        found += page["receipts"]
        if not page["more"]:
            break
        after = ("--after", found[-1]["entry"])
    (ended,) = [one for one in found if one["delivery"] == mine["delivery"]]
    assert (ended["recipient"], ended["verdict"]) == ("VN/GOV/H35/vanban", "delivery.refused")
    said = (tmp_path / "sent" / f"{ended['entry']}.said").read_bytes()
    assert "Không thuộc thẩm quyền".encode() in said


def test_receipts_that_were_saved_are_let_go(sandbox: Path, submitted: int, tmp_path: Path) -> None:
    first = told(sandbox, "receipts", "--count", 1, "--save", tmp_path, "--acknowledge", who=SENDER)
    (ended,) = first["receipts"]
    assert (tmp_path / f"{ended['entry']}.receipt").exists()
    again = told(sandbox, "receipts", "--count", 1, who=SENDER)
    assert [one["entry"] for one in again["receipts"]] != [ended["entry"]]


def test_what_cannot_be_is_told_in_a_sentence(sandbox: Path, tmp_path: Path) -> None:
    forged = mailbox(sandbox, "acknowledge", "0-0", "--lease", "0" * 43, code=1)
    assert b"mailbox.not-there" in forged.stderr
    malformed = mailbox(sandbox, "acknowledge", "0-0", "--lease", "x", code=1)
    assert b"mailbox.request" in malformed.stderr
    assert b"such as 17-0" in mailbox(sandbox, "acknowledge", "x", "--lease", "x", code=2).stderr
    assert b"needs --save" in mailbox(sandbox, "receipts", "--acknowledge", code=2).stderr
    assert b"There is no subsystem" in mailbox(sandbox, "list", who="H18/khac", code=2).stderr


def test_what_is_not_the_hubs_is_not_shown(sandbox: Path, tmp_path: Path) -> None:
    with listening(lambda _: (200, b"<a/>")) as url:
        described = json.loads((sandbox / "sandbox.json").read_text())
        (tmp_path / "sandbox.json").write_text(json.dumps(described | {"hub_url": url}))
        result = lienthong("mailbox", "list", "--as", BOX, "--dir", tmp_path)
    assert result.returncode == 2
    assert b"not proved" in result.stderr
