"""Describe a prepared nation, with a request for each service that its data answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from bus.core.identifiers import SubsystemId
from bus.core.registry import MemberRegistry
from bus.sandbox.authority_files import authority_url
from bus.sandbox.description import (
    VERSION,
    DescribedAgency,
    DescribedService,
    DescribedSubsystem,
    SandboxDescription,
)
from bus.sandbox.nation_files import PreparedNation
from bus.sandbox.sandbox_data import sample_requests
from bus.settings.routes import read_registry


def describe_nation(
    nation: PreparedNation, access_points: Mapping[SubsystemId, str]
) -> SandboxDescription:
    """`access_points`: the URL of the one that a subsystem asks through."""
    folder = nation.folder.absolute()
    routes = read_registry(nation.routes)
    samples = _write_samples(nation, routes)
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
            DescribedAgency(agency, account.address)
            for agency, account in nation.agencies.items()
            if account.has_simulator
        ),
        authority_url=authority_url(nation.authority_port),
    )


def _write_samples(nation: PreparedNation, routes: MemberRegistry) -> dict[str, Path]:
    folder = nation.folder.absolute() / "samples"
    folder.mkdir(exist_ok=True)
    manifests = {adapter: account.manifest for adapter, account in nation.agencies.items()}
    requests = sample_requests(nation.folder / "data", routes, manifests)
    codes = Counter(service.service_code for service in requests)
    written = {}
    for service, element in requests.items():
        is_alone = codes[service.service_code] == 1
        name = service.service_code if is_alone else str(service).replace("/", "-")
        path = folder / f"{name}.xml"
        if not path.exists():  # else somebody may have changed it to ask something else
            path.write_bytes(element + b"\n")
        written[str(service)] = path
    return written
