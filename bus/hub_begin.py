"""Begin to work on a log: say so, settle what its last end left undone, let deliveries leave."""

from __future__ import annotations

from bus import __version__
from bus.core.log.leaf import Event, build_leaf
from bus.core.ports.message_log import LogWrite
from bus.delivery.embedded import DRAIN_SECONDS_MAX, EmbeddedDeliveries
from bus.exchange.recording import Recorder
from bus.hub_parts import HubGround
from bus.runtime.resources import Resources

PROGRAM = f"lienthong {__version__}"
"""Stands in the log at each start: who reads it later knows which program decided."""
DELIVERIES_CLOSE_SECONDS_MAX = DRAIN_SECONDS_MAX + 5.0


async def begin(ground: HubGround, deliveries: EmbeddedDeliveries, resources: Resources) -> int:
    """Say in the log that a hub runs and by which rules, and what was left undone.

    `resources` owns the end of it. Gives how many messages and attempts were interrupted. Raises
    LogUnavailable.
    """
    log, clock, ruled = ground.log, ground.clock, ground.ruled
    for text in ruled.texts:
        await log.append_text(text)
    await log.append(LogWrite(build_leaf(Event.STARTED, clock(), program=PROGRAM)))

    async def say_stopped() -> None:
        await log.append(LogWrite(build_leaf(Event.STOPPED, clock())))

    resources.own("stopped-entry", say_stopped)
    leaf = build_leaf(Event.CONFIGURATION, clock(), config=ruled.rules.digest)
    await log.append(LogWrite(leaf))
    recorder = Recorder(ground.entries, ground.keys.pseudonyms, ruled.rules.digest)
    interrupted = log.interrupted()
    for one in interrupted:
        await recorder.interrupted(one.key, one.received_index, clock())
    resources.own("deliveries", deliveries.close, seconds_max=DELIVERIES_CLOSE_SECONDS_MAX)
    return len(interrupted) + await deliveries.start()
