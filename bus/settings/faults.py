"""Say in a settings file how faults are written on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bus.core.registry import FaultSpelling
from bus.settings.form import SettingsForm


class FaultsForm(SettingsForm):
    """How faults are written on the wire."""

    spelling: Annotated[FaultSpelling, Field(strict=False)] = FaultSpelling.PASCAL
    """pascal: X-Road up to 7.7; snake: from 7.8."""
    http_status: Literal[200, 500] = 500
    """500 as SOAP 1.1 §6.2 says, 200 as X-Road does."""
