"""Describe a prepared nation, with a request for each service that its data answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bus.core.identifiers import SubsystemId
from bus.sandbox.authority_files import authority_url
from bus.sandbox.description import (
    VERSION,
    DescribedAgency,
    DescribedService,
    DescribedSubsystem,
    SandboxDescription,
)
from bus.sandbox.nation_files import HUB_HOST, PreparedNation
from bus.sandbox.sandbox_data import sample_requests
from bus.settings.routes import read_registry


def describe_nation(
    nation: PreparedNation, access_points: Mapping[SubsystemId, str]
) -> SandboxDescription:
    """`access_points`: the URL of the one that a subsystem asks through."""
    folder = nation.folder.absolute()
    routes = read_registry(nation.routes)
    samples = _write_samples(folder)
    return SandboxDescription(
        version=VERSION,
        hub_url=nation.public_url,
        hub=str(routes.hub),
        trust_anchor=str(nation.anchor.absolute()),
        log=str(folder / "log"),
        log_verifier_key=str(folder / "log" / "checkpoint.vkey"),
        log_read_key=str(folder / "keys" / "log-read.key"),
        settings=str(nation.hub_settings.absolute()),
        subsystems=tuple(
            DescribedSubsystem(
                str(subsystem),
                str(files.key.absolute()),
                str(files.certificate.absolute()),
                access_points.get(subsystem, ""),
            )
            for subsystem, files in nation.signers.items()
        ),
        services=tuple(
            DescribedService(
                id=str(known),
                title=service.title,
                url=f"{nation.public_url}/services/{known}",
                wsdl_url=f"{nation.public_url}/services/{known}?wsdl",
                sample_request=str(samples.get(str(known), "")),
            )
            for known, service in routes.services.items()
        ),
        agencies=tuple(
            DescribedAgency(agency, f"http://{HUB_HOST}:{account.port}")
            for agency, account in nation.agencies.items()
        ),
        authority_url=authority_url(nation.authority_port),
    )


def _write_samples(folder: Path) -> dict[str, Path]:
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    written = {}
    for service, element in sample_requests(folder / "data").items():
        path = samples / f"{service.split('/')[-2]}.xml"
        if not path.exists():  # else somebody may have changed it to ask something else
            path.write_bytes(element + b"\n")
        written[service] = path
    return written
