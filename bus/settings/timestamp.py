"""Say in hub.yaml which time authority stamps the log, and how long it may be away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema

_HTTP_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(:[0-9]{1,5})?(/[^\s?#]*)?\Z")


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """Where timestamps come from, and whose are believed."""

    url: str
    anchors: tuple[Path, ...]
    intermediates: tuple[Path, ...] = ()
    interval_seconds: int = 60
    timeout_seconds: int = 10
    outage_seconds_max: int = 4 * 3600


class TimestampForm(SettingsForm):
    """RFC 3161 timestamps of checkpoints."""

    url: Annotated[
        str, matching(_HTTP_URL, "an address as http://host:port/path"), pattern_schema(_HTTP_URL)
    ]
    """The address of the time authority."""
    anchors: Annotated[list[SettingText], Field(min_length=1)]
    """Files of CA certificates that its certificate must lead to; apart from `trust`."""
    intermediates: Annotated[list[SettingText], Field(default_factory=list)]
    """Files of CA certificates that may stand between."""
    interval_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    """Least time between two timestamps, in seconds."""
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    """How long the authority may take over one."""
    outage_seconds_max: Annotated[int, Field(ge=60, le=7 * 24 * 3600)] = 4 * 3600
    """How long entries may stand without one; then the hub takes no message until one comes."""


def timestamp_settings(form: TimestampForm | None, base: Path) -> TimestampSettings | None:
    """The settings; relative paths start from `base`."""
    if form is None:
        return None
    return TimestampSettings(
        url=form.url,
        anchors=tuple(base / anchor for anchor in form.anchors),
        intermediates=tuple(base / one for one in form.intermediates),
        interval_seconds=form.interval_seconds,
        timeout_seconds=form.timeout_seconds,
        outage_seconds_max=form.outage_seconds_max,
    )
