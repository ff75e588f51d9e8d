"""Describe a service to SOAP clients: WSDL 1.1, document/literal wrapped, X-Road header parts.

Sources: WSDL 1.1 §3; WSDL 1.1 Binding Extension for SOAP 1.2; X-Road Message Protocol 4.0 §3
(xrd:title and xrd:version in the description); Describing Media Content of Binary Data in XML §2.2
(xmime:expectedContentTypes at bytes that may come beside the envelope). The schemas stand inside,
so that a client needs nothing else. A description has one port: clients that know SOAP 1.1 only
would stumble over two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from html import escape

from lxml import etree

from bus.core.attachments import OCTETS
from bus.core.envelope import SoapVersion
from bus.core.registry import RecipientRule, Service
from bus.core.schema_kinds import Kind, SchemaPart, declared_below, kind_of
from bus.protocols.soap_xroad import names

_WSDL = "http://schemas.xmlsoap.org/wsdl/"
_BINDINGS = {
    SoapVersion.SOAP_1_1: "http://schemas.xmlsoap.org/wsdl/soap/",
    SoapVersion.SOAP_1_2: "http://schemas.xmlsoap.org/wsdl/soap12/",
}
_XSD = "http://www.w3.org/2001/XMLSchema"
_XMIME = "http://www.w3.org/2005/05/xmlmime"
_EXPECTED = f"{{{_XMIME}}}expectedContentTypes"
etree.register_namespace("xmime", _XMIME)
_NO_TYPES = b"<wsdl:types/>"
_HEADER_PARTS = ("client", "service", "userId", "id", "issue", "protocolVersion")
"""Clients send the ones that they have; required are client, service, id, protocolVersion."""


def write_wsdl(
    service: Service,
    location: str,
    schema: Sequence[SchemaPart],
    header_schemas: Sequence[etree._Element],
    version: SoapVersion = SoapVersion.SOAP_1_1,
) -> bytes:
    """The WSDL of one service, with a port of one SOAP version.

    `schema` is the XSD of its messages, the document to start with first; `header_schemas` are
    those of the X-Road identifiers and header blocks, and our own; `location` is the URL to post
    to. What is submitted is answered by the hub's acceptance.
    """
    namespace = schema[0].namespace
    code = service.id.service_code
    root = etree.Element(
        _wsdl("definitions"),
        {"targetNamespace": namespace, "name": code},
        nsmap={
            "wsdl": _WSDL,
            "soap": _BINDINGS[version],
            "xrd": names.XROAD,
            "lt": names.LIENTHONG,
            "tns": namespace,
        },
    )
    etree.SubElement(root, _wsdl("types"))
    _add_messages(root, service)
    _add_port_type(root, service)
    _add_binding(root, service, _BINDINGS[version])
    _add_service(root, code, location, _BINDINGS[version])
    etree.indent(root)
    # As text: a tree that takes in another drops prefixes that it thinks it has already, and the
    # schemas name their types by them.
    told = {}
    for one in header_schemas:
        known = one.get("targetNamespace", "")
        if known != names.LIENTHONG or service.submission is not None:
            told[known] = _one_document([SchemaPart(deepcopy(one), known)])
    for known, parts in _by_namespace(_with_media_types(schema, service)).items():
        told.setdefault(known, _one_document(parts))
    types = b"\n".join(told.values())
    whole = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return whole.replace(_NO_TYPES, b"<wsdl:types>\n" + types + b"\n</wsdl:types>", 1)


def _with_media_types(schema: Sequence[SchemaPart], service: Service) -> list[SchemaPart]:
    """The schema, with the types of attachments at the elements that take bytes."""
    code = service.id.service_code
    told = [SchemaPart(deepcopy(part.root), part.namespace) for part in schema]
    for name, rule in (
        (code, service.attachments),
        (f"{code}Response", service.answer_attachments),
    ):
        for element, part in declared_below(name, told) if rule is not None else ():
            if rule is not None and kind_of(element, part, told) is Kind.BYTES:
                types = {*rule.types, OCTETS} if rule.types else {"*/*"}
                types |= set(filter(None, element.get(_EXPECTED, "").split(", ")))
                element.set(_EXPECTED, ", ".join(sorted(types)))
    return told


def _by_namespace(schema: Sequence[SchemaPart]) -> dict[str, list[SchemaPart]]:
    found: dict[str, list[SchemaPart]] = {}
    for part in schema:
        found.setdefault(part.namespace, []).append(part)
    return found


# A description holds one schema of each namespace: a location would lead its reader to files that
# he does not have, and not every client puts two schemas of one namespace together.


def _one_document(parts: Sequence[SchemaPart]) -> bytes:
    """All that is declared of one namespace, as one schema; imports name namespaces alone."""
    first = parts[0].root
    for part in parts:
        for one in part.root.iterchildren(_xsd("import")):
            one.attrib.pop("schemaLocation", "")
    if len(parts) == 1:
        return _text(first)
    # Xerces, and with it CXF, finds no prefix that a global declaration alone binds.
    prefixes: dict[str | None, str] = {}
    for part in parts:
        prefixes = {**part.root.nsmap, **prefixes}
    head = etree.Element(first.tag, first.attrib, nsmap=prefixes)  # type: ignore[arg-type]
    imports = {
        one.get("namespace", ""): _text(one)
        for part in parts
        for one in part.root.iterchildren(_xsd("import"))
    }
    declared = [text for part in parts for text in _declarations(part, within=head)]
    start = _text(head).removesuffix(b"/>") + b">"
    end = f"</{head.prefix}:schema>" if head.prefix else "</schema>"
    return b"\n".join([start, *imports.values(), *declared, end.encode()])


def _declarations(part: SchemaPart, *, within: etree._Element) -> Iterator[bytes]:
    """What one document declares, to stand in the schema `within`."""
    for kind in ("element", "attribute"):
        form = part.root.get(f"{kind}FormDefault", "unqualified")
        if form != within.get(f"{kind}FormDefault", "unqualified"):
            for one in part.root.iter(_xsd(kind)):
                if one.get("name") and one.getparent() is not part.root:
                    one.set("form", one.get("form", form))
    is_adopted = part.root.get("targetNamespace") is None
    for child in part.root.iterchildren(etree.Element):
        if child.tag in (_xsd("include"), _xsd("import")):
            continue
        text = _text(child)
        if None not in child.nsmap and (is_adopted or None in within.nsmap):
            # XML Schema Part 1 §4.2.1: names of an adopted file are of the namespace that includes
            # them; those of other files without a default are of none, whatever the whole says.
            default = part.namespace if is_adopted else ""
            name_end = len(f"<{child.prefix}:{etree.QName(child).localname}".encode())
            declared = f' xmlns="{escape(default)}"'.encode()
            text = text[:name_end] + declared + text[name_end:]
        yield text


def _xsd(name: str) -> str:
    return f"{{{_XSD}}}{name}"


def _text(schema: etree._Element) -> bytes:
    return etree.tostring(schema, encoding="UTF-8", xml_declaration=False, with_tail=False)


def _add_messages(root: etree._Element, service: Service) -> None:
    code = service.id.service_code
    is_query = service.submission is None
    answer = f"tns:{code}Response" if is_query else f"lt:{etree.QName(names.ACCEPTANCE).localname}"
    for name, element in ((code, f"tns:{code}"), (f"{code}Response", answer)):
        message = etree.SubElement(root, _wsdl("message"), {"name": name})
        etree.SubElement(message, _wsdl("part"), {"name": "parameters", "element": element})
    header = etree.SubElement(root, _wsdl("message"), {"name": "requestHeader"})
    for part in _HEADER_PARTS:
        etree.SubElement(header, _wsdl("part"), {"name": part, "element": f"xrd:{part}"})
    if _names_recipients(service):
        part = etree.QName(names.RECIPIENTS).localname
        etree.SubElement(header, _wsdl("part"), {"name": part, "element": f"lt:{part}"})


def _names_recipients(service: Service) -> bool:
    rule = service.submission
    return rule is not None and rule.recipients is RecipientRule.NAMED


def _add_port_type(root: etree._Element, service: Service) -> None:
    code = service.id.service_code
    port_type = etree.SubElement(root, _wsdl("portType"), {"name": f"{code}PortType"})
    operation = etree.SubElement(port_type, _wsdl("operation"), {"name": code})
    documentation = etree.SubElement(operation, _wsdl("documentation"))
    title = etree.SubElement(documentation, f"{{{names.XROAD}}}title")
    title.text = service.title
    etree.SubElement(operation, _wsdl("input"), {"message": f"tns:{code}"})
    etree.SubElement(operation, _wsdl("output"), {"message": f"tns:{code}Response"})


def _add_binding(root: etree._Element, service: Service, soap: str) -> None:
    code = service.id.service_code
    binding = etree.SubElement(
        root, _wsdl("binding"), {"name": f"{code}Binding", "type": f"tns:{code}PortType"}
    )
    etree.SubElement(
        binding,
        f"{{{soap}}}binding",
        {"style": "document", "transport": "http://schemas.xmlsoap.org/soap/http"},
    )
    operation = etree.SubElement(binding, _wsdl("operation"), {"name": code})
    etree.SubElement(operation, f"{{{soap}}}operation", {"soapAction": "", "style": "document"})
    if service.id.service_version:
        version = etree.SubElement(operation, f"{{{names.XROAD}}}version")
        version.text = service.id.service_version
    for direction in ("input", "output"):
        side = etree.SubElement(operation, _wsdl(direction))
        etree.SubElement(side, f"{{{soap}}}body", {"use": "literal"})
        is_addressed = direction == "input" and _names_recipients(service)
        for part in (*_HEADER_PARTS, *(("recipients",) if is_addressed else ())):
            etree.SubElement(
                side,
                f"{{{soap}}}header",
                {"message": "tns:requestHeader", "part": part, "use": "literal"},
            )


def _add_service(root: etree._Element, code: str, location: str, soap: str) -> None:
    service = etree.SubElement(root, _wsdl("service"), {"name": f"{code}Service"})
    port = etree.SubElement(
        service, _wsdl("port"), {"name": f"{code}Port", "binding": f"tns:{code}Binding"}
    )
    etree.SubElement(port, f"{{{soap}}}address", {"location": location})


def _wsdl(name: str) -> str:
    return f"{{{_WSDL}}}{name}"
