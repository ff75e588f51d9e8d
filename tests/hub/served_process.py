"""A hub in a process of its own, as `lienthong serve` runs it, over a small nation."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import yaml

from bus.kit.manifest import read_manifest
from bus.sandbox.leased_ports import free_port
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import ADAPTERS, LOOKUP_ADAPTER, SmallNation

HANGING = """

def _hang(*_: object) -> None:
    import threading

    threading.Event().wait()


{name}.answer = _hang
{name}.close = _hang
"""


def hanging_hub(folder: Path, nation: SmallNation) -> tuple[Path, int]:
    """hub.yaml of a nation whose adapter of LOOKUP hangs, and its port."""
    adapters = folder / "adapters"
    shutil.copytree(ADAPTERS, adapters, ignore=shutil.ignore_patterns("__pycache__"))
    reference = read_manifest(adapters / LOOKUP_ADAPTER).class_reference
    module_name, _, class_name = reference.partition(":")
    with (folder / module_name.replace(".", "/")).with_suffix(".py").open("a") as module:
        module.write(HANGING.format(name=class_name))
    port = free_port()
    path = nation.folder / "hub.yaml"
    values = yaml.safe_load(path.read_text())
    values["listen"]["port"] = port
    values["adapters"] = str(adapters)
    path.write_text(yaml.safe_dump(values))
    return path, port


def await_ready(running: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while True:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
            return
        assert running.poll() is None, running.stderr.read() if running.stderr else ""
        assert time.monotonic() < deadline, "the hub does not answer"
        time.sleep(0.05)
