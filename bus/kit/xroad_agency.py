"""Call an agency's service that speaks X-Road's SOAP, more or less: the base of such adapters.

Such a service stood behind an X-Road server, or was written for one. It takes no signature; it
wants X-Road's header blocks, often in an order of its own, a certain SOAPAction, or a body without
namespace. `XRoadForm` says what this one wants; nothing else of the adapter needs to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lxml import etree

from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.value_prefixes import bound_prefixes, canonical_element
from bus.core.xml import parse_again
from bus.http.client import (
    REPLY_BYTES_MAX,
    AgencyHttp,
    AgencyReply,
    AgencyRequest,
    agency_address,
)
from bus.kit.contract import Answer, Query
from bus.kit.inlined_content import with_inlined_content
from bus.kit.xroad_reply import ReplyForm, read_xroad_reply, rename
from bus.protocols.mime.write import XOP_NAMESPACE, RelatedMessage, write_related
from bus.protocols.soap_xroad.names import FOR_RECEIVERS, IDENTIFIERS, OBJECT_TYPE, PROTOCOL, XROAD
from bus.runtime.deadline import Deadline
from signing.names import SOAP11, WSU_ID

HEADER_BLOCKS = ("client", "service", "userId", "id", "issue", "protocolVersion")
"""Every block that is known here; one that the query has no value for is left out."""
_OTHERS_PLACE = b"<others/>"
_BODY_PLACE = b"<soapenv:Body/>"
_WRITTEN = frozenset(f"{{{XROAD}}}{name}" for name in (*HEADER_BLOCKS, "requestHash"))
_XML_CONTENT_TYPE = "text/xml; charset=utf-8"
_PREFIXES = {"soapenv": SOAP11, "xro": XROAD, "iden": IDENTIFIERS}
"""Any would do; but fastapi-xroad-soap looks into the start tag of the Envelope, which must be the
first of the text, and takes every other prefix there for one of the payload's."""


@dataclass(frozen=True, slots=True)
class XRoadForm:
    """What a service wants of X-Road's messages. The defaults are the protocol's own."""

    header_order: tuple[str, ...] = HEADER_BLOCKS
    """Which blocks are sent, in which order."""
    carries_other_blocks: bool = True
    """Blocks of X-Road's namespaces that are not known here, such as representedParty, follow as
    they came. False: for a service that stumbles over them."""
    soap_action: str | None = None
    """The SOAPAction, without quotes; `{service_code}` in it stands for the service's code. None:
    the client's own, which nobody signed; set one for a service that chooses by it what it does."""
    namespace: str | None = None
    """The namespace of the request's elements there: None, the one of the hub's schema; empty,
    none at all."""
    qualifies_children: bool = True
    """False: there, only the outermost element of a body stands in the namespace."""
    names_answer_freely: bool = False
    """True: the answer's outermost element gets the name of the hub's schema."""
    requires_headers: bool = False
    """True: an answer must repeat the header blocks, as X-Road's own servers demand."""

    def __post_init__(self) -> None:
        unknown = set(self.header_order) - set(HEADER_BLOCKS)
        if unknown:
            raise ValueError(f"no header blocks of X-Road: {', '.join(sorted(unknown))}")


class XRoadAgency:
    """One X-Road service of an agency, called from several threads."""

    def __init__(self, *, address: str, http: AgencyHttp, form: XRoadForm | None = None) -> None:
        """Raises SettingRefused: `address` is none."""
        self._address = agency_address(address)
        self._http = http
        self._form = form or XRoadForm()

    def call(
        self,
        query: Query,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Answer:
        """Ask the service what the query asks, attachments and all, and give its answer in the
        namespace of the hub's schema.

        `headers` are HTTP headers of the adapter's own: an account, a key.
        Raises ServiceFault (the service's own fault, which goes on to whoever asks),
        RecipientHttpError, AnswerNotSoap, AnswerContentTypeInvalid, AnswerHeaderMissing,
        AnswerFieldMissing, AnswerInconsistent, AnswerBodyMissing, AnswerBodyInvalid,
        RecipientUnavailable, RecipientTimeout.
        """
        message: bytes | RelatedMessage = self.request(query)
        content_type = _XML_CONTENT_TYPE
        if query.attachments:
            is_xop = XOP_NAMESPACE in query.payload
            message = write_related(self.request(query), query.attachments, is_xop=is_xop)
            content_type = message.content_type
        action = query.soap_action
        if self._form.soap_action is not None:
            action = self._form.soap_action.replace("{service_code}", query.service.service_code)
        own_headers = {"Content-Type": content_type, "SOAPAction": f'"{action}"'}
        request = AgencyRequest(
            "POST", self._address, headers={**headers, **own_headers}, body=message
        )
        reply = self._http.send(request, deadline)
        answer = Answer(self.read(query, reply), reply.attachments)
        if self._http.takes_attachments:
            return answer
        return with_inlined_content(answer.element, answer.attachments, bytes_max=REPLY_BYTES_MAX)

    def request(self, query: Query) -> bytes:
        """The envelope that is sent for a query."""
        form = self._form
        envelope = etree.Element(f"{{{SOAP11}}}Envelope", nsmap=_PREFIXES)
        header = etree.SubElement(envelope, f"{{{SOAP11}}}Header")
        self._write_blocks(header, query)
        etree.SubElement(header, "others")
        etree.SubElement(envelope, f"{{{SOAP11}}}Body")
        payload = query.element()
        if form.namespace is not None or not form.qualifies_children:
            _rename(payload, form.namespace, qualifies_children=form.qualifies_children)
        around = etree.tostring(envelope, xml_declaration=False, encoding="UTF-8")
        # As text: a tree that takes in another drops prefixes that it thinks it has already, and
        # values may use them.
        others = b"".join(_other_blocks(query)) if form.carries_other_blocks else b""
        content = etree.tostring(payload, xml_declaration=False, encoding="UTF-8")
        start, _, rest = around.partition(_OTHERS_PLACE)
        between, _, end = rest.partition(_BODY_PLACE)
        body = b"<soapenv:Body>" + content + b"</soapenv:Body>"
        return b"".join((start, others, between, body, end))

    def read(self, query: Query, reply: AgencyReply) -> etree._Element:
        """The answer in a reply to a query; raises as `call`."""
        form = ReplyForm(
            namespace=_namespace_of(query.element()),
            qualifies_children=self._form.qualifies_children,
            requires_headers=self._form.requires_headers,
            answer_name=(
                f"{query.service.service_code}Response" if self._form.names_answer_freely else ""
            ),
        )
        sent = etree.Element(f"{{{SOAP11}}}Header")
        self._write_blocks(sent, query)
        return read_xroad_reply(reply, sent, form)

    def _write_blocks(self, header: etree._Element, query: Query) -> None:
        for name in self._form.header_order:
            _BLOCKS[name](header, query)


def _namespace_of(element: etree._Element) -> str:
    return etree.QName(element).namespace or ""


def _rename(payload: etree._Element, namespace: str | None, *, qualifies_children: bool) -> None:
    """Put the elements of the payload's own namespace into another one."""
    own = _namespace_of(payload)
    wanted = own if namespace is None else namespace
    for element in payload.iter(etree.Element):
        if _namespace_of(element) != own:
            continue
        is_qualified = wanted and (qualifies_children or element is payload)
        name = etree.QName(element).localname
        rename(element, f"{{{wanted}}}{name}" if is_qualified else name, own)
    etree.cleanup_namespaces(payload, keep_ns_prefixes=bound_prefixes(payload))


# --- header blocks -------------------------------------------------------------------------------


def _other_blocks(query: Query) -> Iterator[bytes]:
    """The header blocks of the request that are not written here, without what was for the hub."""
    raw = b"<header>" + query.header_blocks + b"</header>"
    for block in parse_again(raw):
        if block.tag in _WRITTEN:
            continue
        for name in (WSU_ID, *FOR_RECEIVERS):
            block.attrib.pop(name, "")
        yield canonical_element(block, all_values=True).canonical


def _client(header: etree._Element, query: Query) -> None:
    object_type = "SUBSYSTEM" if query.client.subsystem_code else "MEMBER"
    _identifier(header, "client", object_type, _subsystem_parts(query.client))


def _service(header: etree._Element, query: Query) -> None:
    service: ServiceId = query.service
    parts = _subsystem_parts(service.provider)
    parts |= {"serviceCode": service.service_code, "serviceVersion": service.service_version}
    _identifier(header, "service", "SERVICE", parts)


def _identifier(
    header: etree._Element, name: str, object_type: str, parts: Mapping[str, str]
) -> None:
    block = etree.SubElement(header, f"{{{XROAD}}}{name}", {OBJECT_TYPE: object_type})
    for part, text in parts.items():
        if text:
            etree.SubElement(block, f"{{{IDENTIFIERS}}}{part}").text = text


def _subsystem_parts(subsystem: SubsystemId) -> dict[str, str]:
    member: MemberId = subsystem.member
    return {
        "xRoadInstance": member.instance,
        "memberClass": member.member_class,
        "memberCode": member.member_code,
        "subsystemCode": subsystem.subsystem_code,
    }


def _text_block(
    name: str, value: Callable[[Query], str]
) -> Callable[[etree._Element, Query], None]:
    def write(header: etree._Element, query: Query) -> None:
        if value(query):
            etree.SubElement(header, f"{{{XROAD}}}{name}").text = value(query)

    return write


_BLOCKS: Mapping[str, Callable[[etree._Element, Query], None]] = {
    "client": _client,
    "service": _service,
    "userId": _text_block("userId", lambda query: query.user_id),
    "id": _text_block("id", lambda query: query.message_id),
    "issue": _text_block("issue", lambda query: query.issue),
    "protocolVersion": _text_block("protocolVersion", lambda query: PROTOCOL),
}
