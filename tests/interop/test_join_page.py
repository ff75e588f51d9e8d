"""Whoever follows docs/join.md with the stack of a section gets what the page shows."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.sandbox.leased_ports import free_port
from bus.sandbox.up import down
from tests.docs.guide_pages import Block, Reader, read_blocks
from tests.interop.foreign_stacks import (
    cxf_classes,
    npm_soap_modules,
    pyxroad_python,
    suds_python,
    wss4j_classes,
    zeep_python,
)
from tests.interop.judges import JOIN, ROOT, program

pytestmark = pytest.mark.interop

PAGE = ROOT / "docs" / "join.md"


def npm_soap() -> dict[str, str]:
    program("node")
    return {"NODE_PATH": str(npm_soap_modules())}


def wss4j() -> dict[str, str]:
    program("java")
    return {"CLASSPATH": wss4j_classes()}


def cxf() -> dict[str, str]:
    program("java")
    return {"CLASSPATH": cxf_classes()}


def with_python(python: Path) -> dict[str, str]:
    return {"PATH": f"{python.parent}:{os.environ['PATH']}"}


def pyxroad() -> dict[str, str]:
    return with_python(pyxroad_python())


def suds() -> dict[str, str]:
    return with_python(suds_python())


def zeep() -> dict[str, str]:
    return with_python(zeep_python())


def php() -> dict[str, str]:
    program("php")
    return {}


STACKS: dict[str, Callable[[], dict[str, str]]] = {
    "npm soap": npm_soap,
    "zeep": zeep,
    "WSS4J": wss4j,
    "pyxroad": pyxroad,
    "zeep as it is": zeep,
    "npm soap as it is": npm_soap,
    "suds": suds,
    "PHP": php,
    "SOAP::Lite": dict,
    "CXF": cxf,
}
"""What each section needs, by its heading."""


def sections() -> dict[str, list[Block]]:
    """The blocks of the page by heading, in order."""
    lines = PAGE.read_text("utf-8").splitlines()
    found: dict[str, list[Block]] = {}
    for block in read_blocks(PAGE, "docs/join.md"):
        line = int(block.place.rpartition(":")[2])
        headings = [one for one in lines[:line] if re.match(r"##+ ", one)]
        found.setdefault(headings[-1].lstrip("# "), []).append(block)
    return found


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has followed what the page tells everybody."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("bus", "signing", "docs", "adapters", "schemas", "routes.yaml"):
        (folder / name).symlink_to(ROOT / name)
    programs = folder / ".programs"
    programs.mkdir()
    (programs / "lienthong").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bus.cli "$@"\n')
    (programs / "lienthong").chmod(0o755)
    port = str(free_port())
    someone = Reader(
        folder,
        {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(folder)},
        {
            "lienthong sandbox up": f"lienthong sandbox up --port {port}",
            "127.0.0.1:8080": f"127.0.0.1:{port}",
        },
    )
    try:
        for heading, blocks in sections().items():
            for block in blocks if heading not in STACKS else []:
                someone.follow(block)
        yield someone
    finally:
        someone.leave()
        down(folder / "sandbox")


@pytest.mark.parametrize("heading", STACKS)
def test_a_section_of_the_page_comes_out_as_it_says(heading: str, reader: Reader) -> None:
    environment = STACKS[heading]()
    told = "".join(f"$ export {name}='{value}'\n" for name, value in environment.items())
    reader.follow(Block("tests", "console", told, "", ""))
    blocks = [block for block in sections()[heading] if not block.order]
    assert blocks

    for block in blocks:
        reader.follow(block)


def test_every_example_has_its_section_and_every_pin_its_file() -> None:
    page = PAGE.read_text("utf-8")
    examples = {
        path for path in JOIN.rglob("*") if path.suffix in {".py", ".js", ".php", ".pl", ".java"}
    }
    pins = {*JOIN.rglob("*requirements.txt"), *JOIN.rglob("package.json"), *JOIN.rglob("pom.xml")}

    untold = {path.name for path in examples | pins if path.name not in page}

    assert untold == set()
    assert len(pins) == len({path for path in pins if path.read_text().strip()})
