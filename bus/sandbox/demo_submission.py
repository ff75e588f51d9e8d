"""Play what is stored and forwarded: one document to many recipients, one of whom is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bus.audit.checks.conservation import DeliveryAccounts, DeliveryClass, equation
from bus.audit.folder import open_log_reader
from bus.client.hub_client import FaultReceived, HubClient, Labels, VerifiedAcceptance
from bus.core.errors import BusError
from bus.core.exchange_leaves import DELIVERED
from bus.core.identifiers import SubsystemId
from bus.core.log.leaf import Event, Leaf, read_leaf
from bus.http.client import AgencyHttp, AgencyRequest
from bus.kit.simulator import CLOSED_PATH
from bus.runtime.deadline import Deadline
from bus.sandbox.demo_cast import DocumentPlayed
from bus.sandbox.demo_mailbox import fetch_documents, read_receipts
from bus.sandbox.demo_pages import SubmissionPage
from bus.sandbox.demo_stage import DemoFailed, Stage, check_facts, stopwatch

DELIVERY_SECONDS_MAX = 120.0
"""How long deliveries may take on a machine with much else to do."""
_SIMULATOR_SECONDS = 10.0
_POLL_SECONDS = 0.1

_Told = Mapping[str, list[Leaf]]
"""What the log says of the deliveries of one submission: entries by recipient, in order."""


def play_submission(stage: Stage) -> None:
    """The act of the document; none where no manifest shows one.

    Raises DemoFailed, AnswerRejected, HubUnreachable, LogUnavailable, LogCorrupt.
    """
    played = stage.cast.document
    if played is None:
        return
    names = stage.registry.members
    sender, away = names[played.sender.member].name, names[played.away.member].name
    count = len(played.brought) + len(played.by_mailbox)
    stage.pages.chapter(
        "Stored, and forwarded",
        f"{sender} issues a document to {count} recipients: it is signed and handed in once. The "
        f"system of {away} is closed for a while.",
    )
    with _away(stage, played) as come_back:
        receipt = _accepted(stage, played).receipt
        if receipt.recipients_count != count:
            raise DemoFailed(f"accepted for {receipt.recipients_count} recipients, not {count}")
        others = [one for one in played.brought if one != played.away]
        first = _await(stage, receipt.received_index, lambda told: _is_first_round(told, played))
        _check_delivered(first, others)
        _show_first_round(stage, played, others, first)
        come_back()
    last = _await(stage, receipt.received_index, lambda told: _is_closed(told, played.away))
    _check_delivered(last, played.brought)
    attempt = last[str(played.away)][-1].attempt
    stage.pages.remark(
        f"The system of {away} opens again. Nobody sends anything: attempt {attempt} of the hub "
        f"brings it there. {len(played.brought)} have it, as reports in the log say that are "
        f"signed in their names."
    )
    fetch_documents(stage, played)
    ended = read_receipts(stage, played, receipt.received_index)
    stage.pages.remark(
        f"{len(played.by_mailbox)} fetch it from their mailboxes: each holds it under a lease, "
        f"proves the sender's signature, and acknowledges it under its own. {sender} reads "
        f"{ended} receipts, one of each recipient, signed by the hub."
    )


def check_accounts(
    played: DocumentPlayed | None, accounts: DeliveryAccounts, *, reports: int
) -> Iterator[str]:
    """What the audit counted of deliveries, and how many words of recipients it proved, in lines;
    none where none was played.

    Raises DemoFailed: it is not what was seen.
    """
    if played is None:
        return
    totals = accounts.totals
    count = len(played.brought) + len(played.by_mailbox)
    if +totals != {DeliveryClass.DELIVERED: count}:
        raise DemoFailed(f"the audit does not account for every delivery: {equation(totals)}")
    if reports < count:
        raise DemoFailed(f"the audit proved {reports} words of {count} recipients")
    yield f"deliveries: {equation(totals)}"
    yield f"{reports} words of recipients: each signed by its agency, each about its delivery"


# --- acceptance -----------------------------------------------------------------------------------


def _accepted(stage: Stage, played: DocumentPlayed) -> VerifiedAcceptance:
    sample = stage.sample(played.service)
    check_facts(stage.told, played.service, played.shown, sample)
    member = stage.registry.members[played.sender.member]
    message_id = f"VB-{member.organ_code or member.id.member_code}-2026-000001"
    client = stage.described.client(str(played.sender))
    try:
        request = client.sign(played.service, sample, Labels(message_id))
        with stopwatch() as seconds:
            accepted = _submitted(client, request)
        again = _submitted(client, request)
    finally:
        client.close()
    if again.receipt != accepted.receipt:
        raise DemoFailed("a copy of a submission was accepted as another one")
    receipt = accepted.receipt
    owed = f"on disk as entry {receipt.received_index}, owed to {receipt.recipients_count}"
    page = SubmissionPage(
        client=played.sender,
        service=played.service,
        message_id=message_id,
        seconds=seconds(),
        recipients_count=receipt.recipients_count,
        proofs=(
            f"the acceptance is signed by {stage.registry.hub.member}, the hub",
            f"its receipt: {owed} recipients",
            "the same bytes sent again get the same receipt: it is delivered once",
        ),
        facts={fact.label: fact.text(sample) for fact in played.shown},
    )
    stage.pages.submission(page)
    return accepted


def _submitted(client: HubClient, request: bytes) -> VerifiedAcceptance:
    try:
        told = client.exchange_any(request)
    except FaultReceived as error:
        raise DemoFailed(f"what was submitted was refused: {error}") from error
    if not isinstance(told, VerifiedAcceptance):
        raise DemoFailed("what was submitted was answered at once")
    return told


# --- deliveries -----------------------------------------------------------------------------------


def _is_first_round(told: _Told, played: DocumentPlayed) -> bool:
    """Whether all that are there have it, and one attempt at whoever is away has failed."""
    others = (one for one in played.brought if one != played.away)
    return str(played.away) in told and all(_is_closed(told, one) for one in others)


def _is_closed(told: _Told, recipient: SubsystemId) -> bool:
    return any(leaf.event == Event.OUTCOME for leaf in told.get(str(recipient), ()))


def _check_delivered(told: _Told, recipients: Iterable[SubsystemId]) -> None:
    for recipient in recipients:
        verdict = told[str(recipient)][-1].verdict
        if verdict != DELIVERED:
            raise DemoFailed(f"to {recipient} it was not delivered: {verdict}")


def _show_first_round(
    stage: Stage, played: DocumentPlayed, others: list[SubsystemId], told: _Told
) -> None:
    failed = told[str(played.away)][0]
    if failed.event != Event.ATTEMPT:
        raise DemoFailed(f"{played.away} was away, and the log says {failed.verdict}")
    groups = {
        "have it": others,
        "away, tried again": [played.away],
        "wait in mailboxes": list(played.by_mailbox),
    }
    stage.pages.deliveries(f"What became of it  ·  {failed.verdict} at one", groups)


def _await(stage: Stage, received: int, is_told: Callable[[_Told], bool]) -> _Told:
    """Read the log until it tells what is waited for. Raises DemoFailed: it does not in time."""
    deadline = time.monotonic() + DELIVERY_SECONDS_MAX
    while not is_told(told := _deliveries(stage, received)):
        if time.monotonic() > deadline:
            raise DemoFailed(f"entry {received} is not delivered in {DELIVERY_SECONDS_MAX:.0f} s")
        time.sleep(_POLL_SECONDS)
    return told


def _deliveries(stage: Stage, received: int) -> _Told:
    found: dict[str, list[Leaf]] = {}
    with open_log_reader(Path(stage.described.log)) as reader:
        for entry in reader.entries(received + 1):
            leaf = read_leaf(entry.leaf)
            if leaf.continues == received and leaf.recipient is not None:
                found.setdefault(leaf.recipient, []).append(leaf)
    return found


# --- whoever is away ------------------------------------------------------------------------------


@contextmanager
def _away(stage: Stage, played: DocumentPlayed) -> Iterator[Callable[[], None]]:
    """One recipient is away until what it gives is called."""
    agency = next(one for one in stage.described.agencies if one.id == played.adapter)
    http = AgencyHttp()

    def set_closed(*, is_closed: bool) -> None:
        wanted = {"office": played.away.member.member_code, "closed": is_closed}
        url, body = f"{agency.url}{CLOSED_PATH}", json.dumps(wanted).encode()
        request = AgencyRequest("POST", url, body=body)
        try:
            reply = http.send(request, Deadline.after(_SIMULATOR_SECONDS))
        except BusError as error:
            raise DemoFailed(f"the simulator of {agency.id} says nothing: {error}") from error
        if reply.status != 200:
            raise DemoFailed(f"the simulator of {agency.id} closes no recipient ({reply.status})")

    try:
        set_closed(is_closed=True)
        yield lambda: set_closed(is_closed=False)
    finally:
        http.close()
