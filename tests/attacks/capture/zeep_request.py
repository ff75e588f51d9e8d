"""One signed request of zeep with the plug-in of docs/join: its bytes go to standard output."""

from __future__ import annotations

import importlib
import sys
from datetime import datetime
from typing import Any, Self

import zeep

# The two modules of docs/join that a sender takes as they are: the path of this program names them.
signing_module: Any = importlib.import_module("zeep_header_signing")
client_module: Any = importlib.import_module("zeep_client")


class Asked:
    """What the client of docs/join takes from its command line."""

    client = "VN/GOV/H41/motcua"
    service = "VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"
    user = "VN0117"
    issue = "H41-2026-1"

    def __init__(self, message_id: str) -> None:
        self.message_id = message_id


def main() -> None:
    wsdl, key, certificate, moment, message_id = sys.argv[1:]

    class FixedMoment(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Self:
            return cls.fromisoformat(moment)

    signing_module.datetime = FixedMoment
    signing = signing_module.HeaderSigning(
        key,
        certificate,
        answer_certificate_files=[certificate],
        fault_certificate_files=[certificate],
    )
    client: Any = zeep.Client(wsdl, wsse=signing)  # type: ignore[no-untyped-call]
    client.create_message(
        client.service,
        "TraCuuThongTinCongDan",
        MaYeuCau="MC-H41-2026-000001",
        MaDVC="H41.MOTCUA",
        MaCanBo="CB-H41-0117",
        SoDinhDanh="040185766517",
        HoVaTen="Vũ Thị Hương",
        NgayThangNamSinh={"NgayThangNam": "19850110"},
        _soapheaders=client_module._headers(Asked(message_id)),
    )
    sys.stdout.buffer.write(signing._sent)


if __name__ == "__main__":
    main()
