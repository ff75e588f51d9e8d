"""Ask through an access point about a citizen, with suds-community: one file to start from.

    python client.py --access-point http://127.0.0.1:8081 --client VN/GOV/H41/motcua \\
        --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \\
        MaYeuCau=MC-1 … HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110

It needs `pip install -r requirements.txt`. Ends with 1 if the hub or the agency says no.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from typing import Any

from suds import WebFault
from suds.client import Client
from suds.sax.attribute import Attribute
from suds.sax.element import Element

XROAD = ("xrd", "http://x-road.eu/xsd/xroad.xsd")
IDENTIFIERS = ("id", "http://x-road.eu/xsd/identifiers")
PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
SERVICE_PARTS = (*PARTS, "serviceCode", "serviceVersion")


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask through an access point about a citizen.")
    for name in ("access-point", "client", "service"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--user", default="VN0000", help="The officer who asks.")
    parser.add_argument("fields", nargs="+", help="Fields of the request: Name=value.")
    arguments = parser.parse_args()

    wsdl = f"{arguments.access_point}/services/{arguments.service}?wsdl"
    client = Client(wsdl, cache=None)
    client.set_options(
        soapheaders=(
            _identifier("client", "SUBSYSTEM", PARTS, arguments.client),
            _identifier("service", "SERVICE", SERVICE_PARTS, arguments.service),
            _leaf("userId", arguments.user),
            _leaf("id", str(uuid.uuid4())),
            _leaf("protocolVersion", "4.0"),
        )
    )
    operation = client.service[0][arguments.service.split("/")[4]]
    try:
        found = operation(**_fields(arguments.fields))
    except WebFault as error:
        print(f"{error.fault.detail.error.code}: {error.fault.faultstring}", file=sys.stderr)
        return 1
    for citizen in found.CongDan:
        _print(citizen)
    print(f"{found._SoCongDan} found")
    return 0


def _identifier(name: str, object_type: str, parts: tuple[str, ...], text: str) -> Element:
    # Built by hand: suds leaves the namespace off the attribute of a header made from the WSDL.
    block = Element(name, ns=XROAD)
    block.addPrefix(*IDENTIFIERS)
    block.append(Attribute("id:objectType", object_type))
    for part, value in zip(parts, text.split("/"), strict=True):
        block.append(Element(part, ns=IDENTIFIERS).setText(value))
    return block


def _leaf(name: str, text: str) -> Element:
    return Element(name, ns=XROAD).setText(text)


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


def _print(value: Any, indent: str = "") -> None:
    for name, content in value:
        if hasattr(content, "__keylist__"):
            print(f"{indent}{name}:")
            _print(content, indent + "  ")
        else:
            print(f"{indent}{name}: {content}")


if __name__ == "__main__":
    sys.exit(main())
