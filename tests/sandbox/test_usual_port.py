"""Of sandboxes that start at the same moment, one takes the usual port."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bus.sandbox.programs import (
    HUB_PORT_USUAL,
    claim_usual_port,
    free_ports,
    release_usual_port,
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claims of this test; sandboxes that run on the machine have theirs."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_one_at_a_time_has_the_usual_port(elsewhere: Path) -> None:
    first = claim_usual_port()
    assert first is not None

    assert claim_usual_port() is None

    release_usual_port(first)
    again = claim_usual_port()
    assert again is not None
    release_usual_port(again)
    assert list(elsewhere.iterdir()) == []


def test_a_hub_without_the_usual_port_gets_one_that_is_free() -> None:
    port = free_ports(0, hub_port_usual=0)["hub"]

    assert port not in {0, HUB_PORT_USUAL}
