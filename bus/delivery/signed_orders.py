"""Orders and reports between processes: signed by the hub, signed by the agency, each proved.

A broker may be anybody's. Whoever owns it can delay and lose what it carries, and forge nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from bus.core.deliveries import DeliveryKey
from bus.core.ports.broker import PARCEL_BYTES_MAX
from bus.core.registry import MemberRegistry
from bus.delivery.order_forms import ProvedReport
from bus.delivery.signing import signed_here, signer_for
from bus.protocols.order_frames import INLINE_BYTES_MAX
from bus.protocols.order_notes import order_signing_key, prove_order, sign_order
from bus.protocols.orders import AttemptReport, Order, OrderInvalid, ReportInvalid
from bus.protocols.report_notes import prove_report, without_attachments, write_report
from signing.pki.certificates import TrustStore
from signing.pki.keys import SignerInTime
from signing.signed_note import SigningKey, VerifyingKey


class SignedOrders:
    """Implements OrderForm for a hub whose workers are elsewhere."""

    def __init__(self, log_key: SigningKey) -> None:
        """`log_key`: the one that signs checkpoints, under the log's origin."""
        self._key = order_signing_key(log_key)

    def write(self, order: Order) -> bytes:
        """An order with all that belongs to it. Raises OrderInvalid: that is too large."""
        attachments_bytes = sum(one.bytes_count for one in order.attachments)
        if attachments_bytes > INLINE_BYTES_MAX:
            raise OrderInvalid(f"{attachments_bytes} bytes of attachments do not travel")
        content = sign_order(order, [self._key])
        if len(content) > PARCEL_BYTES_MAX:
            raise OrderInvalid(f"an order of {len(content)} bytes does not travel")
        return content

    def read(self, content: bytes) -> Order:
        """An order of this hub's own that comes back. Raises OrderInvalid."""
        return prove_order(content, [self._key.verifying_key])

    def is_untouched(self, key: DeliveryKey, attempt: int) -> bool:
        """See OrderForm: nobody knows."""
        return False

    def forget(self, key: DeliveryKey, attempt: int) -> None:
        """See OrderForm: nothing is kept."""


class ProvedOrders:
    """Implements OrderReader for a worker, which knows the hubs that it works for."""

    def __init__(
        self, keys: Sequence[VerifyingKey], check: Callable[[Order], None] | None = None
    ) -> None:
        """`keys` as `order_key_of` gives them. `check`, if there is one, looks at what the order is
        about, and raises OrderInvalid."""
        self._keys = list(keys)
        self._check = check

    def read(self, content: bytes) -> Order:
        """An order of a known hub. Raises OrderInvalid."""
        order = prove_order(content, self._keys)
        if self._check is not None:
            self._check(order)
        return order


class SignedReports:
    """Implements ReportWriter, for whoever holds the keys of agencies."""

    def __init__(self, signers: Mapping[str, SignerInTime]) -> None:
        """By member id."""
        self._signers = signers

    def write(self, report: AttemptReport) -> bytes:
        """A report with all that belongs to it. Raises SigningUnavailable."""
        signer = signer_for(report.recipient, self._signers, report.time)
        return signed_here(lambda: write_report(report, signer))

    def waits(self, recipient: str, time: datetime) -> bool:
        """See ReportWriter."""
        return signer_for(recipient, self._signers, time).waits


class ProvedReports:
    """Implements ReportReader, for a hub whose workers are elsewhere."""

    def __init__(
        self,
        registry: MemberRegistry,
        trust: TrustStore,
        origin: str,
        clock: Callable[[], datetime],
    ) -> None:
        """`trust` is used from the thread that reads, and from no other."""
        self._registry = registry
        self._trust = trust
        self._origin = origin
        self._clock = clock

    def read(self, content: bytes) -> ProvedReport:
        """A report of the agency that its order went to. Raises ReportInvalid."""
        if len(content) > PARCEL_BYTES_MAX:
            raise ReportInvalid(f"{len(content)} bytes are too many for a report")
        report = prove_report(content, self._registry, self._trust, self._origin, self._clock())
        return ProvedReport(report, without_attachments(content))

    def forget(self, content: bytes) -> None:
        """See ReportReader: nothing is kept."""
