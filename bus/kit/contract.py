"""The adapter contract: what an adapter is given, what it gives back, what it may raise.

An adapter speaks to one agency, or to several of one kind. The hub has already proved who asks,
decided that it may, checked the request against the service's schema and recorded it; the adapter
translates and calls. A query is answered at once (`answer`); a submission was accepted before, and
is delivered until the agency says that it has it (`deliver`).
"""

from __future__ import annotations

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
from signing.quick_init import quick_init

__all__ = [
    "AccountRefused",
    "Adapter",
    "AdapterSettings",
    "Answer",
    "AnswerInvalid",
    "Attachment",
    "BusError",
    "Delivered",
    "Disposition",
    "PayloadRejected",
    "Query",
    "RecipientRefused",
    "RecipientTimeout",
    "RecipientUnavailable",
    "Rejected",
    "Retry",
    "ServiceFault",
    "ServiceId",
    "SettingRefused",
    "Submission",
    "SubsystemId",
    "attachment_named",
    "attachment_of_bytes",
    "attachment_of_file",
    "parse_xml",
]

AdapterSettings = Mapping[str, str]
"""What the operator set for this adapter: address, account, secret; keys as in its manifest."""


@quick_init
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


@quick_init
@dataclass(frozen=True, slots=True)
class Answer:
    """The agency's answer: one element, valid against the service's schema."""

    element: etree._Element = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    """What goes back beside it, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission(Query):
    """An accepted message on its way to one of its recipients.

    `idempotency_key` names this delivery to this recipient, and is the same in every attempt.
    """

    recipient: SubsystemId
    """Who is to have it: an adapter may speak to several agencies of one kind."""
    attempt: int = 1
    may_be_repeated: bool = False
    """An attempt came before of which nobody knows whether the agency acted."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The agency has the message, and has acted on it or will."""

    element: etree._Element | None = field(default=None, repr=False)
    """What it said, valid against the service's schema; None: it says nothing."""
    attachments: tuple[Attachment, ...] = ()
    """What came beside that, in order."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The agency did not act, and may later: it is asked again."""

    after_seconds: float | None = None
    """Not before that; None: as the service's retry policy says."""
    reason: str = ""
    """For operators; one line."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The agency refused for good, and did not act."""

    code: str = ""
    """What the agency calls the reason; one word."""
    reason: str = ""
    """For the sender; one line."""


Disposition = Delivered | Retry | Rejected
"""What became of one attempt at a delivery, in the words of the adapter."""


class Adapter:
    """Speak to one agency.

    The hub makes one instance at start-up and calls `answer` and `deliver` from several threads at
    once, at most `concurrency` of the manifest. Each carries what it overrides: `answer` queries,
    `deliver` submissions. What is not one of the errors below counts as AdapterBroken: the sender
    gets `adapter.broken`, the operator gets the traceback.
    """

    answers_at_once: ClassVar[bool] = False
    """True: `answer`, `find` and `deliver` never wait for anything, and are called without a thread
    of their own."""

    def __init__(self, settings: AdapterSettings) -> None:
        self.settings = settings

    def answer(self, query: Query) -> Answer:
        """Ask the agency and give its answer.

        Raises PayloadRejected (the request cannot be said in the agency's form),
        AccountRefused (the agency does not let the hub in), RecipientUnavailable,
        RecipientTimeout, RecipientRefused (the agency said no for good),
        ServiceFault (it said no in a SOAP fault, which goes on to whoever asks), AnswerInvalid
        (what came back is no answer).
        """
        raise NotImplementedError(f"{type(self).__name__} carries no queries")

    def deliver(self, submission: Submission) -> Disposition:
        """Bring a message to the agency once, and say what it says.

        Hand the agency the idempotency key: a message that comes again under it must have no second
        effect. Raises what `answer` raises. RecipientTimeout and RecipientBrokeOff leave it open
        whether the agency acted; the other RecipientUnavailable say that it did not.
        """
        raise NotImplementedError(f"{type(self).__name__} carries no submissions")

    def find(self, submission: Submission) -> Delivered | None:
        """What the agency says of a message that it may have had before; None: it never had it.

        Asked before another attempt, if the service says `repeats: asked`. Raises what `answer`
        raises.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot ask for what was delivered")

    def probe(self, recipient: SubsystemId, timeout_seconds: float) -> None:
        """See whether the agency can be reached, without a message. Raises RecipientUnavailable,
        RecipientTimeout.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be probed")

    def close(self) -> None:
        """Release connections; called once at shutdown. Most adapters hold none."""


def overrides(adapter: type[Adapter], method: str) -> bool:
    """Whether a class of adapters has this method of its own: `deliver`, `find`, `probe` …"""
    return getattr(adapter, method) is not getattr(Adapter, method)
