"""Speak HTTP to one agency, for adapters."""

from __future__ import annotations

from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest

__all__ = [
    "AgencyHttp",
    "AgencyReply",
    "AgencyRequest",
]
