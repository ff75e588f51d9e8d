"""Play those that fetch: each takes its document from its mailbox, and the sender its receipts."""

from __future__ import annotations

from bus.client.hub_client import FaultReceived
from bus.client.mailbox_client import MailboxClient
from bus.core.exchange_leaves import DELIVERED
from bus.core.identifiers import SubsystemId
from bus.core.log.receipts import ReceiptInvalid
from bus.core.log.submission_receipts import ClosingReceipt, parse_any_receipt
from bus.protocols.mailbox import ListedReceipt
from bus.sandbox.demo_cast import DocumentPlayed
from bus.sandbox.demo_stage import DemoFailed, Stage
from signing.signed_note import NoteInvalid, VerifyingKey, verify_note


def fetch_documents(stage: Stage, played: DocumentPlayed) -> None:
    """Each of them fetches, proves what it got, and acknowledges it.

    Raises DemoFailed, AnswerRejected, HubUnreachable.
    """
    for subsystem in played.by_mailbox:
        client = _client(stage, subsystem)
        try:
            found = client.fetch()
            if not found:
                raise DemoFailed(f"{subsystem} found nothing in its mailbox")
            held = found[0]
            if held.proved.envelope.client != played.sender:
                raise DemoFailed(f"{subsystem} fetched what {held.proved.envelope.client} sent")
            if client.fetch():
                raise DemoFailed(f"{subsystem} fetched the same message twice")
            verdict = client.acknowledge(held.key, held.lease).verdict
        except FaultReceived as error:
            raise DemoFailed(f"{subsystem} could not fetch: {error}") from error
        finally:
            client.close()
        if verdict != DELIVERED:
            raise DemoFailed(f"{subsystem} accepted, and the hub says {verdict}")


def read_receipts(stage: Stage, played: DocumentPlayed, received: int) -> int:
    """The sender reads how each delivery ended, proves it, and lets the hub forget that it is owed;
    how many deliveries it was. Raises DemoFailed, AnswerRejected, HubUnreachable."""
    client = _client(stage, played.sender)
    try:
        found, has_more = client.receipts()
        while has_more:
            more, has_more = client.receipts(after=found[-1].entry)
            found += more
        ended = [one for one in found if one.key.received_index == received]
        for one in ended:
            _check(one, client.receipt_key)
        if ended:
            client.have_receipts([one.entry for one in ended])
    except FaultReceived as error:
        raise DemoFailed(f"the sender could not read its receipts: {error}") from error
    finally:
        client.close()
    recipients = {one.recipient for one in ended if one.verdict == DELIVERED}
    expected = {str(one) for one in (*played.brought, *played.by_mailbox)}
    if recipients != expected:
        raise DemoFailed(f"the sender has receipts of {len(recipients)} of {len(expected)}")
    return len(ended)


def _check(one: ListedReceipt, key: VerifyingKey) -> None:
    """Raises DemoFailed: the receipt is not the hub's, or says something else."""
    try:
        receipt = parse_any_receipt(verify_note(one.receipt, [key]).text.decode())
    except (NoteInvalid, ReceiptInvalid) as error:
        raise DemoFailed(f"the receipt of {one.recipient} does not hold: {error}") from error
    said = (one.entry, one.recipient, one.verdict)
    is_same = isinstance(receipt, ClosingReceipt) and said == (
        receipt.outcome_index,
        receipt.recipient,
        receipt.verdict,
    )
    if not is_same:
        raise DemoFailed(f"the receipt of {one.recipient} says something else")


def _client(stage: Stage, subsystem: SubsystemId) -> MailboxClient:
    return MailboxClient(stage.described.client(str(subsystem)), stage.registry.hub)
