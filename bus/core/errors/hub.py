"""Say what can go wrong in the hub itself: its log, its keys, its judging, its program."""

from __future__ import annotations

from bus.core.errors.base import Blame, BusError, Recovery


class LogUnavailable(BusError):
    code = "log.unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot write its message log; send the same bytes again later."
    xroad = "Server.ClientProxy.LoggingFailed"
    detail_is_ours = True


class TimestampsOverdue(BusError):
    code = "log.timestamps-overdue"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub has no trusted time for its message log; send the same request later."
    xroad = "Server.ClientProxy.LoggingFailed.TimestamperFailed"
    detail_is_ours = True


class SigningUnavailable(BusError):
    code = "hub.signing-unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot reach the key that signs; send the same request again later."
    xroad = "Server.ClientProxy.CannotCreateSignature"
    detail_is_ours = True


class JudgingUnavailable(BusError):
    code = "hub.judging-unavailable"
    blame = Blame.HUB
    recovery = Recovery.LATER
    public_reason = "The hub cannot judge the request now; send the same bytes again later."
    xroad = "Server.ServerProxy.InternalError"


class LogCorrupt(BusError):
    code = "log.corrupt"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The hub's message log is damaged."
    xroad = "Server.ClientProxy.LoggingFailed"
    detail_is_ours = True


class HubInternal(BusError):
    code = "hub.internal"
    blame = Blame.HUB
    recovery = Recovery.OPERATOR
    public_reason = "The hub failed; quote the id of this fault to its operator."
    xroad = "Server.ServerProxy.InternalError"
    detail_is_ours = True
