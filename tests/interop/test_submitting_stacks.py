"""Stacks of others submit from the WSDL that is served, and get the hub's acceptance, signed."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest
from lxml import etree

from bus.core.xml import parse_xml
from bus.sandbox.description import SandboxDescription
from bus.sandbox.nation_files import reference_routes
from bus.settings.routes import read_registry
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.foreign_stacks import npm_soap_modules, zeep_python
from tests.interop.judges import JOIN, program
from tests.nation import HUB

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
REGISTRY = read_registry(reference_routes())
(EVENT,) = REGISTRY.subscriptions
(SENDER, *_) = [client for client, service in REGISTRY.grants if service == EVENT]


class Stack(Protocol):
    """A stack of others: a command, and what its environment needs."""

    __name__: str

    def __call__(self) -> tuple[list[str], Mapping[str, str]]: ...


def zeep() -> tuple[list[str], Mapping[str, str]]:
    return [str(zeep_python()), str(HERE / "submit_with_zeep.py")], {}


def npm_soap() -> tuple[list[str], Mapping[str, str]]:
    script = str(HERE / "submit_with_npm_soap.js")
    return [program("node"), script], {"NODE_PATH": str(npm_soap_modules())}


def fields(element: etree._Element) -> dict[str, object]:
    """Children by local name; those that have children are such themselves."""
    return {
        etree.QName(child).localname: fields(child) if len(child) else child.text
        for child in element
    }


def submission(sandbox: SandboxDescription, message_id: str) -> dict[str, object]:
    owners = {one.id: one for one in sandbox.subsystems}
    served = next(one for one in sandbox.services if one.id == str(EVENT))
    raw = Path(served.sample_request).read_bytes()
    return {
        "zeep_signing": str(JOIN / "zeep_header_signing.py"),
        "signing": str(JOIN / "npm-soap" / "header_signing.js"),
        "wsdl": served.wsdl_url,
        "key": owners[str(SENDER)].key,
        "certificate": owners[str(SENDER)].certificate,
        "hub_certificate": owners[str(HUB)].certificate,
        "client": str(SENDER),
        "service": str(EVENT),
        "id": message_id,
        "payload": fields(parse_xml(raw, bytes_max=len(raw))),
    }


def submit(stack: Stack, asked: Mapping[str, object]) -> subprocess.CompletedProcess[str]:
    command, environment = stack()
    return subprocess.run(
        command,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS_MAX,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
    )


@pytest.mark.parametrize("stack", [zeep, npm_soap])
def test_a_stack_submits_from_the_served_wsdl_and_believes_the_acceptance(
    stack: Stack, sandbox: SandboxDescription
) -> None:
    message_id = f"VB-{stack.__name__}"

    done = submit(stack, submission(sandbox, message_id))

    assert done.returncode == 0, done.stdout + done.stderr
    accepted = json.loads(done.stdout)
    assert accepted["messageId"] == message_id
    assert accepted["recipients"] == len(REGISTRY.subscriptions[EVENT])
    assert accepted["acceptedAt"]


@pytest.mark.parametrize("stack", [zeep, npm_soap])
def test_a_stack_believes_no_acceptance_that_somebody_else_signed(
    stack: Stack, sandbox: SandboxDescription
) -> None:
    asked = submission(sandbox, f"VB-{stack.__name__}-other")

    done = submit(stack, {**asked, "hub_certificate": asked["certificate"]})

    assert done.returncode != 0
    assert "somebody else" in done.stderr
