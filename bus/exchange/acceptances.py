"""Tell a sender, signed and under a receipt, that its submission was accepted.

An acceptance says nothing but what the message and its entry say, so that a copy gets it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bus.core.decision import Accepted
from bus.core.exchange_leaves import ACCEPTED, Entry
from bus.core.log.submission_receipts import acceptance_note
from bus.core.ports.wire_protocol import WireProtocol
from bus.delivery.signing import signed_aside, signed_here
from bus.exchange.messages import IncomingRequest
from bus.protocols.reply import HTTP_OK, Reply
from bus.runtime.off_loop import off_loop
from signing.pki.keys import SignerInTime
from signing.signed_note import SigningKey


@dataclass(frozen=True, slots=True)
class Acceptances:
    """The hub's keys for what it promises, and its wire."""

    wire: WireProtocol
    hub_signer: SignerInTime = field(repr=False)
    receipt_key: SigningKey = field(repr=False)
    receipt_keys_elsewhere: Mapping[str, SigningKey] = field(default_factory=dict, repr=False)
    """Of other hubs that this one may speak for, by the origins of their logs."""

    async def reply(
        self,
        accepted: Accepted,
        received: Entry,
        time: datetime,
        recipients_count: int,
        request: IncomingRequest,
        *,
        outcome: str = ACCEPTED,
        origin: str | None = None,
    ) -> Reply:
        """The acceptance of a message whose entry was made at `time`, here or in another hub's log
        with this origin. Raises SigningUnavailable."""
        key = self.receipt_key if origin is None else self.receipt_keys_elsewhere[origin]
        signer = self.hub_signer.at(time)
        write = partial(self.wire.acceptance, accepted, recipients_count, signer, time)
        body = await signed_aside(write) if signer.waits else signed_here(write)
        entry, raw, beside = (received.index, received.leaf), request.raw, request.attachments
        make = partial(acceptance_note, key, entry, time, raw, beside, recipients_count)
        body = self.wire.with_receipt(body, await off_loop(len(raw), make))
        content_type = self.wire.content_type(accepted.facts.version)
        return Reply(HTTP_OK, body, content_type=content_type, outcome=outcome)
