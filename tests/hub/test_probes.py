"""A hub looks whether agencies are there; that is no message, and leaves nothing in the log."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from bus.core.errors import RecipientUnavailable
from bus.core.identifiers import SubsystemId
from bus.delivery.probing import ProbeStatus
from bus.hub import open_hub
from bus.operations.live_probes import probe_agencies, probe_warning
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import ScriptedAgency, SetClock
from tests.nation import LOOKUP, SmallNation, carried_by


class SeenAgency(ScriptedAgency):
    """Is there, for whoever is not the lookup's provider."""

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        if recipient == LOOKUP.provider:
            raise RecipientUnavailable("away")


def test_a_hub_says_who_is_there_and_writes_nothing_of_it(
    nation: SmallNation, tmp_path: Path
) -> None:
    log = replace(nation.settings.log, folder=tmp_path / "log", guard=tmp_path / "guard")
    settings = replace(nation.settings, log=log, probe_seconds=1)

    async def story() -> tuple[ProbeStatus, ...]:
        hub = await open_hub(settings, adapters=carried_by(SeenAgency()), clock=SetClock())
        try:
            entries = hub.status().log.entries
            async with asyncio.timeout(HANG_SECONDS_MAX):
                while any(one.is_reached is None for one in hub.status().probes):
                    await asyncio.sleep(0.01)
            status = hub.status()
            assert status.log.entries == entries
            assert [one for one in status.notices() if str(LOOKUP.provider) in one]
            assert not [one for one in status.attention() if str(LOOKUP.provider) in one]
            return status.probes
        finally:
            await hub.close()

    probes = asyncio.run(story())
    reached = {one.recipient: one.is_reached for one in probes}
    assert reached.pop(str(LOOKUP.provider)) is False
    assert len(reached) > 30
    assert set(reached.values()) == {True}


def test_each_agency_can_be_asked_once_without_a_hub(nation: SmallNation) -> None:
    found = asyncio.run(probe_agencies(nation.settings.file, carried_by(SeenAgency())))

    warnings = [probe_warning(nation.settings.file, one) for one in found]
    told = [str(one) for one in warnings if one is not None]
    assert len(found) > 30
    (only,) = told
    assert f"{LOOKUP.provider} is away: {RecipientUnavailable.code}" in only
