"""A hub that begins with much that waits, and an agency that takes everything at once.

Asked, it says how much the agency has taken; at its end, how much memory it held at most.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bus.bench.programs import listen, say_last_words, say_ready, stop_at_end_of_input
from bus.delivery.carrying import adapters_named
from bus.doors.soap import HttpDoor
from bus.http.server import run, serve_http
from bus.hub import open_hub
from bus.kit.contract import Adapter, Delivered, Disposition, Submission
from bus.runtime.telemetry import configure_telemetry
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry

MODULE = "tests.chaos.pending_hub"


class CountingAgency(Adapter):
    """Takes what it is given, and knows how often that was, and how many keys."""

    def __init__(self) -> None:
        super().__init__({})
        self.taken = 0
        self.keys: set[bytes] = set()

    def deliver(self, submission: Submission) -> Disposition:
        self.taken += 1
        self.keys.add(submission.idempotency_key.encode())
        return Delivered()

    def counts(self) -> dict[str, int]:
        return {"taken": self.taken, "keys": len(self.keys)}


def main(settings_file: str) -> None:
    configure_telemetry("error")
    run(_serve(read_hub_settings(Path(settings_file)), CountingAgency()))
    say_last_words()


async def _serve(settings: HubSettings, agency: CountingAgency) -> None:
    adapters: dict[str, Adapter] = dict.fromkeys(
        adapters_named(read_registry(settings.routes)), agency
    )
    with listen() as door:
        hub = await open_hub(settings, adapters=adapters, judge_process=False)
        try:
            stop_at_end_of_input(lambda: os.kill(os.getpid(), signal.SIGTERM), agency.counts)
            say_ready(door)
            await serve_http(HttpDoor(hub), door)
        finally:
            await hub.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
