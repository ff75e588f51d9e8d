"""What tests share: one small nation a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import settings

from tests.hypothesis_examples import bound_examples
from tests.log.postgres_database import log_database, log_tables
from tests.nation import SmallNation, make_small_nation
from tests.servers.fixtures import (
    postgres,
    postgres_dsn,
    rabbitmq,
    rabbitmq_cluster,
    rabbitmq_node,
)

__all__ = [
    "log_database",
    "log_tables",
    "postgres",
    "postgres_dsn",
    "rabbitmq",
    "rabbitmq_cluster",
    "rabbitmq_node",
]

# How long an example takes says how busy the machine is: limits of a test are for what hangs.
settings.register_profile("lienthong", deadline=None)
settings.register_profile("fast", settings.get_profile("lienthong"), max_examples=20)
settings.load_profile("lienthong")

SERVERS = {"postgres", "rabbitmq", "rabbitmq_cluster", "rabbitmq_node"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs a server; bound examples under `--hypothesis-profile=fast`."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if SERVERS & {*getattr(item, "fixturenames", ()), *map(str, parameters.values())}:
            item.add_marker(pytest.mark.servers)
    if config.getoption("hypothesis_profile", None) == "fast":
        bound_examples(items, max_examples=settings.get_profile("fast").max_examples)


@pytest.fixture(scope="session")
def nation(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_small_nation(tmp_path_factory.mktemp("small-nation"))


@pytest.fixture(autouse=True)
def diagnostics_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that runs in this process sets up its diagnostics: for itself, and no test after.

    Loggers keep what was set up when they were first used, unless they are told not to.
    """
    configure = structlog.configure

    def configure_for_now(**settings: Any) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", configure_for_now)
    yield
    structlog.reset_defaults()
