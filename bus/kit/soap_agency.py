"""Call an agency's SOAP 1.1 service: the base of SOAP adapters.

zeep reads the agency's WSDL and writes the request; what comes back is read by parse_xml alone
and handed on as XML, so that bytes of an agency meet one parser only. Whether the answer follows
its schema is for the hub to find out: it validates every answer.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zeep
from lxml import etree
from zeep.exceptions import ValidationError

from bus.core.errors import PayloadRejected
from bus.core.xml import parse_again
from bus.http.client import (
    REPLY_BYTES_MAX,
    AgencyHttp,
    AgencyReply,
    AgencyRequest,
    agency_address,
)
from bus.kit.contract import Answer
from bus.kit.inlined_content import with_inlined_content
from bus.kit.soap_reply import read_reply
from bus.protocols.mime.write import XOP_NAMESPACE, write_related
from bus.runtime.deadline import Deadline
from signing.attachments import Attachment


class _Transport(zeep.Transport):
    """zeep's way out: requests through AgencyHttp, descriptions from the packaged file only."""

    def __init__(self, http: AgencyHttp, wsdl: Path) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # zeep is typed in parts
        self.deadline = Deadline(0.0)
        self.attachments: tuple[Attachment, ...] = ()
        self._http = http
        self._folder = wsdl.parent.resolve()

    def load(self, url: str) -> bytes:
        file = Path(url).resolve()
        if not file.is_relative_to(self._folder):
            raise PermissionError(f"a WSDL may import from its own folder only, not {url!r}")
        return file.read_bytes()

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> AgencyReply:
        request = AgencyRequest("POST", address, headers=headers, body=message)
        if self.attachments:
            is_xop = XOP_NAMESPACE in message
            related = write_related(message, self.attachments, is_xop=is_xop)
            headers = {**headers, "Content-Type": related.content_type}
            request = AgencyRequest("POST", address, headers=headers, body=related)
        return self._http.send(request, self.deadline)


class SoapAgency:
    """One SOAP 1.1 service of an agency, called from several threads.

    `wsdl` is a file of ours, so that the hub starts although the agency is down; `binding` is
    the qualified name of its binding, `{namespace}name`; `address` is where the service really is.
    """

    def __init__(self, *, wsdl: Path, binding: str, address: str, http: AgencyHttp) -> None:
        """Raises SettingRefused (no address), or what zeep raises if the WSDL is broken."""
        self._wsdl = wsdl
        self._binding = binding
        self._address = agency_address(address)
        self._http = http
        self._local = threading.local()
        self._thread_client()

    def call(
        self,
        operation: str,
        fields: Mapping[str, object],
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> etree._Element:
        """Call an operation; give the one element of the answer's Body.

        What it includes of the parts beside it (MTOM) stands in it as base64; other parts are
        dropped. Raises what `exchange` raises.
        """
        answer = self.exchange(operation, fields, headers=headers, deadline=deadline)
        return with_inlined_content(
            answer.element, answer.attachments, bytes_max=REPLY_BYTES_MAX
        ).element

    def exchange(
        self,
        operation: str,
        fields: Mapping[str, object],
        *,
        headers: Mapping[str, str],
        deadline: Deadline,
        attachments: tuple[Attachment, ...] = (),
    ) -> Answer:
        """Call an operation, with attachments; give the element of the answer's Body, and its own.

        They go as MTOM if the Body holds an xop:Include, as SOAP with Attachments otherwise.
        Raises PayloadRejected (zeep cannot write these fields), ServiceFault (the service's own
        fault, which goes on to whoever asks), AccountRefused, RecipientHttpError, AnswerInvalid
        (no SOAP answer; each kind of it has a class), RecipientUnavailable, RecipientTimeout.
        """
        client, service = self._thread_client()
        client.transport.deadline = deadline
        client.transport.attachments = attachments
        try:
            with client.settings(extra_http_headers=dict(headers)):
                reply: AgencyReply = service[operation](**fields)
        except ValidationError as error:
            raise PayloadRejected(f"{operation}: {error.path}") from error
        finally:
            client.transport.attachments = ()
        return Answer(read_soap_reply(reply), reply.attachments)

    def _thread_client(self) -> tuple[Any, Any]:
        # A zeep client keeps the settings of a call in itself: one for each thread.
        if not hasattr(self._local, "client"):
            settings = zeep.Settings(strict=True, raw_response=True, forbid_dtd=True)
            transport = _Transport(self._http, self._wsdl)
            client: Any = zeep.Client(  # type: ignore[no-untyped-call]
                str(self._wsdl), transport=transport, settings=settings
            )
            service = client.create_service(self._binding, self._address)
            self._local.client = (client, service)
        client, service = self._local.client
        return client, service


def read_soap_reply(reply: AgencyReply) -> etree._Element:
    """The one element of the Body of a SOAP reply, alone; raises as `bus.kit.soap_reply`."""
    payload = read_reply(reply).payload
    # The element leaves with a tree of its own: the agency's envelope goes no further.
    raw = etree.tostring(payload, encoding="UTF-8", xml_declaration=False, with_tail=False)
    return parse_again(raw)


def wrapped(given: etree._Element, tag: str, prefix: str) -> etree._Element:
    """An element around what an agency answered, `{namespace}name` under a prefix.

    As text: a tree that takes in another drops prefixes that it thinks it has already, and values,
    an xsi:type among them, may use them.
    """
    name = etree.QName(tag)
    wrapper = etree.tostring(etree.Element(tag, nsmap={prefix: name.namespace or ""}))
    start, end = wrapper.removesuffix(b"/>") + b">", f"</{prefix}:{name.localname}>".encode()
    inside = etree.tostring(given, encoding="UTF-8", xml_declaration=False, with_tail=False)
    raw = start + inside + end
    return parse_again(raw)
