"""Whatever others wrote, a terminal does nothing with it: no command writes it raw."""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.cli.shown import one_line, printable
from tests.cli.running import copied_log, described, lienthong, output_of
from tests.hang_limits import HANG_SECONDS_MAX

CLI = Path(__file__).parents[2] / "bus" / "cli"
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31m\x00\x08\x7f\x9b31m\x85\u202e\u2066\u2069\u200e\u200f"
    "\u2028\u2029\u200b\ufeff\u00ad\U000e0041 [red]"
)
VIETNAMESE = "Nguyễn Thị Vi Dụ, Đường số 5 — “thử” €5 \N{NO-BREAK SPACE}日本 🙂"


def is_tame(text: str) -> bool:
    """Nothing in it that a terminal acts upon or that turns what is read."""
    return all(
        letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        for letter in text
    )


def test_letters_stay_in_either_form() -> None:
    for form in ("NFC", "NFD"):
        text = unicodedata.normalize(form, VIETNAMESE)
        assert printable(text) == text


@given(st.text(st.characters(codec=None)))
def test_any_text_is_tame_and_only_grows(text: str) -> None:
    shown = printable(text)

    assert is_tame(shown.replace("\t", ""))
    assert "\n" not in one_line(text)
    assert is_tame(one_line(text))
    shown.encode()


@given(st.recursive(st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
def test_what_is_json_stays_the_same_json(value: object) -> None:
    for indent in (None, 2):
        text = json.dumps(value, ensure_ascii=False, indent=indent)
        assert json.loads(printable(text)) == value


def test_nothing_in_the_commands_writes_but_through_the_one_way_out() -> None:
    for path in sorted(CLI.glob("*.py")):
        if path.name == "shown.py":
            continue
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call):
                continue
            written = ast.unparse(call.func)
            assert written not in ("click.echo", "click.secho", "print", "echo"), path
            if written.endswith(("stdout.write", "stderr.write")):
                raise AssertionError(f"{path}: {written}")
            if written == "Console" and "stderr" not in ast.unparse(call):
                assert "markup=False" in ast.unparse(call), path


# --- the commands ---------------------------------------------------------------------------------


def _fault_id(sandbox: Path, body: bytes) -> str:
    url = described(sandbox)["hub_url"]
    request = urllib.request.Request(url, body, {"Content-Type": "text/xml"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=HANG_SECONDS_MAX)
    with refused.value as reply:
        found = re.search(rb"faultId>([^<]*)", reply.read())
    assert found
    return found[1].decode()


def test_a_stranger_s_message_is_shown_tame_and_whole(sandbox: Path) -> None:
    sent = HOSTILE.encode() + b" NOT XML\r\n\xff"
    fault = _fault_id(sandbox, sent)
    ask = ["log", "show", sandbox, "--payload", "--fault", fault]

    text = lienthong(*ask)
    as_json = lienthong(*ask, "--json")
    raw = lienthong(*ask, "--raw")

    assert is_tame(output_of(text)), text
    assert "\\u001b]0;owned\\u0007" in output_of(text)
    assert is_tame(output_of(as_json))
    assert json.loads(as_json.stdout)["opened"] == sent.decode("utf-8", "replace")
    assert raw.stdout == sent
    assert lienthong("log", "show", sandbox, "--raw").returncode == 2
    assert lienthong(*ask, "--raw", "--json").returncode == 2


def test_names_of_files_and_arguments_are_shown_tame(sandbox: Path, tmp_path: Path) -> None:
    name = HOSTILE.replace("\x00", "")
    copy = tmp_path / "log"
    copied_log(sandbox / "log", copy)
    (copy / "tile" / name).touch()
    strange = tmp_path / f"{name}.yaml"
    strange.write_text(f'"{name}": 1\n')

    for arguments in (
        ["log", "verify", copy],
        ["log", "verify", copy, "--json"],
        ["log", "verify", tmp_path / name],
        ["log", "show", tmp_path / name],
        ["log", "show", copy, "--index", name],
        ["log", "verify", copy, "--trust", name],
        ["check", "--settings", strange],
        ["check", "--settings", strange, "--json"],
        ["check", "--access-point", strange],
        ["check", "--settings", tmp_path / name],
        ["receipts", "--access-point", strange],
        ["status", "--settings", strange],
        ["status", "--url", name],
        ["call", name, "--as", "H41/motcua", "--body", strange, "--dir", sandbox],
        ["call", "nopTaiLieu", "--as", name, "--body", strange, "--dir", sandbox],
        ["sandbox", "status", "--dir", tmp_path / name],
        ["sandbox", "fault", name, "--mode", "none", "--dir", sandbox],
        [f"--{name}"],
        [name],
    ):
        result = lienthong(*arguments)
        assert is_tame(output_of(result)), (arguments, output_of(result))
        assert output_of(result)


def test_an_answer_of_a_stranger_s_status_door_is_shown_tame(sandbox: Path) -> None:
    from dataclasses import replace

    from tests.cli.test_status import answering
    from tests.operations.known_status import LOG, STATUS

    status = replace(STATUS, version=HOSTILE, log=replace(LOG, trouble=f"{HOSTILE}\nnotice: fine"))
    with answering(json.dumps(status.as_json()).encode()) as url:
        text = lienthong("status", "--url", url)
        as_json = lienthong("status", "--url", url, "--json")

    assert is_tame(output_of(text))
    assert "\nnotice: fine" not in output_of(text)
    assert "[red]" in output_of(text)
    assert is_tame(output_of(as_json))
    assert json.loads(as_json.stdout)["version"] == HOSTILE
