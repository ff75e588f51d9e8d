"""Write a document as edXML: QCVN 102:2016/BTTTT, in the order in which its library writes.

Files stand in AttachmentEncoded, each as a ZIP of one entry in base64, as the axis wants them.
"""

from __future__ import annotations

import binascii
import io
import zipfile
from base64 import b64encode
from collections.abc import Iterator

from lxml import etree

from bus.kit.contract import Attachment, PayloadRejected, Submission, attachment_named

EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
_OURS = "urn:lienthong:van-ban:1.0"
_FILES_BYTES_MAX = 64 * 1024 * 1024
_ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
"""The same document is the same bytes in every attempt."""


def document_id(element: etree._Element) -> str:
    """What its issuer calls the document."""
    return _text(element, "DocumentId")


def write_edxml(submission: Submission) -> bytes:
    """The document on its way to one recipient. Raises PayloadRejected."""
    element = submission.element()
    root = etree.Element(_name("edXML"), nsmap={"edXML": EDXML})
    envelope = etree.SubElement(root, _name("edXMLEnvelope"))
    header = etree.SubElement(
        etree.SubElement(envelope, _name("edXMLHeader")), _name("MessageHeader")
    )
    sender = etree.SubElement(header, _name("From"))
    _add(sender, "OrganId", _text(element, "From/OrganId"))
    _add(sender, "OrganName", _text(element, "From/OrganName"))
    # QCVN 102:2016 reads from the right: the member code is the organ code of the highest level.
    to = etree.SubElement(header, _name("To"))
    _add(to, "OrganId", f"000.00.00.{submission.recipient.member.member_code}")
    _add(header, "DocumentId", document_id(element))
    code = etree.SubElement(header, _name("Code"))
    _add(code, "CodeNumber", _text(element, "Code/CodeNumber"))
    _add(code, "CodeNotation", _text(element, "Code/CodeNotation"))
    issued = etree.SubElement(header, _name("PromulgationInfo"))
    _add(issued, "Place", _text(element, "PromulgationInfo/Place"))
    _add(issued, "PromulgationDate", _text(element, "PromulgationInfo/PromulgationDate"))
    _add(etree.SubElement(header, _name("DocumentType")), "TypeName", _text(element, "TypeName"))
    _add(header, "Subject", _text(element, "Subject"))
    _add(header, "Content", _text(element, "Content") or _text(element, "Subject"))
    signer = etree.SubElement(header, _name("SignerInfo"))
    for part in ("Competence", "Position", "FullName"):
        if said := _text(element, f"SignerInfo/{part}"):
            _add(signer, part, said)
    if due := _text(element, "DueDate"):
        _add(header, "DueDate", due)
    _add(
        etree.SubElement(header, _name("OtherInfo")), "Priority", _text(element, "Priority") or "0"
    )
    _add(header, "SteeringType", _text(element, "SteeringType") or "1")
    _add_files(root, envelope, list(_files(element, submission.attachments)))
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _add_files(
    root: etree._Element, envelope: etree._Element, files: list[tuple[str, bytes]]
) -> None:
    body = etree.SubElement(envelope, _name("edXMLBody"))
    manifest = etree.SubElement(body, _name("edXMLManifest"), {"version": "1.0"})
    encoded = etree.SubElement(root, _name("AttachmentEncoded"))
    for number, (name, content) in enumerate(files, start=1):
        content_id = f"cid:{number}"
        reference = etree.SubElement(manifest, _name("Reference"))
        attachment = etree.SubElement(encoded, _name("Attachment"))
        _add(reference, "ContentId", content_id)
        _add(reference, "ContentType", "application/zip")
        _add(reference, "AttachmentName", name)
        _add(attachment, "ContentId", content_id)
        _add(attachment, "AttachmentName", name)
        _add(attachment, "ContentType", "application/zip")
        _add(attachment, "ContentTransferEncoded", b64encode(_zipped(name, content)).decode())


def _files(
    element: etree._Element, attachments: tuple[Attachment, ...]
) -> Iterator[tuple[str, bytes]]:
    bytes_count = 0
    for file in element.iterchildren(f"{{{_OURS}}}Attachment"):
        holder = file[1]
        beside = attachment_named(holder, attachments)
        content = _inline(holder) if beside is None else b"".join(beside.chunks())
        bytes_count += len(content)
        if bytes_count > _FILES_BYTES_MAX:
            raise PayloadRejected(public_detail="the files are too large together")
        yield file[0].text or "", content


def _inline(holder: etree._Element) -> bytes:
    try:
        return binascii.a2b_base64(holder.text or "")
    except binascii.Error:  # the schema lets base64 in only
        raise PayloadRejected(public_detail="NoiDung: no base64") from None


def _zipped(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name.rpartition("/")[2] or "tep", _ENTRY_TIME), content)
    return buffer.getvalue()


def _text(element: etree._Element, path: str) -> str:
    return element.findtext("/".join(f"{{{_OURS}}}{part}" for part in path.split("/")), "")


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _name(name)).text = text


def _name(name: str) -> str:
    return f"{{{EDXML}}}{name}"
