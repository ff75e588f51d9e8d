"""Know the services by which agencies fetch what lies in their mailboxes at the hub itself.

Their provider is the hub, and their client says whose mailbox is meant: a sender that was proved
cannot even name somebody else's. Every registered client has one, without a grant, as for the
metaservices of X-Road.
"""

from __future__ import annotations

from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import AttachmentRule, Grant, MemberRegistry, Mode, Service

NAMESPACE = "urn:lienthong:mailbox:1.0"
MAILBOX_ADAPTER = "hub.mailbox"
"""Answers them; no folder below adapters/ can have this name."""
MAILBOX_SCHEMA = "lienthong/1.0/mailbox.xsd"
"""Of their messages, below schemas/."""
LIST_MESSAGES = "listMessages"
FETCH_MESSAGES = "fetchMessages"
ACKNOWLEDGE_MESSAGE = "acknowledgeMessage"
LIST_RECEIPTS = "listReceipts"
FETCH_RECEIPT = "fetchReceipt"
ACKNOWLEDGE_RECEIPTS = "acknowledgeReceipts"
FETCHED_MAX = 16
"""Most messages that are handed out at one time."""
_TIMEOUT_SECONDS = 30.0
_TITLES = {
    LIST_MESSAGES: "What lies in the client's mailbox",
    FETCH_MESSAGES: "Messages of the client's mailbox, held for it for a while",
    ACKNOWLEDGE_MESSAGE: "What became of a message that the client fetched",
    LIST_RECEIPTS: "How deliveries of the client's submissions ended",
    FETCH_RECEIPT: "The receipt of one delivery that ended, and what its recipient said",
    ACKNOWLEDGE_RECEIPTS: "Receipts that the client has, and needs no more",
}
MAILBOX_CODES = frozenset(_TITLES)


def mailbox_services(registry: MemberRegistry) -> list[Service]:
    """All of them, in the order of their use."""
    return [_service(ServiceId(registry.hub, code, ""), registry) for code in _TITLES]


def find_mailbox_service(asked: ServiceId, registry: MemberRegistry) -> Service | None:
    """The one that is asked for; None: it is none."""
    is_one = asked.service_code in _TITLES and not asked.service_version
    return _service(asked, registry) if is_one and asked.provider == registry.hub else None


def _service(asked: ServiceId, registry: MemberRegistry) -> Service:
    limits = registry.limits
    beside = AttachmentRule(
        count_max=FETCHED_MAX * (limits.attachments_max + 1),
        bytes_max=max(limits.attachment_bytes_max, limits.envelope_bytes_max),
    )
    return Service(
        id=asked,
        title=_TITLES[asked.service_code],
        adapter=MAILBOX_ADAPTER,
        schema=MAILBOX_SCHEMA,
        mode=Mode.QUERY,
        timeout_seconds=_TIMEOUT_SECONDS,
        answer_attachments=beside
        if asked.service_code in (FETCH_MESSAGES, FETCH_RECEIPT)
        else None,
    )


def is_mailbox_service(service: Service) -> bool:
    """Whether it is about the client's mailbox."""
    return service.adapter == MAILBOX_ADAPTER


def mailbox_grant(client: SubsystemId, service: Service) -> Grant:
    """The right that every registered client has to its own mailbox."""
    return Grant(client, service.id, purpose=service.title, legal_basis="routes.yaml: recipients")
