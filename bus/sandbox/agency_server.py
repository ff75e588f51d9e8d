"""Run one simulated agency: `python -m bus.sandbox.agency_server --adapter adapters/… --data …`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import uvicorn

from bus.core.errors import ConfigurationError
from bus.kit.load import load_simulator_class
from bus.kit.manifest import read_manifest
from bus.kit.simulator import SimulatedAgency
from bus.sandbox.agencies import AGENCY_HOST
from bus.sandbox.sandbox_data import read_nation


def open_agency(adapter: Path, data_dir: Path, settings: dict[str, str]) -> SimulatedAgency:
    """The simulator that the manifest in an adapter's folder names, over the data of the sandbox.

    Raises ConfigurationError, OSError.
    """
    manifest = read_manifest(adapter)
    if manifest.simulator is None:
        raise click.ClickException(f"nobody simulates {manifest.id}: its manifest names no one")
    simulator = load_simulator_class(manifest)
    return simulator.open(read_nation(data_dir), data_dir / manifest.id, settings)


def _settings(context: click.Context, parameter: click.Parameter, text: str) -> dict[str, str]:
    try:
        settings = json.loads(text)
        return {str(key): str(value) for key, value in settings.items()}
    except (ValueError, AttributeError):
        raise click.BadParameter("expected a JSON object") from None


_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--adapter", type=_FOLDER, required=True, help="Folder of its adapter.")
@click.option(
    "--data",
    "data_dir",
    type=_FOLDER,
    required=True,
    help="Data of a sandbox: its people, and of each agency a folder.",
)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@click.option(
    "--settings",
    envvar="AGENCY_SETTINGS",
    callback=_settings,
    required=True,
    help="The adapter's settings as JSON; AGENCY_SETTINGS in the environment keeps its secrets out"
    " of the process list.",
)
def main(adapter: Path, data_dir: Path, port: int, settings: dict[str, str]) -> None:
    """Serve one simulated agency on 127.0.0.1 until it is told to end."""
    try:
        application = open_agency(adapter, data_dir, settings)
    except (ConfigurationError, OSError) as error:
        raise click.ClickException(str(error)) from error
    uvicorn.run(
        application,
        host=AGENCY_HOST,
        port=port,
        log_level="warning",
        access_log=False,
        lifespan="off",
    )


if __name__ == "__main__":
    main()
