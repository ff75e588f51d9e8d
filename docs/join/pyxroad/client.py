"""Ask through an access point about a citizen, with pyxroad: one file to start from.

    python client.py --access-point http://127.0.0.1:8081 --client VN/GOV/H41/motcua \\
        --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \\
        MaYeuCau=MC-1 … HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110

It needs `pip install -r requirements.txt`. Ends with 1 if the hub or the agency says no.
"""

from __future__ import annotations

import argparse
import logging
import sys
import uuid
from typing import Any

from XRoad import XClient
from zeep.exceptions import Fault

LT = {"lt": "urn:lienthong:message:1.0"}


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask through an access point about a citizen.")
    for name in ("access-point", "client", "service"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--user", default="VN0000", help="The officer who asks.")
    parser.add_argument("fields", nargs="+", help="Fields of the request: Name=value.")
    arguments = parser.parse_args()
    logging.getLogger("XRoad").disabled = True  # it logs every fault with its traceback

    client = XClient(ssu=arguments.access_point, client=arguments.client, service=arguments.service)
    client.userId = arguments.user
    try:
        # pyxroad makes one id for the whole client; each message needs its own.
        answer = client.request(xroad_id=str(uuid.uuid4()), **_fields(arguments.fields))
    except Fault as wrapped:
        fault = wrapped.message  # pyxroad puts zeep's fault into a fault of its own
        code = fault.detail.findtext("lt:error/lt:code", "", LT)
        print(f"{code}: {fault.message}", file=sys.stderr)
        return 1
    found = answer["body"]["CongdanCollection"]
    for citizen in found["CongDan"]:
        _print(citizen)
    print(f"{found['SoCongDan']} found")
    return 0


def _fields(texts: list[str]) -> dict[str, Any]:
    """`A=1 B.C=2` as `{"A": "1", "B": {"C": "2"}}`."""
    fields: dict[str, Any] = {}
    for text in texts:
        path, _, value = text.partition("=")
        *parents, last = path.split(".")
        place = fields
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return fields


def _print(value: dict[str, Any], indent: str = "") -> None:
    for name, content in value.items():
        if isinstance(content, dict):
            print(f"{indent}{name}:")
            _print(content, indent + "  ")
        elif content is not None:
            print(f"{indent}{name}: {content}")


if __name__ == "__main__":
    sys.exit(main())
