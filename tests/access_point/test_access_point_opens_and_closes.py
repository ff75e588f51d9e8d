"""An access point opens and closes as a whole: nothing is left open behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog

import bus.access_point.opening as access_point_module
from bus.access_point.answer_signers import AnswerSigners
from bus.access_point.hub_link import HubLink
from bus.access_point.opening import open_access_point
from bus.access_point.settings import AccessPointSettings
from bus.access_point.store import ExchangeStore
from tests.access_point.running_access_point import write_settings
from tests.hub.running_hub import SetClock
from tests.nation import SmallNation


class Away(Exception):
    """Something that no part of an access point expects."""


def fail(*_: object, **__: object) -> Any:
    raise Away("040185766517")


@pytest.fixture
def settings(nation: SmallNation, tmp_path: Path) -> AccessPointSettings:
    revocation = {"check": "required", "cache": str(tmp_path / "cache")}
    return write_settings(nation, tmp_path, "http://127.0.0.1:1", revocation=revocation)


STEPS_OF_OPENING: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "the spool": (access_point_module, "open_spool", fail),
    "the evidence": (ExchangeStore, "open", fail),
    "the link": (access_point_module, "HubLink", fail),
    "who knows what is revoked": (access_point_module, "AnswerSigners", fail),
    "the access point": (access_point_module, "AccessPoint", fail),
}


@pytest.mark.parametrize("step", STEPS_OF_OPENING)
def test_a_step_of_opening_that_fails_leaves_nothing_open(
    step: str, settings: AccessPointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, failing = STEPS_OF_OPENING[step]
    before = standing(settings)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(Away):
            asyncio.run(open_access_point(settings, clock=SetClock()))

    assert standing(settings) == before


def standing(settings: AccessPointSettings) -> tuple[set[str], list[Path]]:
    """Threads, and files of its folder that this process has open."""
    files = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            files.append(entry.readlink())
    threads = {one.name for one in threading.enumerate()}
    return threads, [one for one in files if one.is_relative_to(settings.evidence)]


@pytest.mark.parametrize("kind", [AnswerSigners, HubLink, ExchangeStore])
def test_a_step_of_closing_that_fails_is_told_and_skips_no_other(
    kind: type[Any], settings: AccessPointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[type] = []
    for one in (AnswerSigners, HubLink, ExchangeStore):

        def close(self: Any, one: type[Any] = one, close: Callable[..., None] = one.close) -> None:
            closed.append(one)
            close(self)
            if one is kind:
                raise Away("040185766517")

        monkeypatch.setattr(one, "close", close)

    async def story() -> None:
        point = await open_access_point(settings, clock=SetClock())
        await point.close()

    with structlog.testing.capture_logs() as told:
        asyncio.run(story())

    assert closed == [AnswerSigners, HubLink, ExchangeStore]
    (entry,) = [one for one in told if one["event"] == "close.failed"]
    assert entry["error"] == "Away"
    assert "040185766517" not in repr(told)
