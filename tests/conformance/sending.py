"""Send a row along a path, and say what came back: the answer, a faultcode, or what is wrong."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from lxml import etree

from bus.core.errors import BusError
from bus.core.limits import Limits
from bus.core.xml import parse_xml
from bus.http.multipart import MultipartIntake
from bus.http.spool import Spool
from bus.protocols.mime.content_type import XOP, parse_content_type
from bus.protocols.mime.write import write_related
from bus.protocols.soap_xroad.names import SOAP_BY_ENVELOPE, XROAD
from bus.protocols.soap_xroad.parse_beside import parse_with_attachments
from bus.protocols.soap_xroad.plain import PlainRequest, read_plain, sign_plain
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, verify_answer
from bus.protocols.soap_xroad.write import SigningTime
from bus.runtime.clock import now as read_clock
from signing.attachments import Attachment
from tests.conformance.nation import RunningNation
from tests.conformance.table import ACCESS_POINT, ANSWER, HUB, SNAKE, UNSIGNED, Row
from tests.hang_limits import HANG_SECONDS_MAX

_BYTES_MAX = 2**24
_MESSAGE_ID = re.compile(rb":id>([^<]*)</[\w-]+:id>")
_ENVELOPE = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\A\s*)?<(?:\?xml|SOAP-ENV:Envelope).*</SOAP-ENV:Envelope>(?:\s*\Z)?",
    re.DOTALL,
)
_OWN_DECLARATION = re.compile(r"\A<\?xml[^>]*>\s*")
_PART_TYPE = re.compile(rb"Content-Type: [^\r]*")
_FAULT_STATUS = 200
"""As X-Road's own servers send faults."""


@dataclass(frozen=True, slots=True)
class Message:
    """An HTTP message: its head as far as it matters, its body."""

    content_type: str | None
    body: bytes = field(repr=False)
    status: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """A message taken apart."""

    soap: bytes = field(repr=False)
    soap_type: str
    attachments: tuple[Attachment, ...]


def send_row(row: Row, path: str, nation: RunningNation) -> str:
    """What came of a row along a path: `answer`, a faultcode, or what is wrong in words."""
    once = _in_its_charset(_under_new_id(row))
    nation.provider.prepare(once.provider)
    result = _SENDERS[path](once, nation)
    if result != ANSWER or once.provider is None:
        return result
    missing = [one for one in once.provider.handed if one.encode() not in nation.provider.got]
    return f"the service was not handed {missing}" if missing else result


def _under_new_id(row: Row) -> Row:
    """The row under a message id that was never used: a hub gives a copy the first answer."""
    found = _MESSAGE_ID.search(row.body)
    if found is None:
        return row
    old, new = b">" + found[1] + b"<", f">{uuid.uuid4()}<".encode()
    provider = row.provider
    if provider is not None:
        provider = replace(provider, body=provider.body.replace(old, new))
    return replace(row, body=row.body.replace(old, new), provider=provider)


def _in_its_charset(row: Row) -> Row:
    """The row with its envelope in the charset in which it travels; parts beside it stay."""
    if row.charset == "utf-8":
        return row
    body = _ENVELOPE.sub(lambda found: found[0].decode().encode(row.charset), row.body, count=1)
    assert body != row.body, row.name
    return replace(row, body=body)


# --- the three paths -----------------------------------------------------------------------------


def _to_hub(row: Row, nation: RunningNation) -> str:
    """Signed as the client signs; what cannot be read cannot be signed, and goes as it stands."""
    try:
        parts = _taken_apart(Message(row.content_type, row.body))
        charset = parse_content_type(parts.soap_type).parameter("charset")
        plain = read_plain(parts.soap, charset, Limits(), parts.attachments)
    except BusError:
        return _unsigned(row, nation)
    return _signed(row, plain, parts, nation)


def _signed(row: Row, plain: PlainRequest, parts: Parts, nation: RunningNation) -> str:
    now = read_clock()
    signed = sign_plain(plain, nation.signer, SigningTime(now))
    head = parts.soap.decode(row.charset).partition("<SOAP-ENV:Envelope")[0]
    written = head + _OWN_DECLARATION.sub("", signed.decode(), count=1)
    sent = written.encode(row.charset)
    # What is read in another charset than UTF-8 is refused, so that nothing names its digest.
    read = sent if row.charset == "utf-8" else signed
    envelope = parse_with_attachments(parts.attachments)(read, Limits())
    request = Message(row.content_type, sent)
    if parts.attachments:
        request = _beside(sent, parts)
    reply = _exchange(nation.hub_url, row, request)
    answer = _taken_apart(reply)
    if _fault_code(answer.soap) and envelope.digest not in _digests(answer.soap):
        return _fault_result(reply, answer)
    try:
        verified = verify_answer(answer.soap, envelope, nation.known, now, answer.attachments)
    except AnswerRejected as error:
        return f"not proved: {error.reason}"
    return ANSWER if isinstance(verified, VerifiedAnswer) else _fault_result(reply, answer)


def _beside(soap: bytes, parts: Parts) -> Message:
    """A signed envelope and the attachments of its row, under the type of the row's own part."""
    is_xop = parse_content_type(parts.soap_type).media_type == XOP
    related = write_related(soap, parts.attachments, is_xop=is_xop)
    soap_type = f"Content-Type: {parts.soap_type}".encode()
    body = _PART_TYPE.sub(lambda _: soap_type, b"".join(related), count=1)
    return Message(related.content_type, body)


def _digests(soap: bytes) -> list[bytes]:
    """The digests of requests that a fault names."""
    root = parse_xml(soap, bytes_max=_BYTES_MAX)
    return [base64.b64decode(one.text or "") for one in root.iterfind(".//{*}requestDigest")]


def _unsigned(row: Row, nation: RunningNation) -> str:
    reply = _exchange(nation.hub_url, row, Message(row.content_type, row.body))
    return _fault_result(reply, _taken_apart(reply))


def _to_access_point(row: Row, nation: RunningNation) -> str:
    return _plainly(row, nation.access_point_url)


def _to_snake_access_point(row: Row, nation: RunningNation) -> str:
    return _plainly(row, nation.snake_access_point_url)


def _plainly(row: Row, url: str) -> str:
    reply = _exchange(url, row, Message(row.content_type, row.body))
    answer = _taken_apart(reply)
    if _fault_code(answer.soap):
        return _fault_result(reply, answer)
    request = _taken_apart(Message(row.content_type, row.body))
    return _mistake_of_answer(request.soap, row.charset, answer.soap) or ANSWER


_SENDERS: dict[str, Callable[[Row, RunningNation], str]] = {
    HUB: _to_hub,
    UNSIGNED: _unsigned,
    ACCESS_POINT: _to_access_point,
    SNAKE: _to_snake_access_point,
}


# --- what came back ------------------------------------------------------------------------------


def _fault_result(reply: Message, answer: Parts) -> str:
    code = _fault_code(answer.soap)
    if not code:
        return f"HTTP {reply.status}, no fault"
    return code if reply.status in (_FAULT_STATUS, 503) else f"{code} with HTTP {reply.status}"


def _fault_code(soap: bytes) -> str:
    """The faultcode, or the subcode of SOAP 1.2; empty: it is no fault."""
    root = parse_xml(soap, bytes_max=_BYTES_MAX)
    names = SOAP_BY_ENVELOPE[root.tag]
    fault = root.find(f"{names.body}/{names.fault}")
    if fault is None:
        return ""
    codes = [*fault.iter("faultcode"), *fault.iter(f"{{{names.version}}}Value")]
    # In SOAP 1.2 it is a qualified name.
    return (codes[-1].text or "").removeprefix("code:")


def _mistake_of_answer(request: bytes, charset: str, answer: bytes) -> str:
    """What is wrong with a plain answer by X-Road's rules; empty: nothing."""
    text = _OWN_DECLARATION.sub("", request.decode(charset).removeprefix("\ufeff"), count=1)
    sent, back = _header_of(text.strip().encode()), _header_of(answer)
    hashes = [text for tag, text in back if tag == f"{{{XROAD}}}requestHash"]
    expected = base64.b64encode(hashlib.sha512(request).digest()).decode()
    # MESS 2.4: over the bytes of the request, or of its first part.
    if hashes != [expected]:
        return "the requestHash is not that of the request"
    # MESS 2.2: every header of the request, in its order.
    unhashed = [one for one in sent if one[0] != f"{{{XROAD}}}requestHash"]
    if [one for one in back if one[0] != f"{{{XROAD}}}requestHash"] != unhashed:
        return "the headers are not those of the request"
    return ""


def _header_of(soap: bytes) -> list[tuple[str, str]]:
    """Tag and text of every block and part of X-Road."""
    root = parse_xml(soap, bytes_max=_BYTES_MAX)
    header = root.find(SOAP_BY_ENVELOPE[root.tag].header)
    assert header is not None
    return [
        (str(one.tag), (one.text or "").strip())
        for one in header.iter(etree.Element)
        if "x-road.eu" in str(one.tag)
    ]


def _taken_apart(message: Message) -> Parts:
    content_type = message.content_type or ""
    if not content_type.startswith("multipart/"):
        return Parts(message.body, content_type, ())
    intake = MultipartIntake(
        parse_content_type(content_type), Limits(), Spool(None, bytes_max=_BYTES_MAX)
    )
    try:
        intake.feed(message.body)
        whole = intake.end()
    finally:
        intake.close()
    return Parts(whole.soap, whole.soap_head.header("content-type"), whole.attachments)


def _exchange(url: str, row: Row, request: Message) -> Message:
    headers = {"Content-Type": request.content_type, "SOAPAction": row.soap_action}
    given = {name: value for name, value in headers.items() if value is not None}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=HANG_SECONDS_MAX)
    with contextlib.closing(connection):
        connection.request(row.method, row.target, request.body, given)
        reply = connection.getresponse()
        return Message(reply.getheader("Content-Type"), reply.read(), reply.status)
