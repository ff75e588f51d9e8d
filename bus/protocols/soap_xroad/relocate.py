"""Give a WSDL another address to post to: that of an access point instead of the hub's."""

from __future__ import annotations

from urllib.parse import urlsplit

from lxml import etree

from bus.core.xml import parse_xml

WSDL_BYTES_MAX = 16 * 1024 * 1024
_ADDRESSES = (
    "{http://schemas.xmlsoap.org/wsdl/soap/}address",
    "{http://schemas.xmlsoap.org/wsdl/soap12/}address",
)


def relocate_wsdl(wsdl: bytes, url: str) -> bytes:
    """The same WSDL with each `soap:address` below `url`, the rest of its path kept.

    Raises a BusError if it is no XML that is taken.
    """
    root = parse_xml(wsdl, bytes_max=WSDL_BYTES_MAX)
    for address in root.iter(*_ADDRESSES):
        address.set("location", url + urlsplit(address.get("location", "")).path)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
