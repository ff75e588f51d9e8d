"""Run tests against mutants: in a session that is collected once, or in one of its own.

A mutant of a function's body is tried in a fork of a session that has collected every test and set
up what they share: the function's code is exchanged in place. What runs when a module is imported,
or when shared things are set up, cannot be exchanged so: there a fork of a process that has
imported nothing of ours imports the changed source. It is slow, and decides where the first way
found nothing.
"""

from __future__ import annotations

import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coverage
import pytest
from _pytest.runner import call_and_report, runtestprotocol
from hypothesis import HealthCheck, Phase

from tests.hypothesis_examples import bound_examples
from tests.mutation.children import ChildDied, OutOfTime, in_child
from tests.mutation.mutants import ROOT, Mutant

EXAMPLES_MAX = 25
"""Of each property; always the same ones, so that a pass can be repeated."""
CPU_SECONDS = 60
"""For one mutant; the tests that are run for it take a part of it."""
_SET_UP = "import and set-up"


@dataclass(slots=True)
class Baseline:
    """How the tests do without a mutant. Made once a pass."""

    names: list[str]
    seconds: list[float]
    failing: list[int]
    runs: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    """By path and line: the tests that run it."""
    at_set_up: dict[str, set[int]] = field(default_factory=dict)
    """By path: lines that run at import or set-up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mutant."""

    state: str
    """killed, time, survived."""
    by: str = ""
    """The test that failed."""


def _arguments(base: str) -> list[str]:
    return ["-q", "-p", "no:cacheprovider", f"--basetemp={base}"]


def _few_examples(items: Iterable[pytest.Item]) -> None:
    bound_examples(
        items,
        EXAMPLES_MAX,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


# --- the session that is collected once -------------------------------------------------------


class CollectedSession:
    """A plugin that, in the place of pytest's loop, hands the collected session to `use`."""

    def __init__(self, paths: Sequence[str], use: Callable[[CollectedSession], Any]) -> None:
        self.items: list[pytest.Item] = []
        self.baseline = Baseline([], [], [])
        self._paths = [str(ROOT / path) for path in paths]
        self._use = use
        self._functions: dict[tuple[str, str], list[types.FunctionType]] = {}
        self._cached: list[Any] = []
        self._tracer = _tracer(self._paths)
        self.result: Any = None

    def run(self, tests: Sequence[str]) -> Any:
        """Collect these tests and return what `use` makes of the session."""
        self._tracer.start()
        with tempfile.TemporaryDirectory() as base:
            code = pytest.main([*_arguments(base), "-m", "not slow", *tests], plugins=[self])
        if code:
            raise SystemExit(f"the tests could not be collected: pytest ended with {code}")
        return self.result

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = list(session.items)
        _few_examples(self.items)
        self._set_up_what_is_shared(session)
        self._tracer.stop()
        data = self._tracer.get_data()
        at_set_up = {_below_root(path): set(data.lines(path) or ()) for path in self._paths}
        self._find_functions()
        gc.collect()
        gc.freeze()
        self.baseline = in_child(lambda: self._run_all(session), cpu_seconds=1800, is_quiet=True)
        self.baseline.at_set_up = at_set_up
        self.result = self._use(self)
        return True

    def _set_up_what_is_shared(self, session: pytest.Session) -> None:
        """So that it is there in each fork: with a test for each such fixture, which is not run."""
        ready: set[str] = set()
        for item in self.items:
            fixtures = getattr(item, "_fixtureinfo", None)
            if fixtures is None:
                continue
            found = fixtures.name2fixturedefs.items()
            shared = {name for name, definitions in found if definitions[-1].scope == "session"}
            if not shared <= ready:
                ready |= shared
                another = self.items[1] if item is self.items[0] else self.items[0]
                session._setupstate.teardown_exact(item)
                call_and_report(item, "setup", log=False)
                call_and_report(item, "teardown", log=False, nextitem=another)
                item._request = False  # type: ignore[attr-defined]

    def _find_functions(self) -> None:
        for one in gc.get_objects():
            if isinstance(one, types.FunctionType) and one.__code__.co_filename in self._paths:
                key = (_below_root(one.__code__.co_filename), one.__code__.co_qualname)
                self._functions.setdefault(key, []).append(one)
            elif _is_cached_function_of_ours(one):
                self._cached.append(one)

    def _run_all(self, session: pytest.Session) -> Baseline:
        session._setupstate.teardown_exact(self.items[0])
        tracer = _tracer(self._paths)
        tracer.start()
        seconds, failing = [], []
        for index in range(len(self.items)):
            # What an earlier test left in a cache would hide that this one depends on it.
            self._forget()
            tracer.switch_context(str(index))
            start = time.process_time()
            if self._fails(index, self.items[(index + 1) % len(self.items)]):
                failing.append(index)
            seconds.append(time.process_time() - start)
        tracer.stop()
        data = tracer.get_data()
        runs = {
            _below_root(path): {
                line: [int(one) for one in contexts if one]
                for line, contexts in data.contexts_by_lineno(path).items()
            }
            for path in self._paths
        }
        return Baseline([item.nodeid for item in self.items], seconds, failing, runs)

    def _fails(self, index: int, following: pytest.Item) -> bool:
        reports = runtestprotocol(self.items[index], log=False, nextitem=following)
        return any(report.failed for report in reports)

    def try_mutant(self, mutant: Mutant, tests: Sequence[int]) -> Outcome | None:
        """Run tests with the mutant's function exchanged; None: it cannot be, or none runs it."""
        if not mutant.function or not tests:
            return None
        functions = self._functions.get((mutant.path, mutant.function), [])
        code = _code_of(mutant)
        if not functions or code is None:
            return None
        try:
            failed = in_child(
                lambda: self._run_with(functions, code, tests), cpu_seconds=CPU_SECONDS
            )
        except OutOfTime:
            return Outcome("time")
        except ChildDied:
            return Outcome("killed", "the process")
        return Outcome("survived") if failed is None else Outcome("killed", failed)

    def _forget(self) -> None:
        for cached in self._cached:
            cached.cache_clear()

    def _run_with(
        self, functions: list[types.FunctionType], code: types.CodeType, tests: Sequence[int]
    ) -> str | None:
        for function in functions:
            function.__code__ = code
        self._forget()
        session = self.items[0].session
        session._setupstate.teardown_exact(self.items[tests[0]])
        for place, index in enumerate(tests):
            following = self.items[tests[(place + 1) % len(tests)]]
            if self._fails(index, following):
                return self.items[index].nodeid
        return None


def _is_cached_function_of_ours(one: object) -> bool:
    is_cached = isinstance(one, functools._lru_cache_wrapper)
    return is_cached and str(getattr(one, "__module__", "")).startswith(("signing", "bus"))


def _tracer(paths: list[str]) -> coverage.Coverage:
    return coverage.Coverage(
        data_file=None, include=paths, config_file=False, branch=False, messages=False
    )


def _below_root(path: str) -> str:
    return str(Path(path).relative_to(ROOT))


def _code_of(mutant: Mutant) -> types.CodeType | None:
    """The changed code of the function around the mutant; None: it is not there any more."""
    path = str(ROOT / mutant.path)
    module = compile(mutant.source(), path, "exec", dont_inherit=True, flags=0)
    waiting: list[types.CodeType] = [module]
    while waiting:
        for one in waiting.pop().co_consts:
            if isinstance(one, types.CodeType):
                if one.co_qualname == mutant.function:
                    return one
                waiting.append(one)
    return None


# --- a session of its own ---------------------------------------------------------------------


class _ChangedModule(importlib.abc.MetaPathFinder):
    """Finds one module with a text that is not that of its file."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: object, target: object = None) -> Any:
        if fullname != self._mutant.module:
            return None
        place = str(ROOT / self._mutant.path)
        return importlib.util.spec_from_file_location(
            fullname, place, loader=_ChangedLoader(fullname, place, self._mutant.source())
        )


class _ChangedLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self._text = text

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Chosen:
    """A plugin that runs chosen tests in their order, and knows the first that fails."""

    def __init__(self, names: Sequence[str]) -> None:
        self._place = {name: place for place, name in enumerate(names)}
        self.failed = ""
        self.count = 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self._place]
        chosen.sort(key=lambda item: self._place[item.nodeid])
        items[:] = chosen
        self.count = len(chosen)
        _few_examples(chosen)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def try_imported(mutant: Mutant | None, names: Sequence[str]) -> Outcome:
    """Run tests over freshly imported modules, one of them changed; None: as they are."""

    def work() -> str | None:
        assert not any(name in sys.modules for name in ("signing", "bus"))
        if mutant is not None:
            sys.meta_path.insert(0, _ChangedModule(mutant))
        plugin = _Chosen(names)
        files = list(dict.fromkeys(name.partition("::")[0] for name in names))
        with tempfile.TemporaryDirectory() as base:
            code = pytest.main(["-x", *_arguments(base), *files], plugins=[plugin])
        return None if code == 0 and plugin.count else plugin.failed or f"pytest ended with {code}"

    try:
        failed = in_child(work, cpu_seconds=CPU_SECONDS)
    except OutOfTime:
        return Outcome("time")
    except ChildDied:
        return Outcome("killed", "the process")
    return Outcome("survived") if failed is None else Outcome("killed", failed)


_OTHERS = (
    "asn1crypto.tsp",
    "cryptography.hazmat.primitives.serialization.pkcs7",
    "lxml.etree",
    "pydantic",
    "pyhanko_certvalidator",
    "requests",
    "rfc3161_client",
    "structlog",
    "xmlschema",
    "yaml",
)


def preload() -> None:
    """Import what is not ours, and make RSA keys: all children share them."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    for name in _OTHERS:
        importlib.import_module(name)
    make = rsa.generate_private_key
    made = {bits: [make(65537, bits) for _ in range(8)] for bits in (2048,)}

    def generate_private_key(
        public_exponent: int, key_size: int, backend: object = None
    ) -> rsa.RSAPrivateKey:
        kept = made.get(key_size) if public_exponent == 65537 else None
        return kept.pop() if kept else make(public_exponent, key_size)

    rsa.generate_private_key = generate_private_key
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
