"""The command `lienthong call`: ask a service, and show only what is proved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from lxml import etree

from bus.cli.attachments import AttachedFile, NamedFile, name_as_sent, save_attachments
from bus.cli.exit_codes import COULD_NOT, EXIT_CODES, FOUND, fail, reporting_errors
from bus.cli.options import folder_option
from bus.cli.plain_call import ask_plainly
from bus.cli.receipt_values import receipt_values
from bus.cli.shown import one_line, tell, tell_bytes
from bus.client.hub_client import (
    AnswerRejected,
    FaultReceived,
    HubClient,
    HubUnreachable,
    Labels,
    RequestUnfit,
    VerifiedAcceptance,
    VerifiedAnswer,
)
from bus.core.envelope import SoapVersion
from bus.core.errors import BusError
from bus.core.faults import Fault
from bus.core.identifiers import ServiceId
from bus.core.log.receipts import Receipt
from bus.core.log.submission_receipts import AcceptanceReceipt
from bus.core.xml import parse_xml
from bus.kit.contract import Attachment
from bus.sandbox.description import NameUnknown, read_description

BODY_BYTES_MAX = 64 * 1024 * 1024
_SOAP_VERSIONS = {"1.1": SoapVersion.SOAP_1_1, "1.2": SoapVersion.SOAP_1_2}


@click.command(epilog=f"{EXIT_CODES} A fault is 1; an answer that is not proved is 2.")
@click.argument("service")
@click.option("--as", "subsystem", required=True, help="The subsystem that asks: H41/motcua.")
@click.option(
    "--body",
    type=click.File("rb"),
    required=True,
    help="The file of the request element; - is standard input.",
)
@folder_option
@click.option("--envelope", is_flag=True, help="Print the whole answer, byte by byte as it came.")
@click.option("--user-id", default="", help="The officer in whose name is asked.")
@click.option("--issue", default="", help="The case that the question belongs to.")
@click.option("--message-id", default="", help="Without it, a new one.")
@click.option(
    "--attach",
    "files",
    type=AttachedFile(),
    multiple=True,
    help="Send a file beside the body, which names it as cid:<file name>, with blanks and "
    "letters as they are or percent-encoded.",
)
@click.option(
    "--save-attachments",
    "save_to",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for what came beside the answer.",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    help="Who is to get it, of a service that lets its senders say so; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print answer and proofs for programs.")
@click.option("--plain", is_flag=True, help="Sign nothing: ask through its access point.")
@click.option(
    "--soap",
    type=click.Choice(list(_SOAP_VERSIONS)),
    default="1.1",
    show_default=True,
    help="The SOAP version of request and answer.",
)
def call(
    service: str,
    subsystem: str,
    body: Any,
    folder: Path,
    user_id: str,
    issue: str,
    message_id: str,
    files: tuple[NamedFile, ...],
    save_to: Path | None,
    recipients: tuple[str, ...],
    soap: str,
    *,
    envelope: bool,
    as_json: bool,
    plain: bool,
) -> None:
    """Ask SERVICE and print its answer.

    SERVICE and subsystem are full ids or ends of one: TraCuuThongTinCongDan, H41/motcua. The
    answer is shown only if its signature, its headers, the request's hash and the receipt hold.
    What is submitted is answered by the hub's acceptance, and delivered afterwards.
    """
    if plain and _SOAP_VERSIONS[soap] is not SoapVersion.SOAP_1_1:
        fail("--plain asks in SOAP 1.1.")
    with reporting_errors():
        described = read_description(folder.absolute())
        try:
            service_id = described.service_id(service)
            asking = described.subsystem_id(subsystem)
            to = tuple(described.subsystem_id(one) for one in recipients)
            access_point = described.access_point(asking) if plain else ""
            client = described.client(str(asking))
            payload = parse_xml(body.read(), bytes_max=BODY_BYTES_MAX)
        except NameUnknown as error:
            fail(str(error))
        except BusError as error:
            fail(f"The body cannot be sent: {error.public_reason} {error.public_detail}")
    labels = Labels(message_id, user_id, issue, _SOAP_VERSIONS[soap], to)
    _require_body_of(service_id, payload)
    attachments = tuple(one.attachment for one in files)
    _require_names_apart(attachments)
    for sentence in name_as_sent(payload, files):
        tell(one_line(sentence), err=True)
    try:
        # Also for a plain call: what cannot be signed is not taken by an access point either.
        request = client.sign(service_id, payload, labels, attachments)
    except RequestUnfit as error:
        fail(f"The request cannot be sent: {error}")
    if plain:
        client.close()
        answer = ask_plainly(access_point, asking, service_id, payload, labels, attachments)
        tell(pretty(answer.element))
        _save(answer.attachments, save_to)
        return
    answered = _exchange(client, request, attachments, is_envelope=envelope, is_json=as_json)
    if isinstance(answered, int):
        sys.exit(answered)
    if isinstance(answered, VerifiedAnswer):
        _save(answered.attachments, save_to)


def _require_body_of(service: ServiceId, payload: etree._Element) -> None:
    """The Body of a request is named as its service. MESS §2.3."""
    found = etree.QName(payload).localname
    if found != service.service_code:
        fail(f"The body is an element {found}; {service} takes {service.service_code}.")


def _require_names_apart(attachments: tuple[Attachment, ...]) -> None:
    names = [one.content_id for one in attachments]
    for one in names:
        if names.count(one) > 1:
            fail(f"Two attachments would be called cid:{one}: rename one of the files.")


def _save(attachments: tuple[Attachment, ...], folder: Path | None) -> None:
    if folder is not None:
        try:
            save_attachments(attachments, folder)
        except OSError as error:
            fail(f"The attachments cannot be saved: {error}")
    elif attachments:
        count = len(attachments)
        tell(f"Attachments beside the answer: {count}; see --save-attachments.", err=True)


def _exchange(
    client: HubClient,
    request: bytes,
    attachments: tuple[Attachment, ...],
    *,
    is_envelope: bool,
    is_json: bool,
) -> VerifiedAnswer | VerifiedAcceptance | int:
    """Print what came back; give it if it is no fault, else the exit code."""
    try:
        answer = client.exchange_any(request, attachments)
    except RequestUnfit as error:
        fail(f"The request cannot be sent: {error}")
    except FaultReceived as error:
        if is_json:
            _print_json({"fault": _fault_values(error.fault, error.verified.receipt)})
        elif is_envelope:
            tell_bytes(error.verified.raw)
        _print_fault(error.fault)
        return FOUND
    except AnswerRejected as error:
        tell(f"The answer is not proved and is not shown: {error.reason}", err=True)
        return COULD_NOT
    except HubUnreachable as error:
        tell(f"The hub cannot be reached: {error}", err=True)
        return COULD_NOT
    finally:
        client.close()
    if is_json:
        _print_json(_answer_values(answer))
    elif is_envelope:
        tell_bytes(answer.raw)
    else:
        tell(pretty(answer.payload))
        tell(_receipt_sentence(answer), err=True)
    return answer


def _receipt_sentence(answer: VerifiedAnswer | VerifiedAcceptance) -> str:
    receipt = answer.receipt
    if isinstance(receipt, AcceptanceReceipt):
        return (
            f"Accepted as entry {receipt.received_index} of {receipt.origin}; to be delivered to "
            f"{receipt.recipients_count}."
        )
    assert isinstance(answer, VerifiedAnswer)
    return (
        f"Signed by {answer.signer}; received as entry {receipt.received_index}, "
        f"answered as entry {receipt.outcome_index} of {receipt.origin}."
    )


def pretty(element: etree._Element) -> str:
    """An element for people: indented, in letters."""
    alone = parse_xml(etree.tostring(element), bytes_max=BODY_BYTES_MAX)
    etree.cleanup_namespaces(alone)
    etree.indent(alone)
    return etree.tostring(alone, encoding="unicode")


def _print_fault(fault: Fault) -> None:
    tell(one_line(f"{fault.code}: {fault.reason}"), err=True)
    again = " The same request may be sent again later." if fault.is_retryable else ""
    tell(one_line(f"Fault {fault.fault_id} ({fault.xroad_code}).{again}"), err=True)


def _answer_values(answer: VerifiedAnswer | VerifiedAcceptance) -> dict[str, Any]:
    if isinstance(answer, VerifiedAcceptance):
        return {
            "payload": etree.tostring(answer.payload, encoding="unicode"),
            "receipt": receipt_values(answer.receipt),
        }
    return {
        "payload": etree.tostring(answer.payload, encoding="unicode"),
        "signer": str(answer.signer),
        "receipt": receipt_values(answer.receipt),
        "attachments": [
            {"id": one.content_id, "type": one.media_type, "bytes": one.bytes_count}
            for one in answer.attachments
        ],
    }


def _fault_values(fault: Fault, receipt: Receipt | None) -> dict[str, Any]:
    return {
        "code": fault.code,
        "xroad_code": fault.xroad_code,
        "reason": fault.reason,
        "fault_id": fault.fault_id,
        "message_id": fault.message_id,
        "retryable": fault.is_retryable,
        "receipt": None if receipt is None else receipt_values(receipt),
    }


def _print_json(values: dict[str, Any]) -> None:
    tell(json.dumps(values, ensure_ascii=False, indent=2))
