"""Check the head of a request over HTTP: method, Content-Type, SOAPAction."""

from __future__ import annotations

import re
from functools import lru_cache

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.http.asgi import Scope
from bus.protocols.mime.content_type import ContentType, parse_content_type

_VERSIONS = {
    # SOAP 1.1 §6; SOAP 1.2 Part 2 §7.1.4.
    "text/xml": SoapVersion.SOAP_1_1,
    "application/soap+xml": SoapVersion.SOAP_1_2,
}
_CHARSETS = frozenset({"", "utf-8", "utf8", "us-ascii"})
_SOAP_ACTION = re.compile(
    # A URI reference in quotes, or nothing. SOAP 1.1 §6.1.1; RFC 3986 Appendix A.
    rb"""\s*(?:"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=\x80-\xff]|%[0-9A-Fa-f]{2})*")?\s*\Z"""
)


def check_head(scope: Scope, *, is_any_charset: bool = False, is_multipart: bool = False) -> None:
    """Refuse what the head of a request shows to be no SOAP request.

    The parts of a multipart message have Content-Types of their own.
    Raises HttpMethodInvalid, ContentTypeInvalid, SoapActionInvalid.
    """
    if scope["method"] != "POST":
        raise errors.HttpMethodInvalid(public_detail=f"got {scope['method'][:16]}")
    headers: dict[bytes, bytes] = dict(scope["headers"])
    _refuse_two_readings(scope["headers"], headers)
    if not is_multipart:
        content_type = _content_type(headers.get(b"content-type", b""))
        if content_type.media_type not in _VERSIONS:
            raise errors.ContentTypeInvalid
        if not is_any_charset:
            require_utf8(content_type)
    if not _SOAP_ACTION.match(headers.get(b"soapaction", b"")):
        raise errors.SoapActionInvalid


def require_utf8(content_type: ContentType) -> None:
    """Raises ContentTypeInvalid: XML that is signed is read in UTF-8 only."""
    if content_type.parameter("charset").lower() not in _CHARSETS:
        raise errors.ContentTypeInvalid(public_detail="a signed request is written in UTF-8")


def _refuse_two_readings(lines: list[tuple[bytes, bytes]], headers: dict[bytes, bytes]) -> None:
    """A line twice, of which others may take the other; a body that is not what was signed."""
    if len(lines) != len(headers):  # some line stands twice, most of which do not matter
        names = [name for name, _ in lines]
        if names.count(b"content-type") > 1:
            raise errors.ContentTypeInvalid(public_detail="Content-Type stands twice")
        if names.count(b"soapaction") > 1:
            raise errors.SoapActionInvalid(public_detail="SOAPAction stands twice")
    if headers.get(b"content-encoding", b"identity").lower() not in (b"", b"identity"):
        raise errors.ContentTypeInvalid(public_detail="a compressed body is not taken")


def version_of_head(scope: Scope) -> SoapVersion | None:
    """The SOAP version that the Content-Type names; None: it names none."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            return _version_of(value)
    return None


def soap_action_of_head(scope: Scope) -> str:
    """What the request says its action is, without quotes; empty: it says none.

    In SOAP 1.2 a parameter of the Content-Type. SOAP 1.1 §6.1.1; RFC 3902. Nobody signed it.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    found = _action_in(headers.get(b"soapaction", b""))
    return found or _action_of(headers.get(b"content-type", b""))


def _action_in(value: bytes) -> str:
    return value.strip().strip(b'"').decode("latin-1") if _SOAP_ACTION.match(value) else ""


@lru_cache(maxsize=64)
def _action_of(content_type: bytes) -> str:
    if b"action" not in content_type.lower():
        return ""
    try:
        action = _content_type(content_type).parameter("action")
    except errors.ContentTypeInvalid:
        return ""
    return _action_in(f'"{action}"'.encode("latin-1", "replace"))


@lru_cache(maxsize=64)
def _version_of(value: bytes) -> SoapVersion | None:
    try:
        content_type = _content_type(value)
    except errors.ContentTypeInvalid:
        return None
    # Of a multipart message, `type` says what its first part is. RFC 2387 §3.1; MTOM §3.2.
    kinds = (content_type.parameter("start-info"), content_type.parameter("type"))
    for kind in (*kinds, content_type.media_type):
        version = _VERSIONS.get(kind.lower())
        if version is not None:
            return version
    return None


@lru_cache(maxsize=64)
def _content_type(value: bytes) -> ContentType:
    """Senders repeat the same few, so that each is read once."""
    return parse_content_type(value.decode("latin-1"))
