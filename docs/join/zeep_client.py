"""Ask a hub about a citizen, with zeep: one file to start from.

    python zeep_client.py --wsdl http://127.0.0.1:8080/services/VN/…/v1?wsdl \\
        --key VN-GOV-H41-motcua.key --certificate VN-GOV-H41-motcua.crt \\
        --client VN/GOV/H41/motcua --service VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1 \\
        --agency-certificate VN-GOV-G01-dancu.crt --hub-certificate VN-GOV-G22-truclienthong.crt \\
        SoDinhDanh=040185766517 HoVaTen='Vũ Thị Hương' NgayThangNamSinh.NgayThangNam=19850110 …

It needs `pip install zeep xmlsec` and zeep_header_signing.py beside it. Prints the citizens found;
ends with 1 if the hub or the agency says no.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from typing import Any

import zeep
from zeep_header_signing import NAMES, HeaderSigning


def main() -> int:
    arguments = _arguments()
    signing = HeaderSigning(
        arguments.key,
        arguments.certificate,
        answer_certificate_files=[arguments.agency_certificate],
        fault_certificate_files=[arguments.hub_certificate],
    )
    client = zeep.Client(arguments.wsdl, wsse=signing)
    operation = arguments.service.split("/")[4]
    try:
        answer = client.service[operation](
            **_fields(arguments.fields), _soapheaders=_headers(arguments)
        )
    except zeep.exceptions.Fault as fault:
        code = fault.detail.findtext("lt:error/lt:code", "", NAMES)
        print(f"{code}: {fault.message}", file=sys.stderr)
        return 1
    found = answer.body.CongdanCollection  # answer.header holds the X-Road headers
    for citizen in found.CongDan:
        _print(zeep.helpers.serialize_object(citizen, dict))
    print(f"{found.SoCongDan} found")
    return 0


def _headers(arguments: argparse.Namespace) -> dict[str, Any]:
    """The X-Road headers: parts of the operation's message, as the WSDL names them."""
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    client = dict(zip(names, arguments.client.split("/"), strict=True))
    service = dict(
        zip((*names, "serviceCode", "serviceVersion"), arguments.service.split("/"), strict=True)
    )
    return {
        "client": {**client, "objectType": "SUBSYSTEM"},
        "service": {**service, "objectType": "SERVICE"},
        "userId": arguments.user,
        "id": arguments.message_id or str(uuid.uuid4()),
        "issue": arguments.issue,
        "protocolVersion": "4.0",
    }


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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask a hub about a citizen.")
    for name in ("wsdl", "key", "certificate", "client", "service"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--agency-certificate", required=True, help="Who signs answers.")
    parser.add_argument("--hub-certificate", required=True, help="Who signs faults.")
    parser.add_argument("--user", default="VN0000", help="The officer who asks.")
    parser.add_argument("--issue", default="", help="The case that the question belongs to.")
    parser.add_argument("--message-id", default="", help="Unique for ever; made up if left out.")
    parser.add_argument("fields", nargs="+", help="Fields of the request: Name=value.")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
