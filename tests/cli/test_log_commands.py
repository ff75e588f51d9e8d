"""`lienthong log` tells an auditor what a folder holds, and names what was altered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bus import __version__
from tests.cli.running import copied_log, described, lienthong, output_of


@pytest.fixture(scope="module")
def used(sandbox: Path) -> Path:
    """The sandbox, after one exchange and one refusal."""
    for subsystem, code in (("H41/motcua", 0), ("G03/tuyensinh", 1)):
        sample = sandbox / "samples" / "chiTietDoanhNghiep.xml"
        ask = ["call", "chiTietDoanhNghiep", "--as", subsystem, "--body", sample]
        asked = lienthong(*ask, "--message-id", f"m-{subsystem}", folder=sandbox)
        assert asked.returncode == code, output_of(asked)
    return sandbox


@pytest.fixture
def copy(used: Path, tmp_path: Path) -> Path:
    """A copy of the log's folder alone, as it is handed to an auditor."""
    return copied_log(used / "log", tmp_path / "copy" / "log")


def test_a_live_log_is_sound_and_its_decisions_are_made_again(used: Path) -> None:
    result = lienthong("log", "verify", used / "log", "--json")
    values = json.loads(result.stdout)
    assert result.returncode == 0, output_of(result)
    assert values["sound"]
    assert values["findings"] == []
    judged = values["decisions_repeated"] + sum(values["decisions_skipped"].values())
    assert values["decisions_repeated"] >= 2
    assert values["answers_verified"] == values["settled"]
    assert judged == values["received"] + values["events"]["refused"]
    assert values["pending"] == 0


def test_the_text_says_which_key_opens_payloads_and_what_was_checked(used: Path) -> None:
    text = output_of(lienthong("log", "verify", used))
    assert f"Payloads are opened with {used}/keys/log-read.key." in text
    for level in ("every byte", "checkpoint under", "payloads: opened", "decisions made again"):
        assert level in text


def test_a_copy_without_keys_is_checked_as_far_as_it_goes(copy: Path) -> None:
    result = lienthong("log", "verify", copy)
    assert result.returncode == 0, output_of(result)
    assert "payloads: sealed bytes only" in output_of(result)
    assert "decisions: not made again" in output_of(result)


def test_a_copy_with_the_read_key_and_a_trusted_key_is_checked_whole(
    copy: Path, used: Path
) -> None:
    keys = ["--read-key", described(used)["log_read_key"]]
    vkey = Path(described(used)["log_verifier_key"])
    for trusted in (vkey, vkey.read_text().strip()):
        result = lienthong("log", "verify", copy, *keys, "--trust", trusted)
        assert result.returncode == 0, output_of(result)
        assert "under the key given" in output_of(result)


def test_quick_opens_nothing(used: Path) -> None:
    values = json.loads(lienthong("log", "verify", used, "--quick", "--json").stdout)
    assert (values["sound"], values["payloads_opened"]) == (True, 0)


@pytest.mark.parametrize("name", ["log.sqlite", "checkpoint", "checkpoint.vkey"])
def test_one_altered_byte_is_found_and_named(name: str, copy: Path) -> None:
    stored = bytearray((copy / name).read_bytes())
    stored[len(stored) // 2] ^= 1
    (copy / name).write_bytes(stored)
    result = lienthong("log", "verify", copy)
    assert result.returncode == 1
    assert result.stdout.decode().startswith("entry ")
    finding = json.loads(lienthong("log", "verify", copy, "--json").stdout)["findings"][0]
    assert finding.keys() == {"index", "file", "byte_range", "what", "expected", "found"}


def test_a_folder_without_a_log_and_keys_that_are_none_could_not_be_checked(
    copy: Path, tmp_path: Path
) -> None:
    no_key = tmp_path / "no.key"
    no_key.write_text("abc\n")
    no_key.chmod(0o600)
    for arguments in (
        [tmp_path],
        [copy, "--read-key", no_key],
        [copy, "--read-key", tmp_path / "missing"],
        [copy, "--trust", "nonsense"],
        [copy, "--trust", "n" * 5000],
        [copy, "--trust", no_key],
    ):
        result = lienthong("log", "verify", *arguments)
        assert result.returncode == 2, output_of(result)
        assert result.stdout == b""


def test_entries_of_a_message_are_shown_with_their_payloads(used: Path) -> None:
    result = lienthong("log", "show", used, "--message", "m-H41/motcua", "--payload", "--json")
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    assert [entry["event"] for entry in entries] == ["received", "outcome"]
    assert "<soap:Envelope" in entries[0]["opened"]
    assert entries[1]["continues"] == entries[0]["index"]


def test_entries_are_chosen_by_index_range_event_and_limit(used: Path) -> None:
    def indexes(*arguments: str) -> list[int]:
        shown = lienthong("log", "show", used / "log", "--json", *arguments).stdout
        return [json.loads(line)["index"] for line in shown.splitlines()]

    assert indexes("--index", "1") == [1]
    assert indexes("--from", "1", "--to", "2") == [1, 2]
    assert indexes("--limit", "2") == [0, 1]
    assert indexes("--event", "started") == [0]
    started = lienthong("log", "show", used, "--event", "started").stdout.decode()
    assert f"started        lienthong {__version__}" in started
    text = lienthong("log", "show", used, "--event", "refused").stdout.decode()
    assert "access.denied" in text


def test_the_entry_of_a_fault_is_found_by_the_id_that_its_sender_quotes(used: Path) -> None:
    refused = lienthong("log", "show", used, "--event", "refused", "--json").stdout
    entry = json.loads(refused.splitlines()[0])
    found = lienthong("log", "show", used, "--fault", entry["fault"], "--json").stdout
    assert [json.loads(line)["index"] for line in found.splitlines()] == [entry["index"]]
    assert lienthong("log", "show", used, "--fault", "nothing").returncode == 1


@pytest.mark.parametrize(
    "chosen",
    [
        ["--index", "999999"],
        ["--from", "999999"],
        ["--from", "2", "--to", "1"],
        ["--event", "erased"],
        ["--fault", "nothing"],
        ["--message", "nothing"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_entry_that_is_not_there_is_1_and_told(
    used: Path, chosen: list[str], form: list[str]
) -> None:
    result = lienthong("log", "show", used, *chosen, *form)

    assert (result.returncode, result.stdout) == (1, b"")
    assert re.search(r"No such entry: the log has \d+ entries, from 0 on\.", output_of(result))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--index", "1", "--event", "started"], "Give one of --index and --event."),
        (["--fault", "x", "--message", "y"], "Give one of --message and --fault."),
        (["--index", "1", "--to", "5"], "--from and --to do not go with --index."),
        (["--save-attachments", "here"], "--save-attachments needs --payload."),
    ],
)
def test_what_cannot_be_done_together_is_not_left_out_in_silence(
    used: Path, options: list[str], words: str
) -> None:
    result = lienthong("log", "show", used, *options)

    assert (result.returncode, result.stdout) == (2, b"")
    assert words in output_of(result)


def test_no_log_is_2(tmp_path: Path) -> None:
    assert lienthong("log", "show", tmp_path).returncode == 2
