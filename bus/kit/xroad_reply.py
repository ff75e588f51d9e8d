"""Read what an X-Road service of an agency sends back, as tolerantly as it is asked to.

The checks, in order (SOAP = SOAP 1.1, MESS = X-Road Message Protocol 4.0):

 (1) A fault is the service's own word, whatever its HTTP status. SOAP §4.4, §6.2.
 (2) Without a fault the HTTP status must be one of success.
 (3) The Content-Type is one of SOAP 1.1. SOAP §6.
 (4) It is a SOAP 1.1 Envelope with a Body of one element. MESS §2.3.
 (5) Header blocks that it repeats say what the request's said; where headers are required, each
     is repeated. MESS §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from bus.core import errors
from bus.core.xml import parse_xml
from bus.kit.agency_http import AgencyReply
from bus.protocols.soap_xroad.names import XROAD
from bus.protocols.soap_xroad.write import escape
from signing.canonical import canonicalise
from signing.names import SOAP11

_ENVELOPE = f"{{{SOAP11}}}Envelope"
_HEADER = f"{{{SOAP11}}}Header"
_BODY = f"{{{SOAP11}}}Body"
_FAULT = f"{{{SOAP11}}}Fault"
_MEDIA_TYPES = frozenset({"", "text/xml", "application/xml", "application/soap+xml"})
_FAULT_TEXT_CHARACTERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What is expected of a reply."""

    namespace: str
    """Of the hub's schema: the answer's elements stand in it when it is handed on."""
    qualifies_children: bool
    requires_headers: bool
    answer_name: str
    """What the answer is called when it is handed on; empty: as the service calls it."""


def read_xroad_reply(
    reply: AgencyReply, sent_header: etree._Element, form: ReplyForm
) -> etree._Element:
    """The answer of a reply to a request with these header blocks.

    Raises ServiceFault, RecipientHttpError, AnswerNotSoap, AnswerContentTypeInvalid,
    AnswerHeaderMissing, AnswerFieldMissing, AnswerInconsistent, AnswerBodyMissing,
    AnswerBodyInvalid.
    """
    envelope = _envelope(reply)
    # (1)
    fault = None if envelope is None else envelope.find(f"{_BODY}/{_FAULT}")
    if fault is not None:
        raise service_fault(fault)
    # (2)
    if not 200 <= reply.status < 300:
        raise errors.RecipientHttpError(f"HTTP status {reply.status}")
    # (3)
    media_type = reply.content_type.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise errors.AnswerContentTypeInvalid(f"Content-Type {media_type[:64]}")
    # (4)
    if envelope is None:
        raise errors.AnswerNotSoap(f"{len(reply.body)} bytes that are no SOAP 1.1")
    payload = _payload(envelope)
    # (5)
    _check_headers(envelope.find(_HEADER), sent_header, form)
    return _adapted(payload, form)


def _envelope(reply: AgencyReply) -> etree._Element | None:
    try:
        root = parse_xml(reply.body, bytes_max=len(reply.body))
    except (errors.NotWellFormed, errors.ForbiddenXml):
        return None
    return root if root.tag == _ENVELOPE else None


def _payload(envelope: etree._Element) -> etree._Element:
    body = envelope.find(_BODY)
    if body is None:
        raise errors.AnswerBodyMissing
    if len(body) != 1:
        raise errors.AnswerBodyInvalid(f"{len(body)} elements in the Body")
    return body[0]


def _check_headers(header: etree._Element | None, sent: etree._Element, form: ReplyForm) -> None:
    if header is None and form.requires_headers:
        raise errors.AnswerHeaderMissing
    for block in sent:
        name = etree.QName(block).localname
        found = [] if header is None else header.findall(f"{{{XROAD}}}{name}")
        if not found and form.requires_headers:
            raise errors.AnswerFieldMissing(name)
        if any(_content(one) != _content(block) for one in found):
            raise errors.AnswerInconsistent(name)


def _content(block: etree._Element) -> list[tuple[str, str]]:
    """What a block says; empty parts say nothing."""
    found = [(str(one.tag), (one.text or "").strip()) for one in block.iter(etree.Element)]
    return [found[0], *((tag, text) for tag, text in found[1:] if text)]


def _adapted(payload: etree._Element, form: ReplyForm) -> etree._Element:
    """The answer alone, in the namespace and under the name of the hub's schema."""
    raw = etree.tostring(payload, encoding="UTF-8", with_tail=False)
    alone = parse_xml(raw, bytes_max=len(raw))
    own = etree.QName(alone).namespace or ""
    if own != form.namespace or not form.qualifies_children:
        for element in alone.iter(etree.Element):
            qualified = etree.QName(element)
            if (qualified.namespace or "") in {"", own}:
                element.tag = _tag(form.namespace, qualified.localname)
        etree.cleanup_namespaces(alone)
    if form.answer_name:
        alone.tag = _tag(form.namespace, form.answer_name)
    return alone


def _tag(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name


def service_fault(fault: etree._Element) -> errors.ServiceFault:
    """A fault of SOAP 1.1 as the service's own: its code, its words, its detail. SOAP §4.4."""
    code = (fault.findtext("faultcode") or "").strip()
    prefix, _, name = code.rpartition(":")
    # A code with a prefix is a QName: SOAP's own, or one of the service's.
    is_soaps = fault.nsmap.get(prefix or None) == SOAP11 and bool(prefix)
    detail = fault.find("detail")
    content = b""
    if detail is not None:
        text = escape((detail.text or "").strip()).encode()
        content = text + b"".join(canonicalise(child) for child in detail)
    return errors.ServiceFault(
        _printable(f"soap:{name}" if is_soaps else name or "soap:Server"),
        _printable(fault.findtext("faultstring") or ""),
        actor=_printable(fault.findtext("faultactor") or ""),
        detail_content=content,
    )


def _printable(text: str) -> str:
    line = " ".join(text.split())[:_FAULT_TEXT_CHARACTERS_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in line)
