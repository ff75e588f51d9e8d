"""Environments of foreign SOAP stacks: each made once from its pinned versions, kept in .cache.

Nothing of theirs is ever installed beside the hub, and nothing of the hub beside theirs.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.judges import JOIN, ROOT, missing, program

CACHE = ROOT / ".cache" / "interop"
INSTALL_SECONDS_MAX = 300
"""For one environment: `make test` makes them before the tests, whose own time is shorter."""
_MARK = "installed.sha256"


def python_with(requirements: Path, name: str) -> Path:
    """A Python that has what `requirements` pins, and nothing of ours."""

    def install(folder: Path) -> None:
        _call(sys.executable, "-m", "venv", "--clear", folder)
        _call(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", requirements)

    return _made_once(name, [requirements], install) / "bin" / "python"


def node_modules(package: Path, name: str) -> Path:
    """A node_modules folder with what a package.json pins."""
    npm = program("npm")

    def install(folder: Path) -> None:
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        shutil.copy(package, folder / "package.json")
        _call(npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent", at=folder)

    return _made_once(name, [package], install) / "node_modules"


def java_classes(
    pom: Path, sources: Sequence[Path], name: str, *, compiled: str = "classes"
) -> str:
    """A class path: the libraries that a pom.xml pins, and these sources compiled against them.

    `compiled` names what was compiled: more than one may stand beside the same libraries.
    """
    maven, compiler = program("mvn"), program("javac")

    def install(folder: Path) -> None:
        shutil.rmtree(folder / "lib", ignore_errors=True)
        copy = ("-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}")
        _call(maven, "-f", pom, *copy)

    def compile_sources(folder: Path) -> None:
        shutil.rmtree(folder / "classes", ignore_errors=True)
        _call(compiler, "-cp", f"{libraries}/*", "-d", folder / "classes", *sources)

    libraries = _made_once(name, [pom], install) / "lib"
    made = _made_once(f"{name}-{compiled}", [pom, *sources], compile_sources) / "classes"
    return f"{libraries}/*:{made}"


def wss4j_classes() -> str:
    """The class path of the example for WSS4J, and of what the tests add to it."""
    sources = [*(JOIN / "wss4j").glob("*.java"), *Path(__file__).parent.glob("*.java")]
    return java_classes(JOIN / "wss4j" / "pom.xml", sorted(sources), "wss4j")


def cxf_classes() -> str:
    """The class path of the example for CXF."""
    return java_classes(JOIN / "cxf" / "pom.xml", [JOIN / "cxf" / "CxfClient.java"], "cxf")


def cxf_classes_with(source: Path) -> str:
    """The class path of CXF and of a client of its own."""
    return java_classes(JOIN / "cxf" / "pom.xml", [source], "cxf", compiled=source.stem)


def npm_soap_modules() -> Path:
    return node_modules(JOIN / "npm-soap" / "package.json", "npm-soap")


def zeep_python() -> Path:
    return python_with(JOIN / "zeep-requirements.txt", "zeep")


def pyxroad_python() -> Path:
    return python_with(JOIN / "pyxroad" / "requirements.txt", "pyxroad")


def suds_python() -> Path:
    return python_with(JOIN / "suds" / "requirements.txt", "suds")


def fastapi_xroad_soap_python() -> Path:
    return python_with(JOIN / "fastapi-xroad-soap" / "requirements.txt", "fastapi-xroad-soap")


ENVIRONMENTS: tuple[Callable[[], object], ...] = (
    wss4j_classes,
    cxf_classes,
    npm_soap_modules,
    zeep_python,
    pyxroad_python,
    suds_python,
    fastapi_xroad_soap_python,
)


def make_all() -> None:
    """Make every environment that is missing; say which cannot be made, and go on."""

    def attempt(environment: Callable[[], object]) -> str:
        try:
            environment()
        except (pytest.skip.Exception, pytest.fail.Exception) as error:
            return f"{error.msg}\n"
        return ""

    with ThreadPoolExecutor(len(ENVIRONMENTS)) as threads:
        sys.stderr.write("".join(threads.map(attempt, ENVIRONMENTS)))


def _made_once(name: str, pins: Sequence[Path], install: Callable[[Path], None]) -> Path:
    """The folder of an environment; made anew whenever a pinned file has changed."""
    folder = CACHE / name
    folder.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()
    with _alone(CACHE / f"{name}.lock"):
        mark = folder / _MARK
        if mark.is_file() and mark.read_text() == wanted:
            return folder
        try:
            install(folder)
        except subprocess.CalledProcessError as error:
            said = (error.stdout or b"") + (error.stderr or b"")
            missing(f"{name} ({said.decode('utf-8', 'replace')[-400:].strip()})")
        except (subprocess.SubprocessError, OSError) as error:
            missing(f"{name} ({error})")
        mark.write_text(wanted)
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Test files run side by side: one of them makes the environment, the others wait."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _call(*command: object, at: Path | None = None) -> None:
    words = [str(word) for word in command]
    subprocess.run(words, cwd=at, check=True, capture_output=True, timeout=INSTALL_SECONDS_MAX)


if __name__ == "__main__":
    make_all()
