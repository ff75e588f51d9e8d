"""Prepare the nation whose submissions are measured: one service, so many subscribers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from bus.bench.bench_nation import prepare_bench_nation, rsa_client
from bus.bench.signed_requests import Client, RequestForm
from bus.core.identifiers import SubsystemId
from bus.sandbox.nation_files import PreparedNation
from bus.settings.hub import packaged_folder

PAYLOAD_BYTES = 2400
AGENCY = "VN/GOV/G01"
PROVIDER = SubsystemId.parse(f"{AGENCY}/dancu")
NOTICE_SERVICE = f"{PROVIDER}/ThongBao/v1"
AWAY = f"{AGENCY}/vang"
"""Is owed what waits while others are measured."""
_NAMESPACE = "urn:lienthong:bench:1.0"
_SCHEMA = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{_NAMESPACE}"
    elementFormDefault="qualified" version="1.0">
  <xs:element name="ThongBao"><xs:complexType><xs:sequence>
    <xs:element name="SoHieu"><xs:simpleType><xs:restriction base="xs:string">
      <xs:pattern value="[A-Z0-9-]{{1,32}}"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="SoDinhDanh"><xs:simpleType><xs:restriction base="xs:string">
      <xs:pattern value="[0-9]{{12}}"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="NgayBanHanh" type="xs:date"/>
    <xs:element name="TrichYeu"><xs:simpleType><xs:restriction base="xs:string">
      <xs:maxLength value="500"/></xs:restriction></xs:simpleType></xs:element>
    <xs:element name="NoiDung"><xs:simpleType><xs:restriction base="xs:string">
      <xs:maxLength value="10000"/></xs:restriction></xs:simpleType></xs:element>
  </xs:sequence></xs:complexType></xs:element>
  <xs:element name="ThongBaoResponse"><xs:complexType/></xs:element>
</xs:schema>
"""
_SENTENCE = "Đề nghị các cơ quan cập nhật tình trạng xử lý hồ sơ của công dân trước ngày đã hẹn. "
_PAYLOAD = (
    f'<ThongBao xmlns="{_NAMESPACE}"><SoHieu>{{number}}</SoHieu>'
    "<SoDinhDanh>{citizen}</SoDinhDanh><NgayBanHanh>2026-01-15</NgayBanHanh>"
    "<TrichYeu>Về việc cập nhật tiến độ giải quyết thủ tục hành chính</TrichYeu>"
    "<NoiDung>{content}</NoiDung></ThongBao>"
)


@dataclass(frozen=True, slots=True)
class SubmissionNation:
    """The files of a nation, and who submits there."""

    prepared: PreparedNation
    client: Client
    recipients_count: int
    adapter: str
    """Id of the one that brings something to the recipients."""

    def hub_settings(self, name: str) -> Path:
        """Settings of a hub with a log of its own, beside the others'."""
        values = _read(self.prepared.hub_settings)
        values["log"] |= {"folder": f"log-{name}", "guard": f"state/last-signed-{name}"}
        path = self.prepared.folder / f"hub-{name}.yaml"
        _write(path, values)
        return path


def prepare_submission_nation(folder: Path, recipients_count: int) -> SubmissionNation:
    """A nation below `folder`, where what one client submits goes to so many recipients."""
    prepared = prepare_bench_nation(folder)
    schemas = folder / "schemas"
    shutil.copytree(packaged_folder("schemas"), schemas, dirs_exist_ok=True)
    (schemas / "bench").mkdir()
    (schemas / "bench" / "notice.xsd").write_text(_SCHEMA, "utf-8")
    settings = _read(prepared.hub_settings)
    _write(prepared.hub_settings, {**settings, "schemas": str(schemas)})
    form = RequestForm(NOTICE_SERVICE, _payload())
    client = replace(rsa_client(prepared), form=form)
    sender = str(client.subsystem)
    routes = _read(prepared.routes)
    # Whichever it is, the bench puts an agency of its own in its place.
    adapter = next(service["adapter"] for service in routes["services"] if "adapter" in service)
    _write(prepared.routes, _routes(routes, sender, recipients_count, adapter))
    return SubmissionNation(prepared, client, recipients_count, adapter)


def _routes(
    routes: dict[str, Any], sender: str, recipients_count: int, adapter: str
) -> dict[str, Any]:
    """The same nation, in which subsystems of one agency get what is submitted to it."""
    codes = [f"nhan-{number:04}" for number in range(recipients_count)]
    subscribers = [f"{AGENCY}/{code}" for code in codes]
    agency = next(member for member in routes["members"] if member["id"] == AGENCY)
    agency["subsystems"] += [*codes, AWAY.rpartition("/")[2]]
    reason = {"purpose": "Đo tải", "legal_basis": "Không"}
    service = {
        "id": NOTICE_SERVICE,
        "title": "Thông báo",
        "schema": "bench/notice.xsd",
        "mode": "submission",
        "timeout_seconds": 30,
        "recipients": "subscribers",
    }
    return {
        **routes,
        "services": [*routes["services"], service],
        "grants": [
            *routes["grants"],
            {"clients": [sender], "services": [NOTICE_SERVICE], **reason},
        ],
        "recipients": [
            *routes.get("recipients", []),
            *({"subsystem": one, "adapter": adapter} for one in (*subscribers, AWAY)),
        ],
        "subscriptions": [
            *routes.get("subscriptions", []),
            {"event": NOTICE_SERVICE, "subscribers": subscribers, **reason},
        ],
    }


def _payload() -> str:
    """As it is with the sentences that make it as large as it is to be."""
    without = _PAYLOAD.format(number="MC-" + 12 * "0", citizen=12 * "0", content="")
    room = PAYLOAD_BYTES - len(without.encode())
    content = (_SENTENCE * (room // len(_SENTENCE.encode()) + 1)).encode()[:room]
    return _PAYLOAD.replace("{content}", content.decode("utf-8", "ignore"))


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return values


def _write(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True), "utf-8")
