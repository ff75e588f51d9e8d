"""Send to whichever hub answers, the same bytes until one accepts them; remember what was told."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from bus.client.hub_client import (
    AnswerRejected,
    FaultReceived,
    HubClient,
    HubUnreachable,
    Labels,
    VerifiedAcceptance,
    VerifiedAnswer,
)
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.log.receipts import RECEIPT_NAME
from bus.core.xml import parse_xml
from bus.kit.made_attachments import attachment_of_bytes
from bus.sandbox.cluster.site import ClusterSite
from signing.attachments import Attachment

ANSWER_SECONDS_MAX = 20.0
"""After so long without an answer the sender turns to the other hub: this one may be paused."""
SENDERS = 4
CASES = 12
"""So many cases advance at the same time, each step after the one before."""
DOCUMENT_EVERY = 30
"""Each so many messages one goes to many recipients."""
ATTACHMENT_BYTES = 100_000
_AGAIN_SECONDS = 0.2
_KEPT = 200
"""So many of the last messages are kept, to be sent again."""


class CopyToldElse(Exception):
    """A copy of a message was told something else than the message itself."""


@dataclass(frozen=True, slots=True)
class ToldAcceptance:
    """What a sender was told, proved by it."""

    origin: str
    """Of the log in which the message stands."""
    index: int
    """Of its entry there."""
    recipients: int


@dataclass(frozen=True, slots=True)
class ToldAnswer:
    """Whose answer a sender was told, proved by it."""

    origin: str
    """Of the log in which it stands."""
    received: int
    outcome: int
    """Entries there."""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message as it went over the line."""

    id: str
    request: bytes = field(repr=False)
    attachments: tuple[Attachment, ...]
    """What goes beside it."""
    subsystem: SubsystemId
    """Who sent it."""


@dataclass(slots=True)
class SendingAccounts:
    """What senders saw."""

    sent: int = 0
    accepted: dict[str, ToldAcceptance] = field(default_factory=dict)
    """By message id."""
    answered: dict[str, ToldAnswer] = field(default_factory=dict)
    """By message id."""
    again: int = 0
    """How often bytes were sent once more."""
    told_by_other: int = 0
    """Messages whose entry stands in the log of another hub than the one that told of it."""
    refused: Counter[str] = field(default_factory=Counter)
    """Codes of faults that no copy can change."""


class Senders:
    """Threads that send until they are told to stop. Every method may be called at any time."""

    def __init__(self, site: ClusterSite, per_second: float) -> None:
        """`per_second`: no more than so many new messages, all threads together."""
        self._site = site
        self._pause = 1.0 / per_second
        self._lock = threading.Lock()
        self._accounts = SendingAccounts()
        self._last: deque[SentMessage] = deque(maxlen=_KEPT)
        self._numbers = itertools.count(1)
        self._is_ending = threading.Event()
        self._is_given_up = threading.Event()
        self._trouble: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"sender-{number}")
            for number in range(SENDERS)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self, *, is_given_up: bool = False) -> SendingAccounts:
        """Send nothing new; what was sent is sent on until a hub tells what became of it, unless
        all of it is given up. Gives what was seen.

        Raises whatever a sender met that it had no answer to.
        """
        if is_given_up:
            self._is_given_up.set()
        self._is_ending.set()
        for thread in self._threads:
            thread.join()
        if self._trouble is not None:
            raise self._trouble
        return self._accounts

    @property
    def has_failed(self) -> bool:
        """Whether a sender met what it has no answer to; `stop` raises it."""
        return self._trouble is not None

    def counts(self) -> tuple[int, int]:
        """How many messages were sent until now, and accepted or answered."""
        with self._lock:
            done = len(self._accounts.accepted) + len(self._accounts.answered)
            return self._accounts.sent, done

    def send_copies(self, origin: str, hub: str, count: int) -> int:
        """Send the very bytes of messages that the log `origin` holds to a hub once more; each must
        be told what it was told first. Gives how many were sent.

        Raises CopyToldElse, HubUnreachable, FaultReceived, AnswerRejected.
        """
        with self._lock:
            known = dict(self._accounts.accepted)
            ours = [one for one in self._last if one.id in known]
            found = [one for one in ours if known[one.id].origin == origin][-count:]
        for message in found:
            client = self._site.client(self._site.hubs[hub], message.subsystem, ANSWER_SECONDS_MAX)
            try:
                told = _accepted(client.exchange_any(message.request, message.attachments))
            finally:
                client.close()
            if told != known[message.id]:
                raise CopyToldElse(f"a copy of {message.id} was accepted as another message")
        return len(found)

    def _run(self, number: int) -> None:
        clients: dict[tuple[str, SubsystemId], HubClient] = {}
        try:
            kinds = _kinds(self._site)
            for name, hub in self._site.hubs.items():
                for _, subsystem in kinds:
                    client = self._site.client(hub, subsystem, ANSWER_SECONDS_MAX)
                    clients[name, subsystem] = client
            while not self._is_ending.wait(self._pause * SENDERS):
                self._send_next(number, kinds, clients)
        except BaseException as error:  # told by `stop`, in the thread that asks
            self._trouble = error
        finally:
            for client in clients.values():
                client.close()

    def _send_next(
        self,
        number: int,
        kinds: tuple[tuple[ServiceId, SubsystemId], ...],
        clients: dict[tuple[str, SubsystemId], HubClient],
    ) -> None:
        with self._lock:
            place = next(self._numbers)
            self._accounts.sent += 1
        service, subsystem = kinds[_kind_of(place, number)]
        message_id = f"cluster-{place:06}"
        labels = Labels(message_id, issue=f"case-{place % CASES:02}")
        hubs = itertools.cycle([*self._site.hubs][number % 2 :] + [*self._site.hubs][: number % 2])
        first = clients[next(hubs), subsystem]
        beside = _beside(self._site, service)
        request = first.sign(service, _element(self._site, service), labels, beside)
        self._send(SentMessage(message_id, request, beside, subsystem), hubs, clients)

    def _send(
        self,
        message: SentMessage,
        hubs: Iterator[str],
        clients: dict[tuple[str, SubsystemId], HubClient],
    ) -> None:
        """The same bytes, to one hub after the other, until one tells what became of them."""
        for hub in hubs:
            if self._is_given_up.is_set():
                return
            try:
                client = clients[hub, message.subsystem]
                told = client.exchange_any(message.request, message.attachments)
            except HubUnreachable:
                pass
            except FaultReceived as error:
                if not error.fault.is_retryable:
                    with self._lock:
                        self._accounts.refused[error.fault.code] += 1
                    return
            else:
                self._remember(message, hub, told)
                return
            with self._lock:
                self._accounts.again += 1
            threading.Event().wait(_AGAIN_SECONDS)

    def _remember(
        self, message: SentMessage, hub: str, told: VerifiedAnswer | VerifiedAcceptance
    ) -> None:
        told_of = _answer(told) if isinstance(told, VerifiedAnswer) else _accepted(told)
        with self._lock:
            if isinstance(told_of, ToldAnswer):
                self._accounts.answered[message.id] = told_of
            else:
                self._accounts.accepted[message.id] = told_of
                self._last.append(message)
            self._accounts.told_by_other += told_of.origin != self._site.hubs[hub].origin


def _answer(told: VerifiedAnswer) -> ToldAnswer:
    receipt = told.receipt
    origin = receipt.origin.removesuffix(RECEIPT_NAME)
    return ToldAnswer(origin, receipt.received_index, receipt.outcome_index)


def _accepted(told: VerifiedAnswer | VerifiedAcceptance) -> ToldAcceptance:
    if not isinstance(told, VerifiedAcceptance):
        raise AnswerRejected("it was answered at once: nothing will be delivered")
    receipt = told.receipt
    origin = receipt.origin.removesuffix(RECEIPT_NAME)
    return ToldAcceptance(origin, receipt.received_index, receipt.recipients_count)


def _kinds(site: ClusterSite) -> tuple[tuple[ServiceId, SubsystemId], ...]:
    """What is sent, and who sends it, by `_kind_of`."""
    traffic = site.traffic
    document = traffic.document
    return (
        (traffic.step, traffic.step_client),
        (document.service, document.sender),
        (traffic.question, traffic.question_client),
    )


def _kind_of(place: int, sender: int) -> int:
    """The first sender asks, and waits where nobody can be asked; the others submit steps of
    cases, and now and then a document."""
    if sender == 0:
        return 2
    return int(place % DOCUMENT_EVERY == 0)


def _beside(site: ClusterSite, service: ServiceId) -> tuple[Attachment, ...]:
    """A file beside what may have one: whoever goes on with a log must have it, too."""
    rule = site.registry.services[service].attachments
    if rule is None:
        return ()
    media_type = next(iter(sorted(rule.types)), "application/octet-stream")
    content = os.urandom(ATTACHMENT_BYTES)
    return (attachment_of_bytes(content, content_id="tep@lienthong", media_type=media_type),)


def _element(site: ClusterSite, service: ServiceId) -> etree._Element:
    raw = site.traffic.samples[service]
    return parse_xml(raw, bytes_max=len(raw))
