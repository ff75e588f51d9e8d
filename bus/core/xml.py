"""Parse XML from outside: the one hardened parser.

No network, no entities, no DTD, no huge trees; bytes are capped before parsing. Comments are
dropped while parsing, because exclusive canonicalisation without comments drops them too: what a
stage reads is then what the signature covers (comment-truncation attacks on identifiers).
"""

from __future__ import annotations

import codecs
import re

from lxml import etree

from bus.core.errors import ForbiddenXml, NotWellFormed, TooLarge
from bus.core.limits import Limits
from bus.core.xml_shape import check_before_parsing, check_tree, is_surely_plain

_DECLARED_ENCODING = re.compile(rb"""\A<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._\-]+)["']""")
_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
_OTHER_UNICODE_STARTS = (
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
    b"\x00<",
    b"<\x00",
    b"\x00\x00",
    b"\x4c\x6f\xa7\x94",  # EBCDIC "<?xm"
)


_DECLARATIONS = (b"<?xml ", codecs.BOM_UTF8 + b"<?xml ", b"<?xml\t", b"<?xml\n", b"<?xml\r")
_DOCUMENT_TYPE = re.compile(rb"(?:[^<]++|<!--.*?-->|<\?.*?\?>)*+<!DOCTYPE", re.DOTALL)
"""Before every tag; behind one it is not well-formed."""

_KINDS: dict[int, str] = {
    code: name for name, code in vars(etree.ErrorTypes).items() if isinstance(code, int)
}
"""Names of libxml2's errors by their number."""


def _parser() -> etree.XMLParser:
    """A parser for one message.

    A parser that lives on hands the names that one thread met to the next thread that uses it, so
    that they would outlive every thread. To make one takes about a microsecond.
    """
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=False,
        strip_cdata=True,
        collect_ids=False,
    )


_DEFAULTS = Limits()


def parse_xml(raw: bytes, *, bytes_max: int, limits: Limits = _DEFAULTS) -> etree._Element:
    """Parse bytes from outside into a tree; return its root element.

    Raises TooLarge (more than `bytes_max` bytes), TooComplex (of what `limits` bound, with the line
    where it stands at one place), NotWellFormed (with line and column, also for any encoding but
    UTF-8), ForbiddenXml (document type, entity, processing instruction).
    """
    if len(raw) > bytes_max:
        raise TooLarge(public_detail=f"{len(raw)} bytes, at most {bytes_max} are taken")
    _refuse_other_encodings(raw)
    _refuse_document_type(raw)
    is_plain = is_surely_plain(raw, limits)
    if not is_plain:
        check_before_parsing(raw, limits)
    root = parse_again(raw)
    if raw.find(b"?", _declaration_end(raw)) >= 0:
        _refuse_instructions(root)
    if not is_plain:
        check_tree(root, raw, limits)
    return root


def parse_again(raw: bytes) -> etree._Element:
    """Parse bytes that we wrote ourselves, from a tree that was read within its bounds.

    They may be more than that tree was made of: a canonical form repeats declarations.
    Raises NotWellFormed.
    """
    try:
        return etree.fromstring(raw, _parser())
    except etree.XMLSyntaxError as error:
        line, column = error.position
        reason = _reason(error)
        raise NotWellFormed(public_detail=f"line {line}, column {column}: {reason}") from error


def parse_with_base(raw: bytes, *, base_url: str, resolver: etree.Resolver) -> etree._Element:
    """Parse bytes again that were read within their bounds, as a document at an address.

    What libxml2 asks for while it compiles the document, it asks `resolver` and nobody else.
    """
    parser = _parser()
    parser.resolvers.add(resolver)
    return etree.fromstring(raw, parser, base_url=base_url)


def _reason(error: etree.XMLSyntaxError) -> str:
    """What is wrong, by its kind: the parser's own words repeat what stands there, payload too."""
    kind = _KINDS.get(error.code, "not well-formed")  # type: ignore[attr-defined]
    return kind.removeprefix("ERR_").removeprefix("NS_ERR_").replace("_", " ").lower()


def _refuse_other_encodings(raw: bytes) -> None:
    if raw[:1] == b"<" and raw[1:2].isalpha():
        return  # a tag in ASCII letters, and no declaration: UTF-8
    if raw.startswith(_OTHER_UNICODE_STARTS):
        raise NotWellFormed(public_detail="the encoding must be UTF-8")
    declared = _DECLARED_ENCODING.match(raw.removeprefix(codecs.BOM_UTF8))
    if declared and declared[1].decode("ascii").lower() not in _UTF8_NAMES:
        raise NotWellFormed(public_detail="line 1: the declared encoding must be UTF-8")


def _declaration_end(raw: bytes) -> int:
    """Where the XML declaration ends, which is written like an instruction and is none."""
    return raw.find(b"?>") + len(b"?>") if raw.startswith(_DECLARATIONS) else 0


def _refuse_document_type(raw: bytes) -> None:
    """Before anything of it is parsed: what it declares could cost as much as elements do."""
    if raw.find(b"!") >= 0 and _DOCUMENT_TYPE.match(raw):
        raise ForbiddenXml(public_detail="a document type is not allowed")


def _refuse_instructions(root: etree._Element) -> None:
    if root.getprevious() is not None or root.getnext() is not None:
        raise ForbiddenXml(public_detail="a processing instruction is not allowed")
    for instruction in root.iter(etree.ProcessingInstruction):
        raise ForbiddenXml(
            public_detail=f"line {instruction.sourceline}: a processing instruction is not allowed"
        )
