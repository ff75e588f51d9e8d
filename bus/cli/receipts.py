"""The command `lienthong receipts`: show the receipts that an access point kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from bus.access_point.settings import read_access_point_settings
from bus.access_point.store import ExchangeStore, KeptReceipt
from bus.cli.exit_codes import DONE, EXIT_CODES, FOUND, fail, reporting_errors
from bus.cli.receipt_values import receipt_values
from bus.cli.shown import one_line, tell
from bus.client.hub_client import read_known_hub
from bus.core.errors import EvidenceUnavailable
from bus.core.log.receipts import ReceiptInvalid
from bus.core.log.submission_receipts import parse_any_receipt
from signing.signed_note import NoteInvalid, VerifyingKey, verify_note


@click.command(epilog=f"{EXIT_CODES} No receipt, or one that does not hold, is 1.")
@click.option(
    "--access-point",
    "settings_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings of the access point.",
)
@click.option("--message-id", default="", help="Of one message; without it, every receipt.")
@click.option("--json", "as_json", is_flag=True, help="What they say, for programs.")
def receipts(settings_path: Path, message_id: str, *, as_json: bool) -> None:
    """Print the hub's receipts as the signed notes that they are, each proved anew.

    Whoever has a receipt can prove that the hub took a message, and find out whether its log
    still holds it: `lienthong log show` with the number behind `received`.
    """
    with reporting_errors():
        settings = read_access_point_settings(settings_path)
        keys = read_known_hub(settings.hub_files, settings.hub.member).receipt_keys
        store = ExchangeStore.open_to_read(settings.evidence)
    try:
        kept = store.receipts(message_id)
    except EvidenceUnavailable as error:
        fail(f"The receipts cannot be read: {error.detail}")
    finally:
        store.close()
    is_sound = [_show(one, keys, as_json=as_json) for one in kept]
    if not kept:
        fail("There is no such receipt.", code=FOUND)
    sys.exit(DONE if all(is_sound) else FOUND)


def _show(kept: KeptReceipt, keys: list[VerifyingKey], *, as_json: bool) -> bool:
    try:
        receipt = parse_any_receipt(verify_note(kept.note, keys).text.decode())
    except (NoteInvalid, ReceiptInvalid) as error:
        tell(one_line(f"{kept.message_id}: the receipt does not hold: {error}"), err=True)
        return False
    if not as_json:
        tell(kept.note.decode())
        return True
    names = {"client": kept.client, "message_id": kept.message_id}
    values = {**names, **receipt_values(receipt)}
    tell(json.dumps(values, ensure_ascii=False))
    return True
