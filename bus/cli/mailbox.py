"""The commands `lienthong mailbox`: fetch what lies at the hub, and hear of receipts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from bus.cli.attachments import save_attachments
from bus.cli.exit_codes import COULD_NOT, EXIT_CODES, FOUND, fail, reporting_errors
from bus.cli.operators import json_option, show_values
from bus.cli.options import folder_option
from bus.client.hub_client import AnswerRejected, FaultReceived, HubUnreachable
from bus.client.mailbox_client import HeldMessage, MailboxClient
from bus.core.deliveries import DeliveryKey
from bus.core.identifiers import SubsystemId
from bus.core.mailbox_services import FETCHED_MAX
from bus.protocols.mailbox import (
    LEASE_SECONDS,
    LEASE_SECONDS_MAX,
    LEASE_SECONDS_MIN,
    LISTED_MAX,
    ListedMessage,
    ListedReceipt,
    delivery_name,
    read_delivery_name,
)
from bus.sandbox.description import NameUnknown, read_description

_EPILOG = f"{EXIT_CODES} A fault is 1; an answer that is not proved is 2."
_Command = Callable[..., Any]


def _as_option(command: _Command) -> _Command:
    return click.option(
        "--as", "subsystem", required=True, help="Whose mailbox it is: H18/vanban."
    )(command)


class _DeliveryName(click.ParamType[DeliveryKey]):
    name = "delivery"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> DeliveryKey:
        key = read_delivery_name(value)
        if key is None:
            self.fail(f"expected a delivery as it is listed, such as 17-0, not {value!r}")
        return key


@click.group()
def mailbox() -> None:
    """What lies at the hub for an agency: messages to fetch, receipts of what it submitted."""


@mailbox.command("list", epilog=_EPILOG)
@_as_option
@click.option("--after", type=_DeliveryName(), help="Go on behind this delivery.")
@click.option("--count", type=click.IntRange(1, LISTED_MAX), default=LISTED_MAX, show_default=True)
@folder_option
@json_option
def list_messages(
    subsystem: str, after: DeliveryKey | None, count: int, folder: Path, *, as_json: bool
) -> None:
    """List what lies there, the oldest first."""
    with _asking(subsystem, folder) as client:
        listed, has_more = client.page(after, count)
    values = {"messages": [_message_values(one) for one in listed], "more": has_more}
    show_values(values, lambda: _lines(map(_message_line, listed), has_more), as_json=as_json)


@mailbox.command(epilog=_EPILOG)
@_as_option
@click.option(
    "--save",
    "save_to",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="The folder for what is fetched: envelope, receipt and facts of each message.",
)
@click.option("--count", type=click.IntRange(1, FETCHED_MAX), default=1, show_default=True)
@click.option(
    "--lease-seconds",
    type=click.IntRange(LEASE_SECONDS_MIN, LEASE_SECONDS_MAX),
    default=LEASE_SECONDS,
    show_default=True,
    help="So long nobody else gets them.",
)
@click.option("--message-id", default="", help="That of an earlier fetch gets the same again.")
@folder_option
@json_option
def fetch(
    subsystem: str,
    save_to: Path,
    count: int,
    lease_seconds: int,
    message_id: str,
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Fetch messages, prove each by its sender's signature and the hub's receipt, and save it."""
    with _asking(subsystem, folder) as client:
        held = client.fetch(count, lease_seconds, message_id=message_id)
        # While the connection is there: attachments may lie in its spool.
        try:
            for one in held:
                _save(one, save_to)
        except OSError as error:
            fail(f"What was fetched cannot be saved, and is not acknowledged: {error}")
    values = {"messages": [_held_values(one) for one in held]}
    show_values(values, lambda: _held_lines(held), as_json=as_json)


@mailbox.command(epilog=_EPILOG)
@click.argument("delivery", type=_DeliveryName())
@_as_option
@click.option("--lease", required=True, help="As `fetch` told it.")
@click.option("--refuse", "code", default="", help="It was not acted upon: a word that says why.")
@click.option("--reason", default="", help="Of a refusal, in a sentence.")
@folder_option
@json_option
def acknowledge(
    delivery: DeliveryKey,
    subsystem: str,
    lease: str,
    code: str,
    reason: str,
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Say what became of a message that was fetched; its DELIVERY ends by that."""
    with _asking(subsystem, folder) as client:
        if code:
            ended = client.refuse(delivery, lease, code, reason)
        else:
            ended = client.acknowledge(delivery, lease)
    show_values(_ended_values(ended), lambda: [_ended_line(ended)], as_json=as_json)


@mailbox.command(epilog=_EPILOG)
@_as_option
@click.option("--after", type=click.IntRange(0), help="Go on behind this entry.")
@click.option("--count", type=click.IntRange(1, LISTED_MAX), default=LISTED_MAX, show_default=True)
@click.option("--save", "save_to", type=click.Path(file_okay=False, path_type=Path))
@click.option("--acknowledge", is_flag=True, help="Let those go that were saved.")
@folder_option
@json_option
def receipts(
    subsystem: str,
    after: int | None,
    count: int,
    save_to: Path | None,
    folder: Path,
    *,
    acknowledge: bool,
    as_json: bool,
) -> None:
    """List how deliveries of what was submitted ended; save receipt, and what was said, of each."""
    if acknowledge and save_to is None:
        fail("--acknowledge needs --save: what is let go is not told again.")
    with _asking(subsystem, folder) as client:
        listed, has_more = client.receipts(after, count)
        if save_to is not None:
            try:
                for one in listed:
                    _save_receipt(client, one, save_to)
            except OSError as error:
                fail(f"Receipts cannot be saved: {error}")
            if acknowledge and listed:
                client.have_receipts([one.entry for one in listed])
    values = {"receipts": [_ended_values(one) for one in listed], "more": has_more}
    show_values(values, lambda: _lines(map(_ended_line, listed), has_more), as_json=as_json)


@contextmanager
def _asking(subsystem: str, folder: Path) -> Iterator[MailboxClient]:
    """A client of the mailbox; ends the program with a sentence where the hub gives nothing."""
    with reporting_errors():
        described = read_description(folder.absolute())
        try:
            asking = described.subsystem_id(subsystem)
        except NameUnknown as error:
            fail(str(error))
        client = MailboxClient(described.client(str(asking)), SubsystemId.parse(described.hub))
    try:
        yield client
    except FaultReceived as error:
        fail(f"{error.fault.code}: {error.fault.reason}", code=FOUND)
    except AnswerRejected as error:
        fail(f"The answer is not proved and is not shown: {error.reason}", code=COULD_NOT)
    except HubUnreachable as error:
        fail(f"The hub cannot be reached: {error}", code=COULD_NOT)
    finally:
        client.close()


# --- files ----------------------------------------------------------------------------------------


def _save(one: HeldMessage, folder: Path) -> None:
    """Envelope, receipt, facts; attachments in a folder of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    name = delivery_name(one.key)
    (folder / f"{name}.xml").write_bytes(one.raw)
    (folder / f"{name}.receipt").write_bytes(one.fetched.receipt)
    facts = json.dumps(_held_values(one), ensure_ascii=False, indent=2)
    (folder / f"{name}.json").write_text(f"{facts}\n", "utf-8")
    if one.attachments:
        save_attachments(one.attachments, folder / f"{name}-attachments")


def _save_receipt(client: MailboxClient, one: ListedReceipt, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    whole = client.receipt(one.entry)
    files = {"receipt": one.receipt, "said": whole.said, "answer.xml": whole.answer}
    for ending, content in files.items():
        if content:
            (folder / f"{one.entry}.{ending}").write_bytes(content)
    facts = _ended_values(one) | {"message_id": whole.message_id}
    text = json.dumps(facts, ensure_ascii=False, indent=2)
    (folder / f"{one.entry}.json").write_text(f"{text}\n", "utf-8")


# --- words ----------------------------------------------------------------------------------------


def _message_values(one: ListedMessage) -> dict[str, Any]:
    return {
        "delivery": delivery_name(one.key),
        "idempotency_key": one.idempotency_key,
        "sender": one.client,
        "service": one.service,
        "received_at": one.received_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "envelope_bytes": one.envelope_bytes,
        "held": one.is_held,
        "fetched": one.fetched,
    }


def _held_values(one: HeldMessage) -> dict[str, Any]:
    return _message_values(one.fetched.listed) | {
        "lease": one.lease,
        "message_id": one.fetched.message_id,
        "may_be_known": one.fetched.may_be_known,
        "purpose": one.fetched.purpose,
        "legal_basis": one.fetched.legal_basis,
        "accepted_as": one.proved.receipt.received_index,
        "attachments": [
            {"id": came.content_id, "type": came.media_type, "bytes": came.bytes_count}
            for came in one.attachments
        ],
    }


def _ended_values(one: ListedReceipt) -> dict[str, Any]:
    return {
        "entry": one.entry,
        "delivery": delivery_name(one.key),
        "recipient": one.recipient,
        "service": one.service,
        "verdict": one.verdict,
        "closed_at": one.closed_at.isoformat(),
    }


def _lines(lines: Iterator[str], has_more: bool) -> Iterator[str]:  # noqa: FBT001 - of one caller
    yield from lines
    if has_more:
        yield "There may be more: go on with --after."


def _message_line(one: ListedMessage) -> str:
    held = "  held" if one.is_held else ""
    size = f"{one.envelope_bytes:,} bytes"
    when = f"{one.received_at:%Y-%m-%d %H:%M}"
    return f"{delivery_name(one.key)}  {when}  {one.client}  {one.service}  {size}{held}"


def _held_lines(held: list[HeldMessage]) -> Iterator[str]:
    for one in held:
        known = "  it may be known here already" if one.fetched.may_be_known else ""
        name, key = delivery_name(one.key), one.fetched.listed.idempotency_key
        yield f"{name}  {one.proved.envelope.client}  key {key}  lease {one.lease}{known}"
    if not held:
        yield "Nothing is there to be fetched."


def _ended_line(one: ListedReceipt) -> str:
    when = f"{one.closed_at:%Y-%m-%d %H:%M}"
    return f"{one.entry}  {delivery_name(one.key)}  {when}  {one.recipient}  {one.verdict}"
