"""Ask the sandbox about the citizen of the story, as every client of docs/join is asked to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bus.core.identifiers import ServiceId
from bus.core.xml import parse_xml
from bus.sandbox.description import SandboxDescription
from bus.sandbox.sandbox_data import Story, story
from tests.nation import CLIENT, HUB, LOOKUP

HAND_IN = ServiceId.parse("VN/GOV/G12/dkdn/nopTaiLieu/v1")
"""A service that takes attachments and gives one back."""


def signing_arguments(
    sandbox: SandboxDescription, client: object = CLIENT, service: ServiceId = LOOKUP
) -> list[str]:
    """Who asks for what, with which key, and whose signatures it believes."""
    owners = {one.id: one for one in sandbox.subsystems}
    asking = owners[str(client)]
    return [
        *("--wsdl", f"{sandbox.hub_url}/services/{service}?wsdl"),
        *("--key", asking.key, "--certificate", asking.certificate),
        *("--client", str(client), "--service", str(service)),
        *("--agency-certificate", owners[str(service.provider)].certificate),
        *("--hub-certificate", owners[str(HUB)].certificate),
    ]


def plain_arguments(
    sandbox: SandboxDescription, client: object = CLIENT, service: ServiceId = LOOKUP
) -> list[str]:
    """Who asks for what, through which access point."""
    asking = next(one for one in sandbox.subsystems if one.id == str(client))
    return [
        f"--access-point={asking.access_point}",
        f"--client={client}",
        f"--service={service}",
    ]


def citizen_fields(sandbox: SandboxDescription, changes: Sequence[str] = ()) -> list[str]:
    """`Name=value` for each field of the lookup; `changes` stand in the place of theirs."""
    asked: Story = story(Path(sandbox.log).parent / "data")
    birth = "NgayThangNam" if len(asked.birth) == 8 else "Nam"
    fields = {
        "MaYeuCau": "MC-1",
        "MaDVC": "H41.MOTCUA",
        "MaCanBo": "CB-1",
        "SoDinhDanh": asked.personal_number,
        "HoVaTen": asked.full_name,
        f"NgayThangNamSinh.{birth}": asked.birth,
    }
    fields |= dict(change.split("=", 1) for change in changes)
    return [f"{name}={value}" for name, value in fields.items()]


def journal_number(sandbox: SandboxDescription) -> str:
    """The number of the dossier that files may be handed in for."""
    sample = next(one.sample_request for one in sandbox.services if one.id == str(HAND_IN))
    raw = Path(sample).read_bytes()
    asked = parse_xml(raw, bytes_max=len(raw))
    return asked.findtext("{*}in_journal_no") or ""
