"""The commands of operators, to a hub that runs and on the log of one that does not."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.core.errors import RecipientUnavailable
from bus.core.log.leaf import Event, Leaf
from bus.doors.operator_socket import OperatorSocket
from bus.kit.contract import Delivered, Disposition, Submission
from bus.log.files import OPERATOR_SOCKET
from bus.runtime.clock import now as read_clock
from tests.cli.running import Result, lienthong, output_of
from tests.hub.running_hub import RunningHub
from tests.hub.submission_nation import (
    SubmissionHub,
    make_submission_nation,
    submission_hub,
    until_told,
)
from tests.nation import SmallNation

WHY = ("--reason", "the agency is back")


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_submission_nation(tmp_path_factory.mktemp("operators-nation"), attempts_max=1)


@pytest.fixture
def one(submissions: SmallNation, tmp_path: Path) -> SubmissionHub:
    return submission_hub(submissions, tmp_path)


@pytest.fixture
def settings(one: SubmissionHub, tmp_path: Path) -> Path:
    """hub.yaml over the log of this test."""
    values = yaml.safe_load(one.settings.file.read_text())
    values["log"] |= {
        "folder": str(one.settings.log.folder),
        "guard": str(one.settings.log.guard),
    }
    path = one.settings.file.with_name(f"{tmp_path.name}.yaml")
    path.write_text(yaml.safe_dump(values))
    return path


def away(_: Submission) -> Disposition:
    raise RecipientUnavailable("away")


async def make_dead(one: SubmissionHub, hub: RunningHub) -> str:
    """The place of a dead letter."""
    one.provider.script = away
    await hub.post(one.message())
    (dead,) = await until_told(hub, "delivery.given-up")
    one.provider.script = lambda _: Delivered()
    return f"{dead.continues}/{dead.position}"


async def told(hub: RunningHub, *arguments: object) -> Result:
    """What a command says beside a hub that runs."""
    listening = OperatorSocket(hub.log_folder, hub.hub.operating)
    await listening.open()
    try:
        return await asyncio.to_thread(lienthong, *arguments)
    finally:
        await listening.close()


def operated(hub: RunningHub) -> Iterator[Leaf]:
    return (leaf for leaf in hub.leaves() if leaf.event is Event.OPERATED)


def test_a_running_hub_lists_dead_letters_and_sends_them_again(
    one: SubmissionHub, settings: Path
) -> None:
    async def story(hub: RunningHub) -> None:
        place = await make_dead(one, hub)
        listed = await told(hub, "dead-letters", "list", "--settings", settings)
        assert listed.returncode == 1
        assert place in output_of(listed)
        sent = await told(hub, "dead-letters", "resend", place, *WHY, "--settings", settings)
        assert sent.returncode == 0
        await until_told(hub, "delivered")
        empty = await told(hub, "dead-letters", "list", "--settings", settings, "--json")
        assert (empty.returncode, json.loads(empty.stdout)) == (0, {"dead": []})

    one.run(story)
    assert len(one.provider.keys) == 1
    one.require_sound()


@pytest.mark.parametrize(("act", "keys"), [("resend", 1), ("resubmit", 2)])
def test_what_is_decided_while_no_hub_runs_is_done_when_one_does(
    one: SubmissionHub, settings: Path, act: str, keys: int
) -> None:
    place = one.run(lambda hub: make_dead(one, hub))
    done = lienthong("dead-letters", act, place, *WHY, "--settings", settings)
    assert done.returncode == 0, output_of(done)
    one.require_sound()

    async def delivers(hub: RunningHub) -> None:
        hub.clock.now = read_clock()  # by which the command said when it is due
        await until_told(hub, "delivered")

    one.run(delivers)
    assert len(one.provider.keys) == keys
    one.require_sound()


def test_what_is_let_go_is_gone_and_the_log_says_so(one: SubmissionHub, settings: Path) -> None:
    place = one.run(lambda hub: make_dead(one, hub))
    assert lienthong("dead-letters", "discard", place, *WHY, "--settings", settings).returncode == 0
    again = lienthong("dead-letters", "discard", place, *WHY, "--settings", settings)
    assert again.returncode == 1
    assert "Not done" in output_of(again)
    one.require_sound()


def test_an_agency_is_paused_and_resumed(one: SubmissionHub, settings: Path) -> None:
    agency = "VN/GOV/G01"
    paused = lienthong("pause", agency, "--reason", "maintenance", "--settings", settings)
    assert paused.returncode == 0, output_of(paused)

    async def waits(hub: RunningHub) -> None:
        await hub.post(one.message())
        assert not one.provider.came
        resumed = await told(hub, "resume", agency, *WHY, "--settings", settings)
        assert resumed.returncode == 0
        await until_told(hub, "delivered")
        assert [leaf.verdict for leaf in operated(hub)] == ["pause", "resume"]

    one.run(waits)
    one.require_sound()


def test_a_message_is_shown_with_every_attempt(one: SubmissionHub, settings: Path) -> None:
    place = one.run(lambda hub: make_dead(one, hub))
    entry = place.partition("/")[0]
    by_id = lienthong("messages", "show", "m-1", "--settings", settings, "--json")
    by_entry = lienthong("messages", "show", entry, "--settings", settings, "--json")
    letter = lienthong("dead-letters", "show", place, "--settings", settings, "--json")
    assert by_id.stdout == by_entry.stdout == letter.stdout
    entries: list[dict[str, Any]] = json.loads(by_id.stdout)["entries"]
    assert [one["event"] for one in entries] == ["received", "outcome"]
    assert entries[1]["verdict"] == "delivery.given-up"
    assert entries[1]["attempt"] == 1
    shown = output_of(lienthong("messages", "show", "m-1", "--settings", settings))
    assert "delivery.given-up" in shown


def test_a_message_that_never_came_is_not_shown(one: SubmissionHub, settings: Path) -> None:
    one.run(lambda hub: make_dead(one, hub))
    assert lienthong("messages", "show", "m-77", "--settings", settings).returncode == 1


@pytest.mark.parametrize("place", ["m-1", "1", "1/", "/1", "-1/0", "1/0/0", "١/٠"])
def test_what_names_no_delivery_is_said(settings: Path, place: str) -> None:
    said = lienthong("dead-letters", "discard", place, *WHY, "--settings", settings)
    assert said.returncode == 2


def test_only_whoever_owns_the_folder_may_tell_a_hub_what_to_do(one: SubmissionHub) -> None:
    modes: list[int] = []

    async def story(hub: RunningHub) -> None:
        listening = OperatorSocket(hub.log_folder, hub.hub.operating)
        await listening.open()
        modes.append((hub.log_folder / OPERATOR_SOCKET).lstat().st_mode)
        await listening.close()
        assert not (hub.log_folder / OPERATOR_SOCKET).exists()

    one.run(story)
    assert stat.S_ISSOCK(modes[0])
    assert stat.S_IMODE(modes[0]) == 0o600


def test_a_socket_that_a_killed_hub_left_is_taken_over(one: SubmissionHub, settings: Path) -> None:
    async def story(hub: RunningHub) -> None:
        (hub.log_folder / OPERATOR_SOCKET).write_text("left behind")
        listed = await told(hub, "dead-letters", "list", "--settings", settings)
        assert listed.returncode == 0

    one.run(story)
