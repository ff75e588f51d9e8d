"""The simulated business registry keeps to its contract: tokens end."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from pathlib import Path

from adapters.business_registry.simulator import BusinessRegistryAgency, ClientAccount
from bus.kit.simulator import HttpRequest


def test_a_token_ends_after_its_life(data_dir: Path) -> None:
    seconds = 0.0
    agency = BusinessRegistryAgency(
        sqlite3.connect(data_dir / "business_registry" / "enterprises.sqlite"),
        account=ClientAccount("hub", "secret"),
        monotonic_seconds=lambda: seconds,
    )
    headers = {"authorization": f"Basic {b64encode(b'hub:secret').decode()}"}
    body = b"grant_type=client_credentials"
    given = json.loads(agency.answer(HttpRequest("POST", "/token", {}, headers, body)).body)
    bearer = {"authorization": f"Bearer {given['access_token']}"}
    path = "/apiCSDLDKDN/1.0/danhSachHoSoTrongNgay"
    request = HttpRequest("GET", path, {"from_ts": "00:00", "to_ts": "23:59"}, bearer, b"")
    assert json.loads(agency.answer(request).body)["Status"] == 1
    seconds = given["expires_in"] + 1
    assert agency.answer(request).status == 401
