"""What every test of brokers takes for granted: they answer, if not soon."""

from __future__ import annotations

import pytest

from tests.hang_limits import HANG_SECONDS_MAX


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub or worker that starts does not go on without a broker that is only slow."""
    for module in ("connection.CONNECTING", "rabbitmq_hub.STARTING", "rabbitmq_work.STARTING"):
        monkeypatch.setattr(f"bus.broker.{module}_SECONDS_MAX", HANG_SECONDS_MAX)
    monkeypatch.setattr("bus.broker.declaring.DECLARING_SECONDS_MAX", HANG_SECONDS_MAX)
