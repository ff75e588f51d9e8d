"""Fetch from a mailbox at a hub, and hear of receipts, as an agency's system does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bus.client.hub_client import HubClient, Labels, VerifiedAnswer
from bus.core.deliveries import DeliveryKey
from bus.core.identifiers import ServiceId, SubsystemId
from bus.protocols.mailbox import (
    LEASE_SECONDS,
    LISTED_MAX,
    Acknowledgement,
    ClosedDelivery,
    FetchedMessage,
    ListedMessage,
    ListedReceipt,
    MailboxRequest,
    MessageFetchRequest,
    MessageListRequest,
    ReceiptListRequest,
    ReceiptRequest,
    ReceiptsAcknowledged,
)
from bus.protocols.soap_xroad.mailbox import write_mailbox_request
from bus.protocols.soap_xroad.read_mailbox import (
    read_ended,
    read_handed_out,
    read_listed_messages,
    read_listed_receipts,
    read_receipt,
    read_removed,
)
from bus.protocols.soap_xroad.verify_fetched import ProvedMessage, verify_fetched
from signing.attachments import Attachment
from signing.signed_note import VerifyingKey


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that was fetched and is proved; it is held under the lease."""

    lease: str
    fetched: FetchedMessage
    proved: ProvedMessage
    raw: bytes = field(repr=False)
    """The envelope as its sender signed it."""
    attachments: tuple[Attachment, ...] = ()
    """As they came with it."""

    @property
    def key(self) -> DeliveryKey:
        """Names its delivery."""
        return self.fetched.listed.key


class MailboxClient:
    """The mailbox of one subsystem. Safe to use from several threads.

    Each raises FaultReceived, AnswerRejected (what came back is not proved), HubUnreachable.
    """

    def __init__(self, client: HubClient, hub: SubsystemId) -> None:
        """`hub` is the hub's own subsystem: the provider of its services."""
        self._client = client
        self._hub = hub

    @property
    def receipt_key(self) -> VerifyingKey:
        """What signs the hub's receipts."""
        return self._client.known.receipt_key

    def page(
        self, after: DeliveryKey | None = None, count: int = LISTED_MAX
    ) -> tuple[list[ListedMessage], bool]:
        """What lies there, the oldest first, and whether there may be more."""
        return read_listed_messages(self._ask(MessageListRequest(after, count)).payload)

    def fetch(
        self, count: int = 1, lease_seconds: int = LEASE_SECONDS, *, message_id: str = ""
    ) -> list[HeldMessage]:
        """Hold messages. The same message id again asks for the same ones."""
        answer = self._ask(MessageFetchRequest(count, lease_seconds), message_id)
        handed = read_handed_out(answer.payload, answer.attachments)
        return [self._proved(one, handed.lease) for one in handed.messages]

    def _proved(self, one: FetchedMessage, lease: str) -> HeldMessage:
        envelope = one.envelope
        raw = envelope if isinstance(envelope, bytes) else b"".join(envelope.chunks())
        came = tuple(
            _as_it_came(beside.attachment, beside.content_id) for beside in one.attachments
        )
        proved = verify_fetched(raw, one.receipt, self._client.known, came)
        return HeldMessage(lease, one, proved, raw, came)

    def acknowledge(self, key: DeliveryKey, lease: str) -> ListedReceipt:
        """Say that a message was acted upon; give how its delivery ended."""
        return read_ended(self._ask(Acknowledgement(key, lease, is_refused=False)).payload)

    def refuse(self, key: DeliveryKey, lease: str, code: str, reason: str = "") -> ListedReceipt:
        """Say that it was not, and will not be."""
        said = Acknowledgement(key, lease, is_refused=True, code=code, reason=reason)
        return read_ended(self._ask(said).payload)

    def receipts(
        self, after: int | None = None, count: int = LISTED_MAX
    ) -> tuple[list[ListedReceipt], bool]:
        """How deliveries of what this subsystem submitted ended, and whether there may be more."""
        return read_listed_receipts(self._ask(ReceiptListRequest(after, count)).payload)

    def receipt(self, entry: int) -> ClosedDelivery:
        """One of them, with what the recipient said."""
        answer = self._ask(ReceiptRequest(entry))
        return read_receipt(answer.payload, answer.attachments)

    def have_receipts(self, entries: Sequence[int]) -> int:
        """They are stored here: let them go; give how many lay there."""
        return read_removed(self._ask(ReceiptsAcknowledged(tuple(entries))).payload)

    def _ask(self, asked: MailboxRequest, message_id: str = "") -> VerifiedAnswer:
        element = write_mailbox_request(asked)
        code = element.tag.rpartition("}")[2]
        service = ServiceId(self._hub, code, "")
        return self._client.call(service, element, Labels(message_id))

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def _as_it_came(beside: Attachment, content_id: str) -> Attachment:
    """The attachment under the id that its sender gave it."""
    headers = tuple(
        (name, f"<{content_id}>" if name.lower() == "content-id" else value)
        for name, value in beside.headers
    )
    return replace(beside, content_id=content_id, headers=headers)
