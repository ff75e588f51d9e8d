"""Submit with zeep, from the served WSDL, what standard input says; print the acceptance as JSON.

A program of zeep's own environment: it knows nothing of the hub's packages.
"""

from __future__ import annotations

import json
import runpy
import sys
from typing import Any

import zeep


def main() -> None:
    asked = json.load(sys.stdin)
    # The hub signs acceptances, as it signs faults.
    plug_in = runpy.run_path(asked["zeep_signing"])["HeaderSigning"]
    signing = plug_in(
        asked["key"],
        asked["certificate"],
        answer_certificate_files=[asked["hub_certificate"]],
        fault_certificate_files=[asked["hub_certificate"]],
    )
    client: Any = zeep.Client(asked["wsdl"], wsse=signing)  # type: ignore[no-untyped-call]
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    sender = dict(zip(names, asked["client"].split("/"), strict=True))
    parts = asked["service"].split("/")
    service = dict(zip((*names, "serviceCode", "serviceVersion"), parts, strict=True))
    headers = {
        "client": {**sender, "objectType": "SUBSYSTEM"},
        "service": {**service, "objectType": "SERVICE"},
        "id": asked["id"],
        "protocolVersion": "4.0",
    }
    accepted = client.service[parts[4]](**asked["payload"], _soapheaders=headers).body
    told = {"messageId": accepted.messageId, "recipients": int(accepted.recipients)}
    print(json.dumps({**told, "acceptedAt": str(accepted.acceptedAt)}))


main()
