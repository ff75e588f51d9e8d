"""A hub opens on its log, says so there, and finishes what an earlier run left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bus import __version__
from bus.audit.folder import open_log_reader
from bus.core import errors
from bus.core.canonical_json import canonical_json
from bus.core.log.leaf import Event
from bus.delivery.carrying import signing_members
from bus.exchange.answering import Answering
from bus.hub import open_hub
from bus.judging.rules import read_rules
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer
from tests.hub.running_hub import RunningHub, ScriptedAgency, in_hub
from tests.nation import ADAPTER_IDS, LOOKUP, NOW, REFERENCE, SmallNation, carried_by, request

pytestmark = pytest.mark.usefixtures("each_store")


def events(running: RunningHub) -> list[Event]:
    return [leaf.event for leaf in running.leaves()]


def test_a_hub_says_when_it_starts_by_which_rules_and_when_it_stops(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> RunningHub:
        leaves = running.leaves()
        assert [leaf.event for leaf in leaves] == [Event.STARTED, Event.CONFIGURATION]
        assert leaves[0].program == f"lienthong {__version__}"
        assert leaves[-1].config == nation.rules.digest
        return running

    running = in_hub(nation, tmp_path, story)

    assert events(running)[-1] is Event.STOPPED


def test_the_log_keeps_every_text_of_the_rules(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> RunningHub:
        return running

    running = in_hub(nation, tmp_path, story)

    with open_log_reader(running.log_folder, running.database) as reader:
        manifest = reader.text(nation.rules.digest)
        assert reader.text(nation.rules.registry.digest) == nation.rules.registry.text
    assert nation.rules.registry.digest.hex().encode() in manifest


def test_rules_are_named_by_everything_that_decides(nation: SmallNation, tmp_path: Path) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text(nation.settings.routes.read_text() + "# changed\n")

    other = read_rules(replace(nation.settings, routes=routes))
    same = read_rules(nation.settings)

    assert same.rules.digest == nation.rules.digest != other.rules.digest
    assert canonical_json({}) not in same.texts


def test_a_hub_describes_its_services(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> None:
        listed = await running.get("/services")
        wsdl = await running.get(f"/services/{LOOKUP}", b"wsdl")
        nothing = await running.get("/services/VN/GOV/G01/dancu/Khac/v1", b"wsdl")
        nonsense = await running.get("/services/x", b"wsdl")

        assert f"{LOOKUP}\tTra cứu thông tin công dân\n".encode() in listed.body
        assert b"<wsdl:definitions" in wsdl.body
        assert f'location="{nation.settings.public_url}/services/{LOOKUP}"'.encode() in wsdl.body
        assert (nothing.status, nonsense.status) == (404, 404)

    in_hub(nation, tmp_path, story)


def test_a_message_that_a_crash_left_open_is_told_and_may_come_again(
    nation: SmallNation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = request(nation)

    async def crash(running: RunningHub) -> None:
        # The process ends between the received entry and its outcome: nothing is settled.
        async def gone(*_: object, **__: object) -> object:
            raise asyncio.CancelledError

        monkeypatch.setattr(Answering, "ask", gone)
        with pytest.raises(asyncio.CancelledError):
            await running.post(raw)
        monkeypatch.undo()
        assert events(running)[-1] is Event.RECEIVED

    async def again(running: RunningHub) -> None:
        assert running.leaves()[-1].verdict == errors.DeliveryInterrupted.code
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        assert [leaf.verdict for leaf in running.leaves()[-2:]] == ["accepted", "delivered"]

    in_hub(nation, tmp_path, crash)
    in_hub(nation, tmp_path, again)


# --- what a hub does not start with --------------------------------------------------------------


def opening(nation: SmallNation, tmp_path: Path, **changes: object) -> Callable[[], object]:
    log = replace(nation.settings.log, folder=tmp_path / "log", guard=tmp_path / "guard")
    settings = replace(nation.settings, log=log, **changes)  # type: ignore[arg-type]
    return lambda: asyncio.run(open_hub(settings))


def test_without_the_key_of_an_answering_agency_it_does_not_start(
    nation: SmallNation, tmp_path: Path
) -> None:
    agency = ScriptedAgency()
    log = replace(nation.settings.log, folder=tmp_path / "log", guard=tmp_path / "guard")
    settings = replace(nation.settings, log=log, signers={})

    with pytest.raises(errors.ConfigurationError) as caught:
        asyncio.run(open_hub(settings, adapters=carried_by(agency)))

    assert [problem.path for problem in caught.value.problems] == [
        f"signers.{member}" for member in sorted(signing_members(REFERENCE))
    ]


def test_without_an_adapter_it_does_not_start(nation: SmallNation, tmp_path: Path) -> None:
    (tmp_path / "adapters").mkdir()

    with pytest.raises(errors.ConfigurationError, match="expected an adapter"):
        opening(nation, tmp_path, adapters=tmp_path / "adapters")()


def test_two_hubs_do_not_share_a_log(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> None:
        settings = replace(
            nation.settings,
            log=replace(nation.settings.log, folder=running.log_folder, guard=tmp_path / "guard"),
        )
        adapters = carried_by(running.agency)
        with pytest.raises(errors.LogUnavailable):
            await open_hub(settings, adapters=adapters, clock=lambda: NOW)

    in_hub(nation, tmp_path, story)


def test_the_adapters_of_the_folder_are_opened(nation: SmallNation, tmp_path: Path) -> None:
    async def story() -> list[str]:
        log = replace(nation.settings.log, folder=tmp_path / "log", guard=tmp_path / "guard")
        hub = await open_hub(replace(nation.settings, log=log))
        try:
            return sorted(hub.status().agencies)
        finally:
            await hub.close()

    assert tuple(asyncio.run(story())) == ADAPTER_IDS
