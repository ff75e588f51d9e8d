"""Ask every agency that can be probed whether it is there: what `lienthong check --live` tells."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from bus.core.errors import Problem
from bus.delivery.beyond import elsewhere
from bus.delivery.carrying import adapters_here
from bus.delivery.opening import open_agencies
from bus.delivery.probing import ProbeStatus, Probing
from bus.kit.contract import Adapter
from bus.runtime.resources import opening
from bus.settings.hub import read_hub_settings
from bus.settings.routes import read_registry


async def probe_agencies(
    settings_path: Path, adapters: Mapping[str, Adapter] | None = None
) -> tuple[ProbeStatus, ...]:
    """What one probe of each recipient comes to; no message is sent, and no log is needed.

    `adapters` stands in for those of the settings' folder. Raises ConfigurationError.
    """
    settings = read_hub_settings(settings_path)
    registry = read_registry(settings.routes)
    async with opening() as resources:
        wanted = adapters_here(registry, elsewhere(settings))
        agencies = open_agencies(settings, registry, wanted, adapters, resources)
        probing = Probing(
            agencies, registry, lambda _: None, every_seconds=0, monotonic=time.monotonic
        )
        await probing.once()
        found = probing.status()
        await resources.close()
    return found


def probe_warning(file: Path, found: ProbeStatus) -> Problem | None:
    """What the start of a hub need not wait for, and somebody should know; None: it was reached."""
    if found.is_reached:
        return None
    said = found.code or "its adapter had no thread free"
    return Problem(str(file), f"agencies.{found.adapter}", f"{found.recipient} is away: {said}")
