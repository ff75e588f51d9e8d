"""Stacks of others fetch from a mailbox by the WSDL that is served, and acknowledge it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bus.client.hub_client import VerifiedAcceptance
from bus.core.identifiers import SubsystemId
from bus.core.log.receipts import receipt_key_of
from bus.core.log.submission_receipts import ClosingReceipt, parse_any_receipt
from bus.core.xml import parse_xml
from bus.sandbox.description import SandboxDescription
from bus.trust.key_store import read_verifying_key
from signing.signed_note import verify_note
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.foreign_stacks import npm_soap_modules, zeep_python
from tests.interop.judges import JOIN, program
from tests.interop.test_submitting_stacks import EVENT, REGISTRY, SENDER, Stack
from tests.nation import HUB

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
BOXES = [one for one, adapter in sorted(REGISTRY.recipients.items()) if not adapter]
OF_ZEEP, OF_NPM_SOAP, *_ = BOXES


def zeep() -> tuple[list[str], Mapping[str, str]]:
    return [str(zeep_python()), str(HERE / "fetch_with_zeep.py")], {}


def npm_soap() -> tuple[list[str], Mapping[str, str]]:
    script = str(HERE / "fetch_with_npm_soap.js")
    return [program("node"), script], {"NODE_PATH": str(npm_soap_modules())}


@contextmanager
def submitted(sandbox: SandboxDescription) -> Iterator[bytes]:
    """A document that goes to every mailbox; the bytes of its envelope."""
    served = next(one for one in sandbox.services if one.id == str(EVENT))
    raw = Path(served.sample_request).read_bytes()
    client = sandbox.client(str(SENDER))
    try:
        request = client.sign(EVENT, parse_xml(raw, bytes_max=len(raw)))
        assert isinstance(client.exchange_any(request), VerifiedAcceptance)
        yield request
    finally:
        client.close()


@pytest.mark.parametrize(("stack", "box"), [(zeep, OF_ZEEP), (npm_soap, OF_NPM_SOAP)])
def test_a_stack_fetches_what_was_signed_and_its_acknowledgement_ends_the_delivery(
    stack: Stack, box: SubsystemId, sandbox: SandboxDescription
) -> None:
    owners = {one.id: one for one in sandbox.subsystems}
    asked = {
        "zeep_signing": str(JOIN / "zeep_header_signing.py"),
        "signing": str(JOIN / "npm-soap" / "header_signing.js"),
        "hub_url": sandbox.hub_url,
        "hub": str(HUB),
        "key": owners[str(box)].key,
        "certificate": owners[str(box)].certificate,
        "hub_certificate": owners[str(HUB)].certificate,
        "client": str(box),
        "id": f"hop-thu-{stack.__name__}",
    }
    command, environment = stack()

    with submitted(sandbox) as request:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS_MAX,
            env={"PATH": os.environ["PATH"], **environment},
            check=False,
        )

    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["listed"][0] == told["delivery"]
    assert told["verdict"] == "delivered"
    if len(told["listed"]) == 1:
        assert base64.b64decode(told["envelope"]) == request
    key = read_verifying_key(Path(sandbox.log_verifier_key))
    note = verify_note(base64.b64decode(told["receipt"]), [receipt_key_of(key)])
    receipt = parse_any_receipt(note.text.decode())
    assert isinstance(receipt, ClosingReceipt)
    assert receipt.recipient == str(box)
