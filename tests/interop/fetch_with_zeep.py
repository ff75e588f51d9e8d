"""Fetch from a mailbox with zeep, from the served WSDL, as standard input says, and acknowledge.

A program of zeep's own environment: it knows nothing of the hub's packages.
"""

from __future__ import annotations

import base64
import json
import runpy
import sys
from typing import Any

import zeep

NAMES = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode")


def main() -> None:
    asked = json.load(sys.stdin)
    # The hub is the provider: it signs answers and faults.
    plug_in = runpy.run_path(asked["zeep_signing"])["HeaderSigning"]
    signing = plug_in(
        asked["key"],
        asked["certificate"],
        answer_certificate_files=[asked["hub_certificate"]],
        fault_certificate_files=[asked["hub_certificate"]],
    )
    owner = dict(zip(NAMES, asked["client"].split("/"), strict=False))

    def call(code: str, **values: object) -> Any:
        url = f"{asked['hub_url']}/services/{asked['hub']}/{code}?wsdl"
        client: Any = zeep.Client(url, wsse=signing)  # type: ignore[no-untyped-call]
        service = dict(zip(NAMES, f"{asked['hub']}/{code}".split("/"), strict=True))
        headers = {
            "client": {**owner, "objectType": "SUBSYSTEM"},
            "service": {**service, "objectType": "SERVICE"},
            "id": f"{asked['id']}-{code}",
            "protocolVersion": "4.0",
        }
        return client.service[code](**values, _soapheaders=headers).body

    listed = call("listMessages")
    fetched = call("fetchMessages", count=1, leaseSeconds=60)
    (message,) = fetched.message
    ended = call(
        "acknowledgeMessage", delivery=message.delivery, lease=fetched.lease, result="accepted"
    )
    told = {
        "listed": [one.delivery for one in listed.message],
        "delivery": message.delivery,
        "envelope": base64.b64encode(message.envelope).decode("ascii"),
        "verdict": ended.verdict,
        "receipt": base64.b64encode(ended.receipt).decode("ascii"),
    }
    print(json.dumps(told))


main()
