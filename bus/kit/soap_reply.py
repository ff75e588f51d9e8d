"""Read the SOAP reply of an agency's service, 1.1 or 1.2: a fault of its own, or one element.

The checks, in order (SOAP = SOAP 1.1, SOAP12 = SOAP 1.2 Part 1, MESS = X-Road Message Protocol):

 (1) A fault is the service's own word, whatever its HTTP status (SOAP §4.4, §6.2; SOAP12 §5.4),
     unless it says that it does not take the hub's account: HTTP 401 and 407, or a code of WSS §12
     that means our proof.
 (2) Without a fault the HTTP status must be one of success.
 (3) The Content-Type is one of SOAP, in a charset that is taken. SOAP §6; MESS §2.5.
 (4) It is a SOAP Envelope. SOAP §4.
 (5) Its Body holds one element. MESS §2.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from lxml import etree

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.value_prefixes import canonical_element
from bus.core.xml import parse_xml
from bus.http.client import AgencyReply, check_status
from bus.protocols.mime.content_type import XOP
from bus.protocols.soap_xroad.names import LIENTHONG, SOAP_BY_ENVELOPE, SoapNames
from bus.protocols.soap_xroad.plain import to_utf8
from bus.protocols.soap_xroad.write import escape, without_ids
from signing.names import SOAP12, WSSE

FAULT_TEXT_CHARACTERS_MAX = 1000
FAULT_DETAIL_BYTES_MAX = 64 * 1024
"""Of a longer detail nothing goes on: cut XML is none."""
_FAULT_CODE_CHARACTERS_MAX = 128
_MEDIA_TYPES = frozenset({"", "text/xml", "application/xml", "application/soap+xml", XOP})
_CHARSET = re.compile(r"charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE)
_ACCOUNT_STATUSES = frozenset({401, 407})
"""403 with a fault is the service's answer to who is asked for, as likely as to who asks."""
_ACCOUNT_CODES = frozenset(
    {"FailedAuthentication", "InvalidSecurityToken", "SecurityTokenUnavailable"}
)
"""WS-Security: SOAP Message Security 1.1.1 §12."""
_VALUES = etree.XPath(
    "descendant::soap:Value[not(ancestor::soap:Detail)]", namespaces={"soap": SOAP12}, regexp=False
)
_CODE_OF_SOAP_1_2 = {"Sender": "soap:Client", "Receiver": "soap:Server"}
"""What SOAP 1.1 says for it."""


@dataclass(frozen=True, slots=True)
class SoapReply:
    """A reply that is no fault."""

    header: etree._Element | None = field(repr=False)
    """None: the reply has no Header."""
    payload: etree._Element = field(repr=False)
    """The one element of the Body."""


def read_reply(reply: AgencyReply) -> SoapReply:
    """Read a reply whole.

    Raises ServiceFault, AccountRefused, RecipientHttpRefused, RecipientHttpError,
    AnswerContentTypeInvalid, AnswerNotSoap, AnswerTooComplex, AnswerBodyMissing,
    AnswerBodyInvalid.
    """
    root = _root(reply)
    soap = None if root is None else SOAP_BY_ENVELOPE.get(root.tag)
    # (1)
    if root is not None and soap is not None:
        fault = root.find(f"{soap.body}/{soap.fault}")
        if fault is not None:
            _require_account_taken(reply.status, fault)
            raise service_fault(fault, soap)
    # (2)
    check_status(reply.status)
    # (3)
    media_type = reply.content_type.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise errors.AnswerContentTypeInvalid(f"Content-Type {media_type[:64]}")
    # (4)
    if root is None or soap is None:
        raise errors.AnswerNotSoap(f"{len(reply.body)} bytes that are no SOAP message")
    # (5)
    body = root.find(soap.body)
    if body is None:
        raise errors.AnswerBodyMissing
    if len(body) != 1:
        raise errors.AnswerBodyInvalid(f"{len(body)} elements in the Body")
    return SoapReply(root.find(soap.header), body[0])


def _require_account_taken(status: int, fault: etree._Element) -> None:
    if status in _ACCOUNT_STATUSES:
        raise errors.AccountRefused(f"HTTP status {status}, with a fault")
    for element in fault.iter("faultcode", *(f"{{{version}}}Value" for version in SoapVersion)):
        prefix, _, name = (element.text or "").strip().rpartition(":")
        if element.nsmap.get(prefix or None) == WSSE and name in _ACCOUNT_CODES:
            raise errors.AccountRefused(f"SOAP fault {name}")


def service_fault(fault: etree._Element, soap: SoapNames) -> errors.ServiceFault:
    """A service's own fault: its code, its words, its actor, its detail, within bounds."""
    code, reason, actor, detail = _PARTS[soap.version](fault, soap)
    return errors.ServiceFault(
        code[:_FAULT_CODE_CHARACTERS_MAX],
        _printable(reason),
        actor=_printable(actor),
        detail_content=b"" if detail is None else _detail_content(detail),
    )


def _parts_1_1(
    fault: etree._Element, soap: SoapNames
) -> tuple[str, str, str, etree._Element | None]:
    element = fault.find("faultcode")
    reason, actor = fault.findtext("faultstring") or "", fault.findtext("faultactor") or ""
    return _code(element, soap), reason, actor, fault.find("detail")


def _parts_1_2(
    fault: etree._Element, soap: SoapNames
) -> tuple[str, str, str, etree._Element | None]:
    name = f"{{{soap.version}}}%s"
    values = cast(list[etree._Element], _VALUES(fault))
    own = _code(values[0] if values else None, soap).rpartition(":")[2]
    # The innermost subcode says most; where there is none, SOAP's own code stands.
    code = _code(values[-1], soap) if len(values) > 1 else _CODE_OF_SOAP_1_2.get(own, f"soap:{own}")
    reason = fault.findtext(f"{name % 'Reason'}/{name % 'Text'}") or ""
    actor = fault.findtext(name % "Role") or ""
    return code, reason, actor, fault.find(name % "Detail")


_PARTS = {
    soap.version: parts
    for soap, parts in zip(SOAP_BY_ENVELOPE.values(), (_parts_1_1, _parts_1_2), strict=True)
}


def _code(element: etree._Element | None, soap: SoapNames) -> str:
    """A code without prefix; with `soap:` if it is one of SOAP itself."""
    text = "" if element is None else (element.text or "").strip()
    prefix, _, name = text.rpartition(":")
    if element is None or not name:
        return "soap:Server"
    is_soaps = bool(prefix) and element.nsmap.get(prefix) == soap.version
    return _printable(f"soap:{name}" if is_soaps else name)


def _detail_content(detail: etree._Element) -> bytes:
    """What stands in a detail, canonical; without Ids, which could be those of signed parts, and
    without what only a hub may say there. Nothing of one that has no canonical form."""
    text = escape((detail.text or "").strip()).encode()
    children = (child for child in detail if etree.QName(child).namespace != LIENTHONG)
    try:
        content = text + b"".join(
            canonical_element(without_ids(child), all_values=True).canonical for child in children
        )
    except errors.NoCanonicalForm:
        return b""  # its code and its words go on
    return content if len(content) <= FAULT_DETAIL_BYTES_MAX else b""


def _root(reply: AgencyReply) -> etree._Element | None:
    charset = _CHARSET.search(reply.content_type)
    try:
        raw = to_utf8(reply.body, charset[1] if charset else "")
        return parse_xml(raw, bytes_max=len(raw))
    except errors.ContentTypeInvalid as error:
        raise errors.AnswerContentTypeInvalid(public_detail=error.public_detail) from error
    except errors.TooComplex as error:
        raise errors.AnswerTooComplex(public_detail=error.public_detail) from error
    except (errors.NotWellFormed, errors.ForbiddenXml):
        return None


def _printable(text: str) -> str:
    line = " ".join(text.split())[:FAULT_TEXT_CHARACTERS_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in line)
