"""Validate a payload against the schema of its service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from lxml import etree

from bus.core import errors
from bus.core.attachments import check_references, for_schema, require_allowed
from bus.core.authorisation import AuthorisedMessage
from bus.core.identifiers import ServiceId
from bus.core.metaservices import NAMESPACE, is_metaservice
from bus.core.nation import Service
from signing.attachments import Attachment


@dataclass(frozen=True, slots=True)
class SchemaMistake:
    """Where an element breaks its schema, and what was expected. No values: they are private."""

    line: int
    path: str
    expected: str

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

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        """The first mistake of `element`, or None: it is valid."""
        ...


@dataclass(slots=True)
class _OpenSchema:
    """Any content of an element of its namespace: a metaservice reads its own."""

    namespace: str
    digest: bytes = b""

    def mistake(self, element: etree._Element) -> SchemaMistake | None:
        return None


_METASERVICE_SCHEMA = _OpenSchema(NAMESPACE)


def schema_of(service: Service, schemas: Mapping[ServiceId, PayloadSchema]) -> PayloadSchema:
    """The schema of a service's messages."""
    return _METASERVICE_SCHEMA if is_metaservice(service) else schemas[service.id]


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
        require_allowed(authorised.service.attachments, attachments)
        check_references(payload, attachments)
        payload = for_schema(payload)
    mistake = schema.mistake(payload)
    if mistake is not None:
        raise errors.PayloadInvalid(public_detail=str(mistake))
    return ValidMessage(authorised, schema)


def validate_answer(
    answer: etree._Element, valid: ValidMessage, attachments: tuple[Attachment, ...] = ()
) -> None:
    """Check the answer element; raises AnswerInvalid with line, path and expectation."""
    service = valid.authorised.service
    _require_name(answer, valid.schema, f"{service.id.service_code}Response", errors.AnswerInvalid)
    if attachments or service.answer_attachments is not None:
        try:
            require_allowed(service.answer_attachments, attachments)
            check_references(answer, attachments)
        except errors.BusError as error:
            raise errors.AnswerInvalid(public_detail=str(error)) from error
        answer = for_schema(answer)
    mistake = valid.schema.mistake(answer)
    if mistake is not None:
        raise errors.AnswerInvalid(public_detail=str(mistake))


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
