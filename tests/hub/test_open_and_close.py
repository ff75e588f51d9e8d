"""A hub opens and closes as a whole: what fails is told, and nothing is left open behind it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

import bus.hub as hub_module
import bus.hub_parts as parts_module
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
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import Close, Resources
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
    "the keys": (parts_module, "read_succession", fail),
    "the spool": (parts_module, "open_spool", fail),
    "the descriptions": (parts_module, "ServiceDescriptions", fail),
    "the log": (parts_module, "open_log", fail),
    "the timestamps": (parts_module, "_timestamper", fail),
    "the attachments": (parts_module, "open_attachments", fail),
    "the judges": (parts_module, "Decider", fail),
    "revocation": (parts_module, "RevocationStage", fail),
    "the certificates": (parts_module, "named_certificates", fail),
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
    assert agency.closings == len(ADAPTER_IDS)  # it stands for all of them
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
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while True:
        threads, files, children = standing()
        more = (threads - expected[0], files - expected[1], children - expected[2])
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

    async def story(closings: Closings) -> None:
        hub = await open_small(settings, ScriptedAgency(), judge_process=step == "judges")
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            await hub.close()
        assert sorted(closings.done) == sorted(closings.names()) != []

    with monkeypatch.context() as noting, structlog.testing.capture_logs() as told:
        asyncio.run(story(Closings(noting)))

    failed = [one for one in told if one["event"] == "close.failed"]
    assert step in [one["resource"] for one in failed]
    assert all(one["error"] == "Away" for one in failed)
    assert "040185766517" not in repr(told)


class Closings:
    """Notes what a hub comes to own, and what of it is closed.

    A method is looked up when it is called: where the test has put a failure, that is called.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.done: list[str] = []
        self._owned: list[Mapping[str, Close]] = []
        own, own_together = Resources.own, Resources.own_together

        def own_one(of: Resources, name: str, close: Close, **bounds: Any) -> None:
            self._owned.append({name: close})
            own(of, name, self._noting(name, close), **bounds)

        def own_some(of: Resources, closings: Mapping[str, Close], **bounds: Any) -> None:
            self._owned.append(closings)
            own_together(of, NotedClosings(closings, self._noting), **bounds)

        patch.setattr(Resources, "own", own_one)
        patch.setattr(Resources, "own_together", own_some)

    def names(self) -> list[str]:
        """What is owned by now."""
        return [name for closings in self._owned for name in closings]

    def _noting(self, name: str, close: Close) -> Close:
        def begin() -> Any:
            self.done.append(name)
            owner, method = getattr(close, "__self__", None), getattr(close, "__name__", "")
            return getattr(owner, method, close)()

        async def begin_here() -> None:
            await begin()

        return begin_here if inspect.iscoroutinefunction(close) else begin


class NotedClosings(Mapping[str, Close]):
    """Closings by name as they are when they are asked for, each of them noted."""

    def __init__(
        self, closings: Mapping[str, Close], noting: Callable[[str, Close], Close]
    ) -> None:
        self._closings, self._noting = closings, noting

    def __getitem__(self, name: str) -> Close:
        return self._noting(name, self._closings[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._closings)

    def __len__(self) -> int:
        return len(self._closings)


def test_an_adapter_that_never_closes_holds_nobody(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bus.delivery.opening.ADAPTERS_CLOSE_SECONDS_MAX", 0.05)
    gate = threading.Event()

    class NeverClosing(ScriptedAgency):
        def close(self) -> None:
            gate.wait(HANG_SECONDS_MAX)

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
            _, told = running.communicate(timeout=HANG_SECONDS_MAX)
    events = [json.loads(line)["event"] for line in told.splitlines()]
    assert running.returncode == 0, told
    assert events[-1] == "hub.closed"
    assert "close.late" in events
    assert last_events(folder)[-1] is Event.STOPPED
    checkpoint = (folder / CHECKPOINT).read_text().splitlines()
    with open_log_reader(folder) as reader:
        assert int(checkpoint[1]) == len(list(reader.entries()))


def await_entry(running: subprocess.Popen[bytes], folder: Path, event: Event) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while last_events(folder)[-1] is not event:
        assert running.poll() is None
        assert time.monotonic() < deadline, f"no entry {event}"
        time.sleep(0.05)


def test_a_hub_on_the_embedded_default_holds_no_client_of_a_server() -> None:
    program = (
        "import sys, bus.hub\nprint([one for one in ('psycopg', 'pika') if one in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n"
