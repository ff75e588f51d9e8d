"""A hub and an access point with one service, whose schema is cut into files."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

import schemas
from bus.access_point.door import AccessPointDoor
from bus.access_point.opening import open_access_point
from bus.access_point.settings import read_access_point_settings
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_again
from bus.doors.soap import HttpDoor
from bus.hub import open_hub
from bus.kit.contract import Adapter, Answer, Query
from bus.runtime.clock import now as read_clock
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.hub import read_hub_settings
from tests.access_point.running_access_point import Serving, serving

HERE = Path(__file__).parent
CLIENTS = HERE / "clients"
CLIENT = SubsystemId.parse("VN/GOV/H41/motcua")
SERVICE = ServiceId.parse("VN/GOV/G15/hoso/layHoSo/v1")
NAMESPACE = "urn:ho-so:1.0"
HUB = "VN/GOV/G22"
ANSWER = """\
<h:layHoSoResponse xmlns:h="urn:ho-so:1.0" xmlns:n="urn:nguoi:1.0" xmlns:d="urn:dia-chi:1.0">
  <h:HoSo lan="1"><SoHoSo>{number}</SoHoSo><TrangThai>đã tiếp nhận</TrangThai>{owner}</h:HoSo>
  <h:HoSo lan="2"><SoHoSo>{number}</SoHoSo><TrangThai>đã trả</TrangThai>{owner}</h:HoSo>
  <n:NguoiKy><n:HoVaTen>Đào Văn Ký</n:HoVaTen>
    <n:DiaChi><d:Duong>Trần Phú</d:Duong><d:Tinh>Nghệ An</d:Tinh></n:DiaChi></n:NguoiKy>
</h:layHoSoResponse>"""
OWNER = (
    "<ChuHoSo><n:HoVaTen>{name}</n:HoVaTen><n:DiaChi><d:Duong>Lê Lợi</d:Duong>"
    "<d:Tinh>Huế</d:Tinh></n:DiaChi></ChuHoSo>"
)


class Dossiers(Adapter):
    """Answers about whatever dossier it is asked for, in the name of who asks."""

    def __init__(self) -> None:
        super().__init__({})

    def answer(self, query: Query) -> Answer:
        asked = query.element()
        number = asked.findtext(f"{{{NAMESPACE}}}SoHoSo")
        name = asked.findtext(f"{{{NAMESPACE}}}NguoiHoi/{{urn:nguoi:1.0}}HoVaTen")
        owner = OWNER.format(name=name)
        return Answer(parse_again(ANSWER.format(number=number, owner=owner).encode()))


@contextmanager
def running_service(folder: Path) -> Iterator[str]:
    """The URL of an access point through which the service is asked."""
    folder.mkdir(parents=True)
    prepared = prepare_nation(
        folder, now=read_clock(), hub_port=1, agency_ports={}, routes=HERE / "routes.yaml"
    )
    shutil.copytree(Path(schemas.__file__).parent, folder / "schemas", dirs_exist_ok=True)
    shutil.copytree(HERE / "schemas", folder / "schemas" / "ho-so")
    with _served_hub(prepared) as hub_url, _served_access_point(prepared, hub_url) as url:
        yield url


@contextmanager
def _served_hub(prepared: PreparedNation) -> Iterator[str]:
    settings = read_hub_settings(prepared.hub_settings)
    settings = replace(settings, schemas=prepared.folder / "schemas")

    async def open_application(stack: contextlib.AsyncExitStack) -> Any:
        hub = await open_hub(settings, adapters={"dossiers": Dossiers()})
        stack.push_async_callback(hub.close)
        return HttpDoor(hub)

    with serving(open_application) as url:
        yield url


@contextmanager
def _served_access_point(prepared: PreparedNation, hub_url: str) -> Iterator[str]:
    async def open_application(stack: contextlib.AsyncExitStack) -> Any:
        access_point = await open_access_point(read_access_point_settings(path))
        stack.push_async_callback(access_point.close)
        door = AccessPointDoor(access_point, exchanges_at_once_max=4)
        stack.callback(door.close)
        return door

    # Its address stands in the WSDL: it is known before the settings are written.
    server = Serving(open_application, None)
    files = prepared.signers[CLIENT]
    values = {
        "public_url": server.url,
        "member": str(CLIENT.member),
        "systems": {CLIENT.subsystem_code: {}},
        "signer": {"key": str(files.key), "certificate": str(files.certificate)},
        "hub": {"url": hub_url, "member": HUB, "log_key": "log/checkpoint.vkey"},
        "trust": {"anchors": [str(prepared.anchor)]},
        "evidence": "evidence",
    }
    path = prepared.folder / "access-point.yaml"
    path.write_text(yaml.safe_dump(values))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
