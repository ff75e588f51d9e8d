"""A nation whose look-up takes and gives attachments, and senders of signed multipart requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.core.attachments import parsing_with_attachments
from bus.core.envelope import SoapVersion
from bus.core.limits import Limits
from bus.http.multipart import MultipartIntake, WholeMessage
from bus.http.spool import Spool
from bus.judging.rules import read_rules
from bus.kit.contract import attachment_of_bytes
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.mime.write import RelatedMessage, write_related
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault, verify_answer
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.trust.key_store import read_symmetric_key
from signing.attachments import Attachment
from tests.hub.running_hub import HttpReply, RunningHub, stored_elsewhere
from tests.nation import CLIENT, LOOKUP, NOW, SAMPLE, SmallNation, payload

RULE = """
    attachments: {max: 3, types: [application/pdf, text/plain, text/xml]}
    answer_attachments: {max: 2}"""


def nation_with_attachments(nation: SmallNation, folder: Path, rule: str = RULE) -> SmallNation:
    """The small nation, but its look-up takes and gives attachments."""
    routes = folder / "routes.yaml"
    routes.write_text(allow_attachments(nation.settings.routes.read_text(), rule))
    settings = replace(nation.settings, routes=routes, spool=folder / "spool")
    return replace(nation, settings=settings, rules=read_rules(settings).rules)


def allow_attachments(routes: str, rule: str = RULE) -> str:
    """The text of routes.yaml with a rule for the look-up."""
    before, start, after = routes.partition(f"- id: {LOOKUP}\n")
    return before + start + re.sub(r"(timeout_seconds: \d+)", rf"\1{rule}", after, count=1)


def pdf(content: bytes = b"%PDF-1.7 \x00\xff", content_id: str = "a@x") -> Attachment:
    return attachment_of_bytes(content, content_id=content_id, media_type="application/pdf")


def signed(
    nation: SmallNation,
    attachments: Sequence[Attachment],
    message_id: str = "m-1",
    *,
    body: bytes = SAMPLE,
    soap_version: SoapVersion = SoapVersion.SOAP_1_1,
) -> bytes:
    """The SOAP part of a request whose signature covers the attachments."""
    return write_request(
        RequestHeader(CLIENT, LOOKUP, message_id),
        payload(body),
        nation.signers[CLIENT],
        SigningTime(NOW),
        soap_version=soap_version,
        attachments=[signed_part(one) for one in attachments],
    )


async def post(
    running: RunningHub, message: RelatedMessage, *, content_type: str = ""
) -> HttpReply:
    return await running.post(
        b"".join(message), content_type=(content_type or message.content_type).encode()
    )


async def send(
    running: RunningHub, soap: bytes, attachments: Sequence[Attachment]
) -> VerifiedAnswer | VerifiedFault:
    """Send, and verify what comes back as a sender does."""
    reply = await post(running, write_related(soap, attachments))
    return proved(running, reply, soap, attachments)


def proved(
    running: RunningHub, reply: HttpReply, soap: bytes, attachments: Sequence[Attachment]
) -> VerifiedAnswer | VerifiedFault:
    whole = taken_apart(reply)
    envelope = parsing_with_attachments(parse, tuple(attachments))(soap, Limits())
    return verify_answer(
        whole.soap if whole else reply.body,
        envelope,
        running.known(),
        running.clock.now,
        whole.attachments if whole else (),
    )


def taken_apart(reply: HttpReply) -> WholeMessage | None:
    """The parts of a multipart reply; None: it is none."""
    content_type = parse_content_type(reply.headers[b"content-type"].decode())
    if content_type.media_type != "multipart/related":
        return None
    intake = MultipartIntake(content_type, Limits(), Spool(None, bytes_max=2**40))
    intake.feed(reply.body)
    whole = intake.end()
    intake.close()
    return whole


def content(attachment: Attachment) -> bytes:
    return b"".join(attachment.chunks())


def audit(nation: SmallNation, folder: Path) -> list[str]:
    """What the auditor finds in a log, with the read key."""
    keys = AuditKeys(read_key=read_symmetric_key(nation.settings.log.read_key))
    report = audit_log(folder, keys, database=stored_elsewhere(nation)).report
    return [str(finding) for finding in report.findings]
