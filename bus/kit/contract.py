"""The adapter contract: what an adapter is given, what it gives back, what it may raise.

An adapter speaks to one agency. The hub has already proved who asks, decided that it may, checked
the request against the service's schema and recorded it; the adapter translates and calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lxml import etree

from bus.core.attachments import attachment_named
from bus.core.errors import (
    AccountRefused,
    AnswerInvalid,
    BusError,
    PayloadRejected,
    RecipientRefused,
    RecipientTimeout,
    RecipientUnavailable,
    ServiceFault,
)
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_again, parse_xml
from bus.http.refused_settings import SettingRefused
from bus.kit.made_attachments import attachment_of_bytes, attachment_of_file
from signing.attachments import Attachment

__all__ = [
    "AccountRefused",
    "Adapter",
    "AdapterSettings",
    "Answer",
    "AnswerInvalid",
    "Attachment",
    "BusError",
    "PayloadRejected",
    "Query",
    "RecipientRefused",
    "RecipientTimeout",
    "RecipientUnavailable",
    "ServiceFault",
    "ServiceId",
    "SettingRefused",
    "SubsystemId",
    "attachment_named",
    "attachment_of_bytes",
    "attachment_of_file",
    "parse_xml",
]

AdapterSettings = Mapping[str, str]
"""What the operator set for this adapter: address, account, secret; keys as in its manifest."""


@dataclass(frozen=True, slots=True)
class Query:
    """A request that may pass: verified, authorised, valid against its schema, recorded."""

    service: ServiceId
    client: SubsystemId
    message_id: str
    idempotency_key: str
    """The same for every attempt at the same message: hand it on where the agency takes one."""
    user_id: str
    """The officer in whose name is asked; empty if the message names none. Any text, as it was
    sent, as is `issue`: of several lines, too, so that no HTTP header can take it as it stands."""
    issue: str
    """The case that the question belongs to; empty if the message names none."""
    purpose: str
    """Why the grant allows this question."""
    payload: bytes = field(repr=False)
    """The one element of the Body, exclusive canonical XML: the very bytes that were signed."""
    timeout_seconds: float
    """How long the agency may take; after that the hub answers without it."""
    attachments: tuple[Attachment, ...] = ()
    """What came beside the payload, in order; each was signed with it."""
    header_blocks: bytes = field(default=b"", repr=False)
    """Every header block of an X-Road namespace, those that the hub does not read among them, one
    behind the other in canonical form; and a requestHash, which is the answer's."""
    soap_action: str = ""
    """The SOAPAction of the request, without quotes. Nobody signed it: hand it on, decide nothing
    by it."""

    def element(self) -> etree._Element:
        """The payload as a tree of its own."""
        return parse_again(self.payload)


@dataclass(frozen=True, slots=True)
class Answer:
    """The agency's answer: one element, valid against the service's schema."""

    element: etree._Element = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    """What goes back beside it, in order."""


class Adapter(ABC):
    """Speak to one agency.

    The hub makes one instance at start-up and calls `answer` from several threads at once, at
    most `concurrency` of the manifest. What is not one of the errors below counts as
    AdapterBroken: the sender gets `adapter.broken`, the operator gets the traceback.
    """

    answers_at_once: ClassVar[bool] = False
    """True: `answer` never waits for anything, and is called without a thread of its own."""

    def __init__(self, settings: AdapterSettings) -> None:
        self.settings = settings

    @abstractmethod
    def answer(self, query: Query) -> Answer:
        """Ask the agency and give its answer.

        Raises PayloadRejected (the request cannot be said in the agency's form),
        AccountRefused (the agency does not let the hub in), RecipientUnavailable,
        RecipientTimeout, RecipientRefused (the agency said no for good),
        ServiceFault (it said no in a SOAP fault, which goes on to whoever asks), AnswerInvalid
        (what came back is no answer).
        """

    def close(self) -> None:  # noqa: B027 - most adapters hold nothing that must be closed
        """Release connections; called once at shutdown."""
