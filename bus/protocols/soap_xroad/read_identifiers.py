"""Read the identifiers of X-Road header blocks: client, service, security server. MESS §2.1."""

from __future__ import annotations

from functools import lru_cache

from lxml import etree

from bus.core import errors
from bus.core.identifiers import (
    IDENTIFIER_PART,
    MemberId,
    SecurityServerId,
    ServiceId,
    SubsystemId,
    service_id,
    subsystem_id,
)
from bus.protocols.soap_xroad import names

_TEXT_CHARACTERS_MAX = 256
FREE_TEXT_CHARACTERS_MAX = 1024
"""Longest userId and issue; the descriptions of services say so, too."""
_BLANKS = " \t\r\n"
_IDENTIFIERS = f"{{{names.IDENTIFIERS}"

_MEMBER_PARTS = ("xRoadInstance", "memberClass", "memberCode")
_SUBSYSTEM_PARTS = (*_MEMBER_PARTS, "subsystemCode")
_CLIENT_PARTS = {"MEMBER": _MEMBER_PARTS, "SUBSYSTEM": _SUBSYSTEM_PARTS}
_SERVICE_PARTS = (*_SUBSYSTEM_PARTS, "serviceCode", "serviceVersion")
_SERVICE_PARTS_OPTIONAL = frozenset({"subsystemCode", "serviceVersion"})
_SERVER_PARTS = (*_MEMBER_PARTS, "serverCode")
_NONE_OPTIONAL: frozenset[str] = frozenset()


def read_client(block: etree._Element) -> SubsystemId:
    """Who asks. Raises HeaderInvalid, HeaderFieldMissing, HeaderDuplicate, as all here do."""
    known = _plain_client(block.get(names.OBJECT_TYPE, ""), _facts(block))
    if known is not None:
        return known
    parts = _CLIENT_PARTS.get(block.get(names.OBJECT_TYPE, ""))
    if parts is None:
        raise errors.HeaderInvalid(
            public_detail=f"{at(block)}: objectType must be MEMBER or SUBSYSTEM"
        )
    found = _read_parts(block, parts, _NONE_OPTIONAL)
    return subsystem_id(*(found.get(part, "") for part in _SUBSYSTEM_PARTS))


def read_service(block: etree._Element) -> ServiceId:
    """What is asked for."""
    known = _plain_service(block.get(names.OBJECT_TYPE, ""), _facts(block))
    if known is not None:
        return known
    _require_type(block, "SERVICE")
    found = _read_parts(block, _SERVICE_PARTS, _SERVICE_PARTS_OPTIONAL)
    return service_id(*(found.get(part, "") for part in _SERVICE_PARTS))


def read_security_server(block: etree._Element | None) -> SecurityServerId | None:
    """Which server is to answer; None: the request names none."""
    if block is None:
        return None
    _require_type(block, "SERVER")
    found = _read_parts(block, _SERVER_PARTS, _NONE_OPTIONAL)
    member = MemberId(*(found[part] for part in _MEMBER_PARTS))
    return SecurityServerId(member, found["serverCode"])


def read_recipients(block: etree._Element | None, count_max: int) -> tuple[SubsystemId, ...]:
    """Who is to get the message, each once; empty: it names nobody."""
    if block is None:
        return ()
    if not 1 <= len(block) <= count_max:
        raise errors.HeaderInvalid(
            public_detail=f"{at(block)}: {len(block)} elements; expected 1 to {count_max}"
        )
    found: dict[SubsystemId, None] = {}
    for child in block:
        if child.tag != names.RECIPIENT:
            raise errors.HeaderInvalid(public_detail=f"{at(child)} is not expected here")
        recipient = read_client(child)
        if recipient in found:
            raise errors.HeaderDuplicate(public_detail=f"{at(child)}: {recipient}")
        found[recipient] = None
    return tuple(found)


# --- what was read before ------------------------------------------------------------------------

_Facts = tuple[tuple[str, str | None, int], ...]
"""Of each child: its tag, its text, how many children it has itself."""


def _facts(block: etree._Element) -> _Facts:
    """Nothing of a block that holds more than an identifier can."""
    if len(block) > len(_SERVICE_PARTS):
        return ()
    return tuple((child.tag, child.text, len(child)) for child in block)


@lru_cache(maxsize=1024)
def _plain_client(object_type: str, facts: _Facts) -> SubsystemId | None:
    """The same identifiers come with every message; None: look closely, and tell what is wrong."""
    parts = _CLIENT_PARTS.get(object_type)
    found = _plain_parts(facts, parts, _NONE_OPTIONAL) if parts else None
    if found is None:
        return None
    return subsystem_id(*(found.get(part, "") for part in _SUBSYSTEM_PARTS))


@lru_cache(maxsize=1024)
def _plain_service(object_type: str, facts: _Facts) -> ServiceId | None:
    found = _plain_parts(facts, _SERVICE_PARTS, _SERVICE_PARTS_OPTIONAL)
    if found is None or object_type != "SERVICE":
        return None
    return service_id(*(found.get(part, "") for part in _SERVICE_PARTS))


def _plain_parts(
    facts: _Facts, expected: tuple[str, ...], optional: frozenset[str]
) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for tag, text, children in facts:
        namespace, _, name = tag.rpartition("}")
        is_part = namespace == _IDENTIFIERS and name in expected and name not in found
        if not is_part or children or not IDENTIFIER_PART.match(text or ""):
            return None
        found[name] = text or ""
    return found if optional.issuperset(set(expected) - found.keys()) else None


# --- looked at closely ---------------------------------------------------------------------------


def read_text(element: etree._Element) -> str:
    """The text of a leaf, printable and on one line: it goes to logs and consoles.

    Lines of their own, as pretty-printers give to texts, are not a part of it.
    """
    if len(element):
        raise errors.HeaderInvalid(public_detail=f"{at(element)} must hold text only")
    text = element.text or ""
    if not text.isprintable():
        text = text.strip(_BLANKS)
    if len(text) > _TEXT_CHARACTERS_MAX or not (text.isprintable() or not text):
        raise errors.HeaderInvalid(
            public_detail=f"{at(element)}: expected at most {_TEXT_CHARACTERS_MAX} "
            "printable characters on one line"
        )
    return text


def read_free_text(element: etree._Element) -> str:
    """The text of userId or issue, just as it was sent: it may have lines, and is never shown."""
    text = element.text or ""
    if len(element) or len(text) > FREE_TEXT_CHARACTERS_MAX:
        raise errors.HeaderInvalid(
            public_detail=f"{at(element)}: expected text of at most {FREE_TEXT_CHARACTERS_MAX} "
            "characters"
        )
    return text


def at(element: etree._Element) -> str:
    """Where an element stands, for its sender."""
    return f"line {element.sourceline}, {etree.QName(element).localname}"


def _require_type(block: etree._Element, object_type: str) -> None:
    if block.get(names.OBJECT_TYPE) != object_type:
        raise errors.HeaderInvalid(public_detail=f"{at(block)}: objectType must be {object_type}")


def _read_parts(
    block: etree._Element, expected: tuple[str, ...], optional: frozenset[str]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for child in block:
        namespace, _, name = child.tag.rpartition("}")
        if namespace != _IDENTIFIERS or name not in expected:
            raise errors.HeaderInvalid(public_detail=f"{at(child)} is not expected here")
        if name in found:
            raise errors.HeaderDuplicate(public_detail=at(child))
        found[name] = _identifier_part(child)
    for name_expected in expected:
        if name_expected not in found and name_expected not in optional:
            raise errors.HeaderFieldMissing(
                public_detail=f"{at(block)}: {name_expected} is required"
            )
    return found


def _identifier_part(element: etree._Element) -> str:
    # With blanks around it, it would be repeated otherwise than it was sent.
    text = read_text(element)
    if text != element.text or not IDENTIFIER_PART.match(text):
        raise errors.HeaderInvalid(
            public_detail=f"{at(element)}: expected 1 to 64 of A-Z a-z 0-9 '()+,-.=?"
        )
    return text
