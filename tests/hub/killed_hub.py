"""A hub for tests that kill it: real door, real log, an agency that writes down who asks."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from bus.bench.citizen_answer import FixedCitizen
from bus.bench.programs import listen, say_ready, stop_at_end_of_input
from bus.delivery.carrying import adapters_named
from bus.doors.soap import HttpDoor
from bus.http.server import run, serve_http
from bus.hub import open_hub
from bus.kit.contract import (
    Answer,
    Delivered,
    Disposition,
    Query,
    RecipientTimeout,
    RecipientUnavailable,
    Submission,
)
from bus.log import message_log
from bus.log.sqlite import store
from bus.runtime.telemetry import configure_telemetry
from bus.settings.hub import HubSettings, read_hub_settings
from bus.settings.routes import read_registry

OPENING = "opening"
"""Said before the log is opened; the port is said when requests may come."""
_FOLD_BYTES = 256 * 1024
_PUBLISH_SECONDS = 0.02


class RememberingAgency(FixedCitizen):
    """Appends the id of each message that it is asked for to a file, before it answers."""

    def __init__(self, asked: int) -> None:
        super().__init__({})
        self._asked = asked

    def answer(self, query: Query) -> Answer:
        # One write for each line: what a killed process has written stays written.
        os.write(self._asked, f"{query.message_id}\n".encode())
        # What came beside a message goes back beside its answer.
        return replace(super().answer(query), attachments=query.attachments)

    def deliver(self, submission: Submission) -> Disposition:
        """Fail a third of the first attempts: half of them after they had their effect."""
        luck = int(submission.idempotency_key[:4], 16) % 6 if submission.attempt == 1 else 2
        if luck == 0:
            raise RecipientUnavailable("away")
        os.write(self._asked, f"{submission.message_id} {submission.idempotency_key}\n".encode())
        if luck == 1:
            raise RecipientTimeout("slow")
        return Delivered()


def main(settings_file: str, asked_file: str, *judging: str) -> None:
    """With `beside` as the last word, a process beside the hub judges."""
    configure_telemetry("error")
    # Fold and publish all the time, so that kills hit these, too.
    store.FOLD_BYTES = _FOLD_BYTES
    message_log.PUBLISH_SECONDS = _PUBLISH_SECONDS
    asked = os.open(asked_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    agency = RememberingAgency(asked)
    settings = read_hub_settings(Path(settings_file))
    run(_serve(settings, agency, judge_process="beside" in judging))


async def _serve(settings: HubSettings, agency: RememberingAgency, *, judge_process: bool) -> None:
    adapters = dict.fromkeys(adapters_named(read_registry(settings.routes)), agency)
    print(OPENING, flush=True)
    with listen() as door:
        hub = await open_hub(settings, adapters=adapters, judge_process=judge_process)
        try:
            stop_at_end_of_input(lambda: os.kill(os.getpid(), signal.SIGTERM))
            say_ready(door)
            await serve_http(HttpDoor(hub), door)
        finally:
            await hub.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
