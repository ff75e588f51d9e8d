"""Tell others where a sandbox is and what is in it: sandbox.json."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bus.client.hub_client import HubClient, read_known_hub
from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import ServiceId, SubsystemId
from bus.settings.form import did_you_mean
from bus.settings.signer import SignerFiles
from bus.settings.trust import HubFiles
from bus.trust.key_store import read_signer

FILE = "sandbox.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class DescribedSubsystem:
    """A system that can ask: its id, and the files it signs with."""

    id: str
    key: str
    certificate: str
    access_point: str = ""
    """The URL that takes its plain requests; empty: it signs for itself."""


@dataclass(frozen=True, slots=True)
class DescribedService:
    """A service that can be asked, and a request that it answers."""

    id: str
    title: str
    url: str
    wsdl_url: str
    sample_request: str


@dataclass(frozen=True, slots=True)
class DescribedAgency:
    """A simulated agency, by the id of the adapter that speaks to it."""

    id: str
    url: str


@dataclass(frozen=True, slots=True)
class SandboxDescription:
    """What sandbox.json says; every path is absolute."""

    version: int
    hub_url: str
    hub: str
    """The subsystem that signs faults and receipts."""
    trust_anchor: str
    log: str
    log_verifier_key: str
    log_read_key: str
    settings: str
    subsystems: tuple[DescribedSubsystem, ...]
    services: tuple[DescribedService, ...]
    agencies: tuple[DescribedAgency, ...]
    authority_url: str = ""
    """Where the authority tells what is revoked."""

    def client(self, subsystem: str) -> HubClient:
        """A client that signs as one of the subsystems. Raises ConfigurationError."""
        described = next(one for one in self.subsystems if one.id == subsystem)
        files = HubFiles((Path(self.trust_anchor),), Path(self.log_verifier_key))
        return HubClient(
            self.hub_url,
            read_signer(SignerFiles(Path(described.key), Path(described.certificate))),
            SubsystemId.parse(described.id),
            read_known_hub(files, SubsystemId.parse(self.hub).member),
        )

    def access_point(self, subsystem: SubsystemId) -> str:
        """The URL that takes plain requests of a subsystem. Raises NameUnknown."""
        found = next(one for one in self.subsystems if one.id == str(subsystem))
        if not found.access_point:
            served = [one.id for one in self.subsystems if one.access_point]
            raise NameUnknown(f"{subsystem} has no access point; served: {', '.join(served)}")
        return found.access_point

    def service_id(self, suffix: str) -> ServiceId:
        """The service that a full id, or an end of one that fits no other, names.

        Raises NameUnknown.
        """
        return ServiceId.parse(find_name(suffix, [one.id for one in self.services], "service"))

    def subsystem_id(self, suffix: str) -> SubsystemId:
        """The subsystem that a full id, or an end of one that fits no other, names.

        Raises NameUnknown.
        """
        known = [one.id for one in self.subsystems]
        return SubsystemId.parse(find_name(suffix, known, "subsystem"))


class NameUnknown(Exception):
    """A name leads to nothing, or to more than one thing; the text says what is near."""


def find_name(wanted: str, known: Iterable[str], kind: str) -> str:
    """The one known name that is `wanted` or ends with its parts; a version may be left out.

    Raises NameUnknown.
    """
    names = sorted(known)
    parts = wanted.strip("/").split("/")
    found = [name for name in names if _ends_with(name.split("/"), parts)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NameUnknown(f"{wanted!r} may be each of: {', '.join(found)}")
    ends = {part: name for name in names for part in (name, *_ends(name.split("/")))}
    hint = did_you_mean(wanted, ends)
    raise NameUnknown(f"There is no {kind} {wanted!r}.{hint} Known: {', '.join(names)}")


def _ends_with(name: list[str], parts: list[str]) -> bool:
    whole = len(name) > 4  # a service: its last part is the version
    return name[-len(parts) :] == parts or (whole and name[:-1][-len(parts) :] == parts)


def _ends(name: list[str]) -> list[str]:
    without_version = name[:-1] if len(name) > 4 else name
    return ["/".join(without_version[start:]) for start in range(len(without_version))]


def write_description(folder: Path, description: SandboxDescription) -> None:
    """Put sandbox.json there whole: who finds it finds a sandbox that is ready."""
    path = folder / FILE
    new = path.with_name(FILE + ".new")
    new.write_text(json.dumps(asdict(description), ensure_ascii=False, indent=2) + "\n", "utf-8")
    new.replace(path)


def read_description(folder: Path) -> SandboxDescription:
    """Read sandbox.json. Raises ConfigurationError."""
    path = folder / FILE
    try:
        values: dict[str, Any] = json.loads(path.read_bytes())
        if values["version"] != VERSION:
            raise ValueError("another version")
        return SandboxDescription(
            **{
                **values,
                "subsystems": tuple(DescribedSubsystem(**one) for one in values["subsystems"]),
                "services": tuple(DescribedService(**one) for one in values["services"]),
                "agencies": tuple(DescribedAgency(**one) for one in values["agencies"]),
            }
        )
    except OSError as error:
        message = (
            f"no sandbox is described here ({error.strerror}); `lienthong sandbox up` makes it"
        )
        raise ConfigurationError([Problem(str(path), "", message)]) from error
    except (ValueError, TypeError, KeyError) as error:
        message = "not the description of a sandbox of this version"
        raise ConfigurationError([Problem(str(path), "", message)]) from error
