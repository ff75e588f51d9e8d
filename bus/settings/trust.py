"""Say in a settings file whom a program trusts: anchors, and how a hub is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bus.settings.form import SettingsForm, SettingText


@dataclass(frozen=True, slots=True)
class TrustSettings:
    """Files of certificates: the anchors, what may stand between, and what is only named."""

    anchors: tuple[Path, ...]
    intermediates: tuple[Path, ...]
    certificates: tuple[Path, ...] = ()


class TrustForm(SettingsForm):
    """Which certificates are believed."""

    anchors: Annotated[list[SettingText], Field(min_length=1)]
    """Files of CA certificates to start from."""
    intermediates: Annotated[list[SettingText], Field(default_factory=list)]
    """Files of CA certificates that may stand between."""
    certificates: Annotated[list[SettingText], Field(default_factory=list)]
    """Files of certificates of senders that name theirs in messages without sending it."""


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files by which a client knows a hub."""

    anchors: tuple[Path, ...]
    checkpoint_key: Path
    """`checkpoint.vkey` of the hub's log."""
    intermediates: tuple[Path, ...] = ()
    other_checkpoint_keys: tuple[Path, ...] = ()
    """Of other hubs of the same operator, who tell copies what each of them told first."""
