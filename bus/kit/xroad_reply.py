"""Read what an X-Road service of an agency sends back, as tolerantly as it is asked to.

The checks, in order (MESS = X-Road Message Protocol 4.0):

 (1) It is a SOAP message with a Body of one element, and no fault (bus.kit.soap_reply).
 (2) Header blocks that it repeats say what the request's said; where headers are required, each
     is repeated. MESS §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from bus.core import errors
from bus.core.value_prefixes import XSI_TYPE, alone, bound_prefixes
from bus.http.client import AgencyReply
from bus.kit.soap_reply import read_reply
from bus.protocols.soap_xroad.names import XROAD


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

    Raises ServiceFault, RecipientHttpRefused, RecipientHttpError, AnswerNotSoap,
    AnswerContentTypeInvalid, AnswerBodyMissing, AnswerBodyInvalid, AnswerHeaderMissing,
    AnswerFieldMissing, AnswerInconsistent.
    """
    # (1)
    answer = read_reply(reply)
    # (2)
    _check_headers(answer.header, sent_header, form)
    return _adapted(answer.payload, form)


def _check_headers(header: etree._Element | None, sent: etree._Element, form: ReplyForm) -> None:
    if header is None and form.requires_headers:
        raise errors.AnswerHeaderMissing
    for block in sent:
        name = etree.QName(block).localname
        found = [] if header is None else header.findall(f"{{{XROAD}}}{name}")
        if not found and form.requires_headers:
            raise errors.AnswerFieldMissing(name)
        # X-Road's own servers do not compare the version either: 4.0 and 4.x are one.
        is_compared = name != "protocolVersion"
        if is_compared and any(_content(one) != _content(block) for one in found):
            raise errors.AnswerInconsistent(name)


def _content(block: etree._Element) -> list[tuple[str, str]]:
    """What a block says; empty parts say nothing."""
    found = [(str(one.tag), (one.text or "").strip()) for one in block.iter(etree.Element)]
    return [found[0], *((tag, text) for tag, text in found[1:] if text)]


def _adapted(payload: etree._Element, form: ReplyForm) -> etree._Element:
    """The answer alone, in the namespace and under the name of the hub's schema."""
    adapted = alone(payload)
    own = etree.QName(adapted).namespace or ""
    if own != form.namespace or not form.qualifies_children:
        for element in adapted.iter(etree.Element):
            qualified = etree.QName(element)
            if (qualified.namespace or "") in {"", own}:
                rename(element, _tag(form.namespace, qualified.localname), own)
        etree.cleanup_namespaces(adapted, keep_ns_prefixes=bound_prefixes(adapted))
    if form.answer_name:
        adapted.tag = _tag(form.namespace, form.answer_name)
    return adapted


def rename(element: etree._Element, tag: str, own: str) -> None:
    """Give an element another name; a type of its `own` namespace, which its xsi:type names, is
    then named in the new one."""
    type_name = element.get(XSI_TYPE, "")
    prefix, _, local_name = type_name.strip().rpartition(":")
    is_own = bool(type_name) and (element.nsmap.get(prefix or None) or "") == own
    element.tag = tag
    if is_own:
        element.set(XSI_TYPE, f"{element.prefix}:{local_name}" if element.prefix else local_name)


def _tag(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name
