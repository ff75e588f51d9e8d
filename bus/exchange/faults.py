"""Write the signed fault, without receipt, that tells why a message comes to nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from bus.core.decision import Refused
from bus.core.faults import fault_of
from bus.core.ports.wire_protocol import WireProtocol
from bus.core.registry import FaultSpelling
from bus.delivery.signing import signed_aside, signed_here
from bus.exchange.messages import IncomingRequest, Outcome
from bus.runtime.off_loop import off_loop
from signing.pki.keys import SignerInTime


@dataclass(frozen=True, slots=True)
class Faults:
    """The hub's key for faults, its wire, and how its codes are spelt."""

    wire: WireProtocol
    hub_signer: SignerInTime = field(repr=False)
    spelling: FaultSpelling
    show_precise_faults: bool

    async def outcome(
        self, refused: Refused, request: IncomingRequest, fault_id: str, time: datetime
    ) -> Outcome:
        """What came of a message that failed. Raises SigningUnavailable."""
        write = partial(self.write, refused, request, fault_id, time)
        if self.hub_signer.at(time).waits:
            body = await signed_aside(write)
        else:
            body = await off_loop(len(request.raw), partial(signed_here, write))
        return Outcome(body, time, error=refused.error, fault_id=fault_id)

    def write(
        self, refused: Refused, request: IncomingRequest, fault_id: str, time: datetime
    ) -> bytes:
        """A signed fault message. Raises KeyUnavailableError."""
        fault = fault_of(
            refused.error,
            fault_id=fault_id,
            message_id=refused.facts.message_id if refused.facts else "",
            request_digest=request.digest(refused),
            show_precise_faults=self.show_precise_faults,
        )
        version, signer = self.version_of(refused, request), self.hub_signer.at(time)
        return self.wire.fault(fault, version, self.spelling, signer, time)

    def version_of(self, refused: Refused, request: IncomingRequest) -> str:
        """The version of a fault: that of the request, as far as it shows."""
        if refused.facts is not None:
            return refused.facts.version
        return request.version or self.wire.likely_version(request.raw)
