"""Run one simulated agency: `python -m bus.sandbox.agency_server --agency population …`."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import click
import uvicorn

from adapters.business_registry.simulator import BusinessRegistryAgency, ClientAccount
from adapters.population.simulator import SERVICE_PATH, CallerAccount, PopulationAgency
from bus.kit.simulator import SimulatedAgency
from bus.sandbox.enterprises import ENTERPRISES_FILE
from bus.sandbox.people import POPULATION_FILE, SNAPSHOT_DAY

HOST = "127.0.0.1"


def make_agency(
    agency: str, data_dir: Path, port: int, account: str, secret: str
) -> SimulatedAgency:
    """The agency of that name over the data of `sandbox_data.build_data`."""
    if agency == "population":
        return PopulationAgency(
            _open(data_dir / POPULATION_FILE),
            url=f"http://{HOST}:{port}{SERVICE_PATH}",
            account=CallerAccount(account, secret),
            clock=lambda: time.time_ns() // 1_000_000,
            as_of=SNAPSHOT_DAY,
        )
    return BusinessRegistryAgency(
        _open(data_dir / ENTERPRISES_FILE),
        account=ClientAccount(account, secret),
        monotonic_seconds=time.monotonic,
    )


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise click.ClickException(f"there is no {path}; sandbox_data.build_data makes it")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)


@click.command()
@click.option("--agency", type=click.Choice(["population", "business_registry"]), required=True)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
)
@click.option("--port", type=click.IntRange(1, 65535), required=True)
@click.option(
    "--username",
    "--client-id",
    "account",
    envvar="AGENCY_ACCOUNT",
    required=True,
    help="Account of the hub; also AGENCY_ACCOUNT in the environment.",
)
@click.option(
    "--secret",
    "--client-secret",
    "secret",
    envvar="AGENCY_SECRET",
    required=True,
    help="Its secret; AGENCY_SECRET in the environment keeps it out of the process list.",
)
def main(agency: str, data_dir: Path, port: int, account: str, secret: str) -> None:
    """Serve one simulated agency on 127.0.0.1 until it is told to end."""
    application = make_agency(agency, data_dir, port, account, secret)
    uvicorn.run(
        application, host=HOST, port=port, log_level="warning", access_log=False, lifespan="off"
    )


if __name__ == "__main__":
    main()
