"""The command `lienthong cluster-demo`: several hubs, and one of each part killed under load."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click
from rich.console import Console

from bus.cli.exit_codes import COULD_NOT, FOUND, fail, reporting_errors
from bus.cli.shown import tell
from bus.client.hub_client import AnswerRejected
from bus.runtime.telemetry import configure_telemetry
from bus.sandbox.cluster.pages import ClusterPages, story_as_json
from bus.sandbox.cluster.story import ClusterStory, play_cluster
from bus.sandbox.cluster.striking import StrikeFailed
from bus.sandbox.demo_pages import demo_console
from bus.sandbox.programs import NotStarted
from bus.sandbox.servers.private import ServersMissing
from bus.sandbox.servers.watched_process import ServerBroken

_EXIT_CODES = (
    "Exit codes: 0 nothing was lost, and each log is sound; 1 something was lost, or a hub did not "
    "do what it must; 2 it could not be played: servers are not installed, or a program did not "
    "start; 3 the database could not be used."
)


@click.command("cluster-demo", epilog=_EXIT_CODES)
@click.option(
    "--keep",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Play in this folder, which must be empty, and keep it; else in a temporary one.",
)
@click.option(
    "--strikes",
    type=click.IntRange(1, 1000),
    help="So many strikes, drawn by --seed from every kind; else one of each.",
)
@click.option("--seed", default=0, show_default=True, help="Draws the strikes: the same again.")
@click.option("--json", "as_json", is_flag=True, help="The result for programs, on stdout alone.")
def cluster_demo(folder: Path | None, strikes: int | None, seed: int, *, as_json: bool) -> None:
    """Kill one of each under load: a worker, the broker, the database, a hub; let another sleep.

    Two hubs on one PostgreSQL, RabbitMQ, and two workers start on this machine, each on a port that
    is free, and end with the demo. What was accepted is counted for each recipient, and every log
    is verified. It takes some three minutes, and needs PostgreSQL and RabbitMQ installed; nothing
    of an installation's own data, ports or settings is touched.
    """
    configure_telemetry("error")
    console = Console(stderr=True, highlight=False, emoji=False) if as_json else demo_console()
    pages = ClusterPages(console)
    with reporting_errors():
        try:
            story = _played(folder, pages, strikes or 0, seed)
        except (StrikeFailed, AnswerRejected) as error:
            fail(f"The demo went wrong: {error}", code=FOUND, has_lines=True)
        except (ServersMissing, ServerBroken, NotStarted, OSError) as error:
            fail(f"The demo could not be played: {error}", code=COULD_NOT, has_lines=True)
    if as_json:
        tell(json.dumps(story_as_json(story, pages.events), ensure_ascii=False, indent=2))
    else:
        pages.verdict(story)
        tell(f"\n  Everything is closed again, after {story.seconds:.1f} s.")
        if folder is not None:
            tell(f"  The folder is kept: {folder.absolute()}")
    if not story.verdict.is_sound:
        raise SystemExit(FOUND)


def _played(folder: Path | None, pages: ClusterPages, strikes: int, seed: int) -> ClusterStory:
    with pages.watching() as watcher:
        if folder is None:
            with tempfile.TemporaryDirectory(prefix="lienthong-") as temporary:
                path = Path(temporary)
                return play_cluster(path, watcher, strikes=strikes, seed=seed)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            fail(f"{folder}: expected an empty folder", code=COULD_NOT)
        return play_cluster(folder.absolute(), watcher, strikes=strikes, seed=seed)
