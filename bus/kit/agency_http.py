"""Speak HTTP to one agency, for adapters."""

from __future__ import annotations

from bus.http.client import (
    AgencyHttp,
    AgencyReply,
    AgencyRequest,
    agency_address,
    check_status,
)

__all__ = [
    "AgencyHttp",
    "AgencyReply",
    "AgencyRequest",
    "agency_address",
    "check_status",
]
