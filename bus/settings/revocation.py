"""Say in hub.yaml of which certificates the revocation status must be known, and who is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bus.core.revocation import GRACE_SECONDS_DEFAULT, RevocationCheck, RevocationPolicy
from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema

CACHE_DEFAULT = "state/revocation"
REFRESH_SECONDS_DEFAULT = 300
FETCH_SECONDS_DEFAULT = 5
_HTTP_ADDRESS = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[^\s#]*)?\Z")
_ADDRESS_START = ("http://", "https://")

AddressText = Annotated[
    str,
    matching(_HTTP_ADDRESS, "an address as http://host:port/path"),
    pattern_schema(_HTTP_ADDRESS),
]


@dataclass(frozen=True, slots=True)
class RevocationSettings:
    """What is asked of certificates, and where."""

    policy: RevocationPolicy
    refresh_seconds: int
    """How often the status of a sender seen lately is asked anew."""
    fetch_seconds: int
    """How long one question may take."""
    cache: Path
    """The folder that keeps the last evidence over a restart."""
    ocsp_url: str = ""
    """Asked instead of the responders that certificates name; empty: theirs are asked."""
    crls: tuple[str | Path, ...] = ()
    """Addresses and files of CRLs, besides those that certificates name."""


class RevocationForm(SettingsForm):
    """What is asked of the certificates of senders: OCSP responses and CRLs."""

    check: Literal["required", "where-named", "none"] = "required"
    """`required`: a certificate of unknown status is refused; `where-named`: unless it names
    neither responder nor CRL and none is named here; `none`: nothing is asked."""
    grace_seconds: Annotated[int, Field(ge=0, le=7 * 86400)] = GRACE_SECONDS_DEFAULT
    """For so long after its window the last good evidence still counts when there is none newer."""
    refresh_seconds: Annotated[int, Field(ge=1, le=86400)] = REFRESH_SECONDS_DEFAULT
    """How often the status of a sender seen lately is asked anew, in seconds."""
    fetch_seconds: Annotated[int, Field(ge=1, le=60)] = FETCH_SECONDS_DEFAULT
    """How long one question to a responder may take, in seconds."""
    ocsp_url: AddressText | None = None
    """The OCSP responder to ask instead of the ones that certificates name."""
    crls: Annotated[list[SettingText], Field(default_factory=list, max_length=64)]
    """Files (DER) and http addresses of CRLs, besides the ones that certificates name."""
    cache: SettingText = CACHE_DEFAULT
    """The folder that keeps the last evidence over a restart."""


def revocation_settings(form: RevocationForm, base: Path) -> RevocationSettings:
    """The settings; relative paths start from `base`."""
    return RevocationSettings(
        policy=RevocationPolicy(RevocationCheck(form.check), form.grace_seconds),
        refresh_seconds=form.refresh_seconds,
        fetch_seconds=form.fetch_seconds,
        cache=base / form.cache,
        ocsp_url=form.ocsp_url or "",
        crls=tuple(text if text.startswith(_ADDRESS_START) else base / text for text in form.crls),
    )
