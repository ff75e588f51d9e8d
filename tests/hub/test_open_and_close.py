"""A hub opens and closes as a whole: what fails is told, and nothing is left open behind it."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

import bus.hub as hub_module
from bus.audit.folder import open_log_reader
from bus.core import errors
from bus.core.log.leaf import Event, read_leaf
from bus.delivery.adapter_calls import AdapterCalls
from bus.hub import Hub, open_hub
from bus.judging.process import Decider
from bus.judging.revocation_stage import RevocationStage
from bus.log.attachment_files import AttachmentFiles
from bus.log.files import CHECKPOINT
from bus.log.message_log import HubLog
from bus.runtime import resources
from bus.runtime.clock import now as read_clock
from bus.settings.hub import HubSettings
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import ScriptedAgency
from tests.hub.served_process import await_ready, hanging_hub
from tests.nation import (
    ADAPTER_IDS,
    LOOKUP_ADAPTER,
    NOW,
    SmallNation,
    carried_by,
    make_small_nation,
    request,
)

SECONDS_MAX = HANG_SECONDS_MAX


class Away(Exception):
    """Something that no part of a hub expects."""


def fail(*_: object, **__: object) -> Any:
    raise Away("040185766517")


async def fail_later(*_: object, **__: object) -> Any:
    raise Away("040185766517")


def hub_settings(nation: SmallNation, folder: Path) -> HubSettings:
    log = replace(nation.settings.log, folder=folder / "log", guard=folder / "guard")
    return replace(nation.settings, log=log, spool=folder / "spool")


async def open_small(
    settings: HubSettings, agency: ScriptedAgency, *, judge_process: bool = False
) -> Hub:
    adapters = carried_by(agency)
    return await open_hub(
        settings, adapters=adapters, judge_process=judge_process, clock=lambda: NOW
    )


class Closing(ScriptedAgency):
    """Counts how often it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closings = 0

    def close(self) -> None:
        self.closings += 1


# --- opening -------------------------------------------------------------------------------------

STEPS_OF_OPENING: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "the keys": (hub_module, "read_succession", fail),
    "the spool": (hub_module, "open_spool", fail),
    "the descriptions": (hub_module, "ServiceDescriptions", fail),
    "the log": (hub_module, "open_log", fail),
    "the timestamps": (hub_module, "_timestamper", fail),
    "the attachments": (hub_module, "AttachmentFiles", fail),
    "the judges": (hub_module, "Decider", fail),
    "revocation": (hub_module, "RevocationStage", fail),
    "the certificates": (hub_module, "named_certificates", fail),
    "what was left of attachments": (AttachmentFiles, "recover", fail_later),
    "the rules in the log": (HubLog, "append_text", fail_later),
    "the first entry": (HubLog, "append", fail_later),
    "the process": (Decider, "start", fail_later),
    "the hub": (hub_module, "Hub", fail),
}
AFTER_THE_PROCESS = {"the process", "the hub"}


@pytest.mark.parametrize("step", STEPS_OF_OPENING)
def test_a_step_of_opening_that_fails_leaves_nothing_open(
    step: str, nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub_settings(nation, tmp_path)
    agency = Closing()
    before = standing()
    owner, name, failing = STEPS_OF_OPENING[step]

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(Away):
            asyncio.run(open_small(settings, agency, judge_process=step in AFTER_THE_PROCESS))

    await_standing(before)
    assert agency.closings == 2  # it stands for two agencies
    asyncio.run(open_and_close(settings))  # the lock of the log's folder is free


async def open_and_close(settings: HubSettings) -> None:
    hub = await open_small(settings, ScriptedAgency())
    await hub.close()


def standing() -> tuple[set[str], set[str], set[int]]:
    """Threads, files and sockets, and processes that this process has."""
    gc.collect()
    # Workers of the event loop's own executor end with the loop.
    threads = {one.name for one in threading.enumerate()}
    files = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            files.add(f"{entry.name} {entry.readlink()}")
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return threads, files, {int(one) for one in children}


def await_standing(expected: tuple[set[str], set[str], set[int]]) -> None:
    """Wait until nothing more is there than was before: threads end in their own time."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        more = [now - before for now, before in zip(standing(), expected, strict=True)]
        if not any(more):
            return
        assert time.monotonic() < deadline, more
        time.sleep(0.01)


# --- closing -------------------------------------------------------------------------------------

STEPS_OF_CLOSING: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "revocation": (RevocationStage, "close", fail_later),
    "judges": (Decider, "close", fail_later),
    f"adapter-{LOOKUP_ADAPTER}": (AdapterCalls, "close", fail),
    "log": (HubLog, "close", fail_later),
    "stopped-entry": (HubLog, "append", fail_later),
}


@pytest.mark.parametrize("step", STEPS_OF_CLOSING)
def test_a_step_of_closing_that_fails_is_told_and_skips_no_other(
    step: str, nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub_settings(nation, tmp_path)
    owner, name, failing = STEPS_OF_CLOSING[step]
    steps: list[str] = []
    closed: list[str] = []

    async def story() -> None:
        with monkeypatch.context() as patch:
            hub = await open_small(settings, ScriptedAgency(), judge_process=step == "judges")
            steps.extend(note_closings(hub, closed, patch))
            patch.setattr(owner, name, failing)
            await hub.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())

    assert sorted(closed) == sorted(steps) != []
    failed = [one for one in told if one["event"] == "close.failed"]
    assert step in [one["resource"] for one in failed]
    assert all(one["error"] == "Away" for one in failed)
    assert "040185766517" not in repr(told)


def note_closings(hub: Hub, closed: list[str], patch: pytest.MonkeyPatch) -> list[str]:
    """Have everything noted that is closed, and looked up where the test may put a failure."""
    close_one = resources._close

    async def noting(name: str, close: Callable[[], Any], seconds_max: float) -> None:
        closed.append(name)
        owner, method, failing = STEPS_OF_CLOSING.get(name, (None, "", None))
        own = getattr(close, "__self__", None)
        is_patched = isinstance(owner, type) and isinstance(own, owner)
        is_failing = is_patched and getattr(owner, method) is failing
        await close_one(name, failing if is_failing and failing else close, seconds_max)

    patch.setattr(resources, "_close", noting)
    return [name for step in hub._resources._steps for name in step.closings]


def test_an_adapter_that_never_closes_holds_nobody(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.delivery.opening.ADAPTERS_CLOSE_SECONDS_MAX", 0.05)
    gate = threading.Event()

    class NeverClosing(ScriptedAgency):
        def close(self) -> None:
            gate.wait(SECONDS_MAX)

    settings = hub_settings(nation, tmp_path)

    async def story() -> None:
        hub = await open_small(settings, NeverClosing())
        await hub.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())
    gate.set()

    assert {one["resource"] for one in told if one["event"] == "close.late"} == {
        f"adapter-{one}" for one in ADAPTER_IDS
    }
    assert last_events(settings.log.folder) == [Event.CONFIGURATION, Event.STOPPED]


def test_a_log_that_cannot_take_the_last_entry_is_closed_all_the_same(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = hub_settings(nation, tmp_path)

    async def full(*_: object) -> Any:
        raise errors.LogUnavailable("No space left on device")

    async def story() -> None:
        hub = await open_small(settings, ScriptedAgency())
        with monkeypatch.context() as patch:
            patch.setattr(HubLog, "append", full)
            await hub.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())

    failed = [one for one in told if one["event"] == "close.failed"]
    assert [(one["resource"], one["error"]) for one in failed] == [
        ("stopped-entry", "LogUnavailable")
    ]
    asyncio.run(open_and_close(settings))


def last_events(folder: Path) -> list[Event]:
    with open_log_reader(folder) as reader:
        return [read_leaf(entry.leaf).event for entry in reader.entries()][-2:]


# --- the process ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_process_ends_though_an_agency_never_answers_and_its_adapter_never_closes(
    tmp_path: Path,
) -> None:
    nation = make_small_nation(tmp_path / "nation", now=read_clock())
    settings, port = hanging_hub(tmp_path, nation)
    drain_seconds = 1
    command = [sys.executable, "-m", "bus.cli", "serve", "--settings", str(settings)]
    with subprocess.Popen(
        [*command, "--drain-seconds", str(drain_seconds)], stderr=subprocess.PIPE
    ) as running:
        await_ready(running, port)
        asked = request(nation, "hanging", created=read_clock())
        with socket.create_connection(("127.0.0.1", port)) as line:
            head = "POST / HTTP/1.1\r\nHost: hub\r\nContent-Type: text/xml\r\nContent-Length: "
            line.sendall(f"{head}{len(asked)}\r\n\r\n".encode() + asked)
            folder = nation.settings.log.folder
            await_entry(running, folder, Event.RECEIVED)
            running.send_signal(signal.SIGTERM)
            # A thread that hangs would hold the process for ever.
            _, told = running.communicate(timeout=SECONDS_MAX)
    events = [json.loads(line)["event"] for line in told.splitlines()]
    assert running.returncode == 0, told
    assert events[-1] == "hub.closed"
    assert "close.late" in events
    assert last_events(folder)[-1] is Event.STOPPED
    checkpoint = (folder / CHECKPOINT).read_text().splitlines()
    with open_log_reader(folder) as reader:
        assert int(checkpoint[1]) == len(list(reader.entries()))


def await_entry(running: subprocess.Popen[bytes], folder: Path, event: Event) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while last_events(folder)[-1] is not event:
        assert running.poll() is None
        assert time.monotonic() < deadline, f"no entry {event}"
        time.sleep(0.05)
