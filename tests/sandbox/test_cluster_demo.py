"""Two hubs, broker, database, workers: one of each dies under load, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bus.audit.checks.conservation import DeliveryAccounts, DeliveryClass
from bus.cli.cluster_demo import cluster_demo
from bus.sandbox.cluster.checking import CheckedLog, ReadEntries, verdict_of
from bus.sandbox.cluster.sending import SendingAccounts, ToldAcceptance, ToldAnswer
from bus.sandbox.cluster.site import HUBS
from bus.sandbox.servers import postgresql, rabbitmq
from bus.sandbox.servers.private import missing_packages
from tests.cli.running import processes_of
from tests.servers.fixtures import missing

A = "log.example/a"
Story = dict[str, Any]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Story]:
    for package in missing_packages(postgres=True, rabbit=True):
        missing(package)
    folder = tmp_path_factory.mktemp("cluster") / "nation"
    result = subprocess.run(
        [sys.executable, "-m", "bus.cli", "cluster-demo", "--json", "--keep", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return folder, json.loads(result.stdout)


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestPlayed:
    """What a run of it shows."""

    def test_nothing_is_lost_and_each_delivery_is_closed_once(
        self, played: tuple[Path, Story]
    ) -> None:
        story = played[1]
        assert story["is_sound"]
        assert story["sent"] == story["accepted"] + story["answered"]
        assert story["accepted"] > 100
        assert story["answered"] > 20
        assert (story["lost"], story["closed_twice"], story["left_open"]) == ([], [], 0)
        assert story["refused"] == {}
        kinds = sum((Counter(one) for one in story["recipients"].values()), Counter[str]())
        assert kinds["dead-lettered"] == kinds["expired"] == kinds["refused"] == 0
        assert kinds["delivered"] >= story["accepted"]

    def test_each_part_was_struck_and_came_back(self, played: tuple[Path, Story]) -> None:
        told = "\n".join(one["what"] for one in played[1]["events"])
        for words in (
            "worker 1 is killed",
            "worker 1 is there again",
            "the broker is killed",
            "the broker is there again",
            "PostgreSQL is killed",
            "PostgreSQL is there again: each hub goes on with its own log",
            "hub a is killed",
            "hub b goes on with the log of hub a",
            "is told the first acceptance",
            "hub a is back and got its log",
            "hub b stands still",
            "hub a goes on with the log of hub b",
            "hub b is fenced: it wrote nothing",
            "hub b is back and got its log",
        ):
            assert words in told

    def test_every_log_is_sound_and_was_begun_by_its_own_hub_the_other_and_its_own(
        self, played: tuple[Path, Story]
    ) -> None:
        for log in played[1]["logs"]:
            assert log["findings"] == []
            assert log["starts"] >= 3
        assert len(played[1]["logs"]) == len(HUBS)

    def test_nothing_runs_any_more(self, played: tuple[Path, Story]) -> None:
        assert processes_of(played[0]) == []


def test_without_servers_it_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "find_programs", lambda: None)
    monkeypatch.setattr(rabbitmq, "find_programs", lambda: None)
    result = CliRunner().invoke(cluster_demo, ["--json"])
    assert result.exit_code == 2
    assert "apt-get install --no-install-recommends postgresql rabbitmq-server" in result.output


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    result = CliRunner().invoke(cluster_demo, ["--keep", str(tmp_path)])
    assert result.exit_code == 2
    assert "expected an empty folder" in result.output
    assert [one.name for one in tmp_path.iterdir()] == ["x"]


class TestVerdict:
    """What is wrong is seen: each is planted here."""

    def test_all_is_well(self) -> None:
        assert verdict_of(*_well()).is_sound

    def test_what_a_sender_was_told_and_no_log_holds_is_lost(self) -> None:
        found, told, mailboxes = _well()
        told.accepted["m-3"] = ToldAcceptance(A, 9, 1)
        told.accepted["m-4"] = ToldAcceptance("log.example/c", 1, 1)
        told.accepted["m-5"] = ToldAcceptance(A, 1, 2)
        assert verdict_of(found, told, mailboxes).lost == ("m-3", "m-4", "m-5")

    def test_an_answer_that_no_log_holds_is_lost(self) -> None:
        found, told, mailboxes = _well()
        found[A][1].answers[4] = 3
        told.answered["q-1"] = ToldAnswer(A, 3, 4)
        assert verdict_of(found, told, mailboxes).is_sound
        told.answered |= {"q-2": ToldAnswer(A, 2, 4), "q-3": ToldAnswer("log.example/c", 3, 4)}
        assert verdict_of(found, told, mailboxes).lost == ("q-2", "q-3")

    def test_a_second_closing_is_seen(self) -> None:
        found, told, mailboxes = _well()
        found[A][1].closings[1, 0] += 1
        verdict = verdict_of(found, told, mailboxes)
        assert verdict.closed_twice == (f"{A} 1/0",)
        assert not verdict.is_sound

    def test_what_stays_open_is_seen_and_a_mailbox_may(self) -> None:
        found, told, mailboxes = _well()
        found[A][0].accounts.add("VN/GOV/H14/x", DeliveryClass.PENDING, 1)
        assert not verdict_of(found, told, mailboxes).is_sound
        assert verdict_of(found, told, {"VN/GOV/H14/x"}).is_sound

    def test_what_nobody_was_told_of_is_seen(self) -> None:
        found, told, mailboxes = _well()
        del told.accepted["m-1"]
        verdict = verdict_of(found, told, mailboxes)
        assert (verdict.untold, verdict.is_sound) == (1, False)

    def test_a_finding_in_a_log_is_seen(self) -> None:
        found, told, mailboxes = _well()
        log, read = found[A]
        found[A] = replace(log, findings=("entry 1: damaged",)), read
        assert not verdict_of(found, told, mailboxes).is_sound


def _well() -> tuple[dict[str, tuple[CheckedLog, ReadEntries]], SendingAccounts, set[str]]:
    """Two submissions of one log, each delivered."""
    accounts = DeliveryAccounts()
    accounts.add("VN/GOV/H01/x", DeliveryClass.DELIVERED, 2)
    read = ReadEntries(opened={1: 1, 2: 1}, closings=Counter({(1, 0): 1, (2, 0): 1}), starts=1)
    told = SendingAccounts(sent=2)
    told.accepted = {"m-1": ToldAcceptance(A, 1, 1), "m-2": ToldAcceptance(A, 2, 1)}
    return {A: (CheckedLog(A, 5, "", (), accounts, 1), read)}, told, set()
