"""Every bound of the hub: its name, its default, its unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds in force; each may be set under `limits` in routes.yaml."""

    envelope_bytes_max: int = 10 * 1024 * 1024
    """Largest request body, in bytes; refused before it is parsed."""
    nodes_max: int = 400_000
    """Most elements, attributes and namespace declarations of one message, in all; refused before
    it is parsed."""
    attributes_of_element_max: int = 256
    """Most attributes of one element."""
    namespaces_in_scope_max: int = 256
    """Most namespace declarations in scope at one element, its own and those above it."""
    attachments_max: int = 16
    """Most attachments beside one envelope."""
    attachment_bytes_max: int = 100 * 1024 * 1024
    """Largest attachment, in bytes."""
    attachments_bytes_max: int = 200 * 1024 * 1024
    """Largest sum of the attachments beside one envelope, in bytes."""
    attachment_bytes_per_second_min: int = 128 * 1024
    """A sender of attachments gets a second more for each of so many bytes that arrived."""
    spool_bytes_max: int = 2**31 - 1
    """Bytes of attachments in work at one time; the next message is refused for a while."""
    header_blocks_max: int = 32
    """Most SOAP header blocks in one envelope."""
    signature_references_max: int = 32
    """Most references in one signature."""
    message_age_seconds_max: int = 300
    """Oldest wsu:Created that is taken."""
    clock_skew_seconds_max: int = 60
    """How far a sender's clock may be ahead of ours."""
    exchanges_at_once_max: int = 1024
    """Requests in work at one time; the next one gets 503 with Retry-After."""
    exchanges_at_once_per_agency_max: int = 256
    """Queries for one agency in work or waiting; the next one gets route.agency-busy."""
    exchanges_at_once_per_member_max: int = 512
    """Requests of one proved member in work; the next one gets sender.too-many-at-once."""
    bodies_bytes_max: int = 128 * 1024 * 1024
    """Bytes of requests that come in or are in work; above it 503. A quarter is for small ones."""
    body_bytes_per_second_min: int = 64 * 1024
    """A body that takes longer than ten seconds must come as fast, or is cut off."""
    adapter_calls_at_once_max: int = 32
    """Calls to one agency at one time; the next ones wait within their timeout."""
    request_read_seconds_max: int = 30
    """How long a sender may take to hand over its request body."""
    recipients_max: int = 1000
    """Most recipients of one message."""
    pending_deliveries_max: int = 5_000_000
    """Open deliveries; above it the next submission gets hub.full."""
    pending_per_recipient_max: int = 2_000_000
    """Open deliveries of one recipient; above it the next submission to it gets hub.full."""
    receipts_per_sender_max: int = 100_000
    """Receipts of deliveries that ended, which their sender has not acknowledged; then the oldest
    go. They stay in the log."""
    receipts_days_max: int = 90
    """So long they lie ready at most."""
    orders_out_per_recipient_max: int = 256
    """Attempts on their way to one recipient at one time; what is more waits in the store."""
    order_wait_seconds: int = 60
    """How long an attempt may wait for whoever makes it; after that it is not made."""
    disk_free_bytes_min: int = 256 * 1024 * 1024
    """Below so much free room on the log's disk no new message is taken; outcomes still are."""
    log_queue_entries_max: int = 4096
    """Entries that may wait for the log's writer; above it the log counts as unavailable."""
    log_batch_entries_max: int = 256
    """Entries that share one synced commit."""
