"""Hand documents of a dossier in to the business registry, and give its receipt back."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lxml import etree

from bus.kit.clock import Deadline
from bus.kit.contract import (
    Answer,
    Attachment,
    PayloadRejected,
    Query,
    RecipientUnavailable,
    attachment_named,
    attachment_of_bytes,
)
from bus.kit.rest_agency import RestAgency, refuse

SERVICE = "nopTaiLieu"
RECEIPT_ID = "bien-nhan@dkdn.gov.vn"
RECEIPT_TYPE = "text/plain; charset=utf-8"
_NAMESPACE = "urn:lienthong:dang-ky-doanh-nghiep:1.0"
_INLINE_TYPE = "application/octet-stream"
_RESOURCE = "taiLieuHoSo"


@dataclass(frozen=True, slots=True)
class _Document:
    """A document with its name, wherever its content stands."""

    name: str
    content: Attachment


def submit_documents(query: Query, agency: RestAgency) -> Answer:
    """Hand in each document, one after the other; the agency counts the same one once.

    Raises PayloadRejected, RecipientRefused, RecipientUnavailable, RecipientTimeout.
    """
    deadline = Deadline.after(query.timeout_seconds)
    element = query.element()
    journal_number = element.findtext(f"{{{_NAMESPACE}}}in_journal_no", "")
    taken = []
    for number, document in enumerate(_documents(element, query.attachments)):
        given = agency.post(
            _RESOURCE,
            {"in_journal_no": journal_number, "ten": document.name},
            document.content,
            # A copy of the same request hands the same documents in under the same names.
            headers={"X-Request-ID": f"{query.idempotency_key}-{number}"},
            deadline=deadline,
        )
        taken.append(_taken(given))
    return _answer(taken)


def _documents(element: etree._Element, attachments: tuple[Attachment, ...]) -> Iterator[_Document]:
    for document in element.iterchildren(f"{{{_NAMESPACE}}}TaiLieu"):
        name = document.findtext(f"{{{_NAMESPACE}}}Ten", "")
        holder = document[1]
        content = attachment_named(holder, attachments)
        yield _Document(name, content or _inline(holder))


def _inline(holder: etree._Element) -> Attachment:
    """Content that stands in the Body as base64."""
    try:
        content = binascii.a2b_base64(holder.text or "")
    except binascii.Error:  # the schema lets base64 in only
        raise PayloadRejected(public_detail="NoiDung: no base64") from None
    return attachment_of_bytes(content, content_id="inline", media_type=_INLINE_TYPE)


def _taken(given: Mapping[str, object]) -> Mapping[str, str]:
    if given.get("Status") != 1:
        raise refuse(str(given.get("Message") or ""))
    facts = given.get("TaiLieu")
    if not isinstance(facts, dict):
        raise RecipientUnavailable("the answer tells of no document")
    return {name: str(value) for name, value in facts.items()}


def _answer(taken: list[Mapping[str, str]]) -> Answer:
    root = etree.Element(f"{{{_NAMESPACE}}}{SERVICE}Response", nsmap={"dk": _NAMESPACE})
    etree.SubElement(root, f"{{{_NAMESPACE}}}SoTiepNhan").text = taken[-1].get("SoTiepNhan", "")
    for facts in taken:
        document = etree.SubElement(root, f"{{{_NAMESPACE}}}TaiLieuDaNhan")
        for name in ("Ten", "SoByte", "SHA256"):
            etree.SubElement(document, f"{{{_NAMESPACE}}}{name}").text = facts.get(name, "")
    etree.SubElement(root, f"{{{_NAMESPACE}}}BienNhan").text = f"cid:{RECEIPT_ID}"
    receipt = taken[-1].get("BienNhan", "").encode()
    return Answer(
        root, (attachment_of_bytes(receipt, content_id=RECEIPT_ID, media_type=RECEIPT_TYPE),)
    )
