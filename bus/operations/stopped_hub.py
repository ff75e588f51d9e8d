"""Do what an operator says on the log of a hub that does not run: it finds it at its start."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bus.delivery.carried_messages import CarriedMessages
from bus.delivery.delivery_writer import DeliveryWriter
from bus.delivery.lanes import Lanes
from bus.delivery.operating import Operating
from bus.delivery.paused_file import PausedFile
from bus.log.beside import keeper_beside, open_attachments_beside
from bus.log.entry_writer import EntryWriter
from bus.log.opening import hub_name, open_log
from bus.log.sealing import Sealer
from bus.operations.operator_requests import answer_operator
from bus.runtime.clock import now
from bus.settings.hub import HubSettings
from bus.settings.routes import read_registry
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey


async def tell_stopped_hub(
    settings: HubSettings, request: Mapping[str, Any], *, who: str
) -> dict[str, Any]:
    """What came of a request. It holds the log as a hub does.

    Raises ConfigurationError, LogUnavailable (a hub runs, too), LogCorrupt.
    """
    registry = read_registry(settings.routes)
    sealer = Sealer(read_symmetric_key(settings.log.read_key))
    folder, database, origin = settings.log.folder, settings.database, settings.log.origin
    hub = hub_name(folder)
    attachments = open_attachments_beside(folder, database, origin, hub, sealer)
    keep_files = keeper_beside(folder, database, origin, hub)
    log = open_log(
        folder,
        key=SigningKey(origin, read_ed25519_key(settings.log.signing_key)),
        guard=settings.log.guard,
        limits=registry.limits,
        database=database,
    )
    try:
        entries = EntryWriter(log, attachments, sealer)
        lanes, paused = Lanes(registry.limits), PausedFile(folder)
        lanes.paused = paused.read()

        def keep_paused(agencies: Sequence[str]) -> None:
            paused.write(agencies)
            keep_files()

        operating = Operating(
            log.deliveries,
            DeliveryWriter(entries, lanes, registry, now),
            CarriedMessages(log.deliveries, entries),
            keep_paused,
            now,
        )
        answer = await answer_operator(operating, json.dumps(request).encode(), who=who)
    finally:
        attachments.close()
        await log.close()
    values: dict[str, Any] = json.loads(answer)
    return values
