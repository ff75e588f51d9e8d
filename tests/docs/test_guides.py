"""What README and the guides tell a reader to type does what they say."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.hub import open_hub
from bus.runtime.clock import now
from bus.sandbox.description import write_description
from bus.sandbox.leased_ports import free_port
from bus.sandbox.nation_description import describe_nation
from bus.sandbox.nation_files import prepare_nation
from bus.sandbox.sandbox_data import SEED_DEFAULT, keep_data
from bus.sandbox.up import down
from bus.settings.hub import read_hub_settings
from tests.docs.guide_pages import (
    Block,
    Reader,
    broken_links,
    read_blocks,
    read_commands,
    says,
)

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/agencies.md",
    "docs/access-point.md",
    "docs/integrators.md",
    "docs/auditors.md",
    "docs/operators.md",
]
HUB_PORT, AGENCY_PORT = "8080", "18099"
"""As the pages write them; a reader in a test takes ports that are free."""


def blocks_of(page: str) -> list[Block]:
    return read_blocks(ROOT / page, page)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that a reader may change, with the one sandbox of all pages in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("bus", "signing", "docs", "tests"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("adapters", "schemas"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("routes.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    programs = folder / ".programs"
    programs.mkdir()
    for name, words in (("lienthong", "-m bus.cli"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    asyncio.run(leave_a_sandbox(folder / "sandbox"))
    return folder


async def leave_a_sandbox(folder: Path) -> None:
    """What a sandbox leaves that was up once and is down."""
    hub_port, authority_port, operations_port = free_port(), free_port(), free_port()
    nation = prepare_nation(
        folder,
        now=now(),
        hub_port=hub_port,
        authority_port=authority_port,
        operations_port=operations_port,
    )
    manifests = {adapter: one.manifest for adapter, one in nation.agencies.items()}
    keep_data(folder / "data", SEED_DEFAULT, manifests)
    write_description(folder, describe_nation(nation, {}))
    hub = await open_hub(read_hub_settings(nation.hub_settings))
    await hub.close()


@pytest.fixture
def reader(checkout: Path) -> Iterator[Reader]:
    hub_port, agency_port = str(free_port()), str(free_port())
    environment = {
        "PATH": f"{checkout / '.programs'}:{os.environ['PATH']}",
        "PYTHONPATH": str(checkout),
        "COLUMNS": "100",
        "LIENTHONG_DIR": "sandbox",
    }
    replaced = {
        "lienthong sandbox up": f"lienthong sandbox up --port {hub_port}",
        f"127.0.0.1:{HUB_PORT}": f"127.0.0.1:{hub_port}",
        AGENCY_PORT: agency_port,
    }
    someone = Reader(checkout, environment, replaced)
    yield someone
    someone.leave()
    for sandbox in ("sandbox", "try"):  # a page that failed half way leaves one up
        down(checkout / sandbox)


def require_program(name: str) -> None:
    if shutil.which(name) is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed")
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: nobody follows this page")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_tells_to_do_comes_out_as_it_says(page: str, reader: Reader) -> None:
    blocks = blocks_of(page)
    if any("$ openssl" in block.text for block in blocks):
        require_program("openssl")
    for block in blocks:
        reader.follow(block)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_that_is_not_run_says_why(page: str) -> None:
    blocks = blocks_of(page)
    assert [block.place for block in blocks if block.order == "not run" and not block.told] == []
    typed = [block for block in blocks if block.language == "console" and not block.order]
    assert [block.place for block in typed if not read_commands(block.text)] == []
    assert sum(len(read_commands(block.text)) for block in typed) >= 4


def test_the_operators_page_names_every_event_of_the_diagnostics() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "bus").rglob("*.py")]
    told = re.compile(r"(?<!\.)_log\.(?:debug|info|warning|error)\(\s*\"([a-z.-]+)\"")
    events = {event for source in sources for event in told.findall(source)}
    calls = sum(len(re.findall(r"(?<![\w.])_log\.[a-z]+\(", source)) for source in sources)
    page = (ROOT / "docs" / "operators.md").read_text("utf-8")
    table = page.partition("## Diagnostics")[2].partition("## ")[0]
    named = {
        event
        for line in table.splitlines()
        if line.startswith("| `")
        for event in re.findall(r"`([a-z.-]+)`", line.split("|")[1])
    }
    assert calls == sum(len(told.findall(source)) for source in sources)
    assert named == events


def test_every_relative_link_of_every_page_leads_somewhere() -> None:
    pages = [
        path
        for path in ROOT.rglob("*.md")
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]
    assert len(pages) > 12
    broken = {page.relative_to(ROOT).as_posix(): list(broken_links(page)) for page in pages}
    assert {page: links for page, links in broken.items() if links} == {}


def test_a_reader_finds_out_a_page_that_is_wrong(tmp_path: Path) -> None:
    require_program("bash")
    someone = Reader(tmp_path, {}, {})
    try:
        someone.follow(block("$ printf 'one\\ntwo\\nthree\\n'\none\n…\nt…e\n"))
        someone.follow(block("$ false # exit 1\n$ cat <<< it\nit\n"))
        for wrong in ("$ false\n", "$ true # exit 1\n", "$ echo one\ntwo\n", "$ printf ''\none\n"):
            with pytest.raises(AssertionError, match="somewhere:1"):
                someone.follow(block(wrong))
        with pytest.raises(AssertionError, match="NameError"):
            someone.follow(block("nothing_of_this_name\n", language="python"))
    finally:
        someone.leave()


def test_a_shown_output_stands_for_the_whole_output() -> None:
    assert says("a…c\n…\nz", "abc\nd\ne\nz\n")
    assert not says("a", "a\nb\n")
    assert not says("a…c", "a\nc\n")


def test_a_link_to_a_file_or_heading_that_is_not_there_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One, two\n[a](page.md#one-two) [b](#three) [c](no.md) [d](https://x/)\n")
    assert list(broken_links(page)) == ["#three", "no.md"]


def block(text: str, *, language: str = "console") -> Block:
    return Block("somewhere:1", language, text, "", "")
