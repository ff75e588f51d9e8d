"""Validate a payload against the schema of its service.

A value may use a prefix: xsi:type, and what the schema says is an xs:QName. What it is bound to
must stand in what was signed, or the schema must leave one meaning only: a stranger could else
change what a signed message says. What goes on, and what is signed as an answer, holds its
bindings (bus.core.value_prefixes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from bus.core import errors, mailbox_services, metaservices
from bus.core.attachments import check_references, for_schema, included_ids, require_allowed
from bus.core.authorisation import AuthorisedMessage
from bus.core.identifiers import ServiceId
from bus.core.registry import Service
from bus.core.schema_kinds import Kind
from bus.core.value_prefixes import (
    XSI_MARK,
    CanonicalElement,
    ValueUse,
    canonical_element,
    value_uses,
)
from bus.core.verification import BODY
from bus.core.xml import parse_again
from signing.attachments import Attachment
from signing.quick_init import quick_init


@dataclass(frozen=True, slots=True)
class SchemaMistake:
    """Where an element breaks its schema, and what was expected. No values: they are private."""

    line: int
    path: str
    expected: str
    is_vague: bool = False
    """Whether it says only that there is a mistake."""

    def __str__(self) -> str:
        return f"line {self.line}, {self.path}: {self.expected}"


def line_of(element: etree._Element) -> int:
    """The line of an element in the bytes as received; 1 for one that was made here."""
    line: int | None = element.sourceline  # type: ignore[assignment]
    return 1 if line is None else line


class PayloadSchema(Protocol):
    """The compiled schema of one service; compiled at start-up, by an edge."""

    namespace: str
    """Target namespace of request and answer element."""
    digest: bytes
    """SHA-256 of the schema's text."""
    kinds: Mapping[str, frozenset[Kind]]
    """Which elements hold bytes or references, by tag."""
    has_qnames: bool
    """Whether a value, other than xsi:type, may be an xs:QName or xs:NOTATION."""

    def is_only_type(self, namespace: str, local_name: str) -> bool:
        """Whether this type is known, and no other namespace that is known has one of its name."""
        ...

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`, or None: it is valid."""
        ...


@dataclass(slots=True)
class _OpenSchema:
    """Any content of an element of its namespace: a metaservice reads its own."""

    namespace: str
    digest: bytes = b""
    kinds: Mapping[str, frozenset[Kind]] = field(default_factory=dict)
    has_qnames: bool = False

    def is_only_type(self, namespace: str, local_name: str) -> bool:
        return True  # a metaservice reads no types

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        return None


_METASERVICE_SCHEMA = _OpenSchema(metaservices.NAMESPACE)
_MAILBOX_SCHEMA = _OpenSchema(mailbox_services.NAMESPACE)


def schema_of(service: Service, schemas: Mapping[ServiceId, PayloadSchema]) -> PayloadSchema:
    """The schema of a service's messages."""
    if metaservices.is_metaservice(service):
        return _METASERVICE_SCHEMA
    return _MAILBOX_SCHEMA if mailbox_services.is_mailbox_service(service) else schemas[service.id]


@quick_init
@dataclass(frozen=True, slots=True)
class ValidMessage:
    """A message whose payload follows its schema. Made by `validate` only."""

    authorised: AuthorisedMessage
    schema: PayloadSchema = field(repr=False)


def validate(
    authorised: AuthorisedMessage, schemas: Mapping[ServiceId, PayloadSchema]
) -> ValidMessage:
    """Check the request element and what stands beside it.

    Raises PayloadInvalid with line, path and expectation; AttachmentNotAllowed,
    AttachmentReferenceInvalid.
    """
    schema = schema_of(authorised.service, schemas)
    payload = authorised.verified.envelope.payload
    _require_name(payload, schema, authorised.service.id.service_code, errors.PayloadInvalid)
    attachments = authorised.verified.attachments
    if attachments or authorised.service.attachments is not None:
        require_allowed(authorised.service.attachments, attachments, included_ids(payload))
        check_references(payload, attachments, schema.kinds)
        payload = for_schema(payload)
    mistake = schema.mistake(payload)
    if mistake is not None:
        raise errors.PayloadInvalid(public_detail=str(mistake))
    signed_body = authorised.verified.canonical_parts[BODY]
    if schema.has_qnames or XSI_MARK in signed_body:
        _require_signed_bindings(authorised.verified.envelope.payload, signed_body, schema)
    return ValidMessage(authorised, schema)


def validate_answer(
    answer: etree._Element,
    service: Service,
    schema: PayloadSchema,
    attachments: tuple[Attachment, ...] = (),
) -> CanonicalElement:
    """Check the answer element, in the form in which it is to be signed; give this form.

    Raises AnswerInvalid with line, path and expectation.
    """
    try:
        form = canonical_element(answer, all_values=schema.has_qnames)
    except errors.NoCanonicalForm as error:
        raise errors.AnswerInvalid(public_detail=str(error)) from error
    if form.prefixes:
        answer = parse_again(form.canonical)
    _require_name(answer, schema, f"{service.id.service_code}Response", errors.AnswerInvalid)
    if attachments or service.answer_attachments is not None:
        try:
            require_allowed(service.answer_attachments, attachments, included_ids(answer))
            check_references(answer, attachments, schema.kinds)
        except errors.BusError as error:
            raise errors.AnswerInvalid(public_detail=str(error)) from error
        answer = for_schema(answer)
    mistake = schema.mistake(answer)
    if mistake is not None:
        raise errors.AnswerInvalid(public_detail=str(mistake))
    return form


def _require_signed_bindings(
    payload: etree._Element, signed_body: bytes, schema: PayloadSchema
) -> None:
    """Raises PayloadInvalid: a value uses a prefix that could mean something else unnoticed."""
    uses: dict[etree._Element, list[ValueUse]] = {}
    for use in value_uses(payload, all_values=schema.has_qnames):
        uses.setdefault(use.holder, []).append(use)
    if not uses:
        return
    signed = parse_again(signed_body)[0]
    for holder, as_signed in zip(payload.iter(), signed.iter(), strict=True):
        for use in uses.get(holder, ()):
            is_signed = (as_signed.nsmap.get(use.prefix or None) or "") == use.namespace
            is_certain = use.is_type and schema.is_only_type(use.namespace, use.local_name)
            if not is_signed and not is_certain and not use.is_of_envelope:
                name = f"prefix {use.prefix}" if use.prefix else "default namespace"
                told = f"the {name} of a value is bound where the signature does not reach"
                path = etree.QName(holder).localname
                raise errors.PayloadInvalid(
                    public_detail=str(SchemaMistake(line_of(holder), path, told))
                )


def _require_name(
    element: etree._Element,
    schema: PayloadSchema,
    local_name: str,
    error: type[errors.BusError],
) -> None:
    expected = f"{{{schema.namespace}}}{local_name}"
    if element.tag != expected:
        raise error(
            public_detail=str(
                SchemaMistake(line_of(element), "Body/*", f"expected element {expected}")
            )
        )
