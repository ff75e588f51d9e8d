"""The command `lienthong demo`: the whole story, on a nation that starts and ends with it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from bus.cli.exit_codes import COULD_NOT, FOUND, fail, reporting_errors
from bus.cli.options import typed
from bus.cli.shown import tell
from bus.client.hub_client import AnswerRejected, HubUnreachable
from bus.runtime.telemetry import configure_telemetry
from bus.sandbox.demo import tell_story
from bus.sandbox.demo_stage import DemoFailed
from bus.sandbox.programs import NotStarted
from bus.sandbox.run_state import AlreadyRunning


@click.command()
@click.option(
    "--keep",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Play in this folder and keep it; else in a temporary one that is removed.",
)
def demo(folder: Path | None) -> None:
    """Play the story of one citizen, her agencies, one document for many, and an auditor.

    Everything is real but the people: hub, agencies, signatures, log. It takes about ten seconds
    of a machine that has nothing else to do, needs no network, and leaves nothing running.
    """
    configure_telemetry("warning")
    began = time.monotonic()
    with reporting_errors():
        try:
            if folder is None:
                with tempfile.TemporaryDirectory(prefix="lienthong-") as temporary:
                    tell_story(Path(temporary))
            else:
                tell_story(folder.absolute())
        except (DemoFailed, AnswerRejected) as error:
            fail(f"The demo went wrong: {error}", code=FOUND, has_lines=True)
        except (NotStarted, AlreadyRunning, HubUnreachable, OSError) as error:
            fail(f"The demo could not be played: {error}", code=COULD_NOT, has_lines=True)
    tell(f"\n  Everything is closed again, after {time.monotonic() - began:.1f} s.")
    tell(f"  Your own: {typed('sandbox', 'up')}")
    if folder is not None:
        tell(f"  The folder is kept: {folder.absolute()}")
