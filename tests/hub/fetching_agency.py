"""An agency that fetches from its mailbox at a hub that runs in the test."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

from bus.core.deliveries import DeliveryKey
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.mailbox_services import NAMESPACE
from bus.protocols.mailbox import (
    Acknowledgement,
    MailboxRequest,
    MessageFetchRequest,
    MessageListRequest,
    ReceiptListRequest,
    ReceiptRequest,
    ReceiptsAcknowledged,
    read_delivery_name,
)
from bus.protocols.soap_xroad.mailbox import write_mailbox_request
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.settings.hub import packaged_folder
from tests.hub.running_hub import RunningHub
from tests.hub.submission_nation import BOX
from tests.nation import HUB

_SCHEMA = etree.XMLSchema(
    etree.parse(str(packaged_folder("schemas") / "lienthong/1.0/mailbox.xsd"))
)


class Refused(Exception):
    """The hub refused; the words are the code of its fault."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message that was handed out."""

    key: DeliveryKey
    lease: str
    idempotency_key: str
    envelope: bytes = field(repr=False)
    receipt: bytes = field(repr=False)
    may_be_known: bool = False

    @property
    def message_id(self) -> str:
        return parse(self.envelope, Limits()).message_id


@dataclass(slots=True)
class FetchingAgency:
    """One puller of a mailbox."""

    hub: RunningHub
    box: SubsystemId = BOX
    name: str = "p"
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def listed(self, after: DeliveryKey | None = None, count: int = 100) -> list[str]:
        """What lies there, by the names of deliveries."""
        answer = await self.ask(MessageListRequest(after, count))
        return [text_of(one, "delivery") for one in answer.iter(tag("message"))]

    async def fetch(self, count: int = 1, seconds: int = 300) -> list[Fetched]:
        return fetched_in(await self.ask(MessageFetchRequest(count, seconds)))

    async def accept(self, one: Fetched) -> etree._Element:
        return await self.ask(Acknowledgement(one.key, one.lease, is_refused=False))

    async def refuse(self, one: Fetched, code: str = "not-ours") -> etree._Element:
        said = Acknowledgement(one.key, one.lease, is_refused=True, code=code, reason="Không phải")
        return await self.ask(said)

    async def receipts(self, after: int | None = None, count: int = 100) -> list[etree._Element]:
        answer = await self.ask(ReceiptListRequest(after, count))
        return list(answer.iter(tag("closed")))

    async def receipt(self, entry: int) -> etree._Element:
        return await self.ask(ReceiptRequest(entry))

    async def have_receipts(self, *entries: int) -> int:
        return int(text_of(await self.ask(ReceiptsAcknowledged(entries)), "removed"))

    async def ask(self, asked: MailboxRequest) -> etree._Element:
        """The answer, proved and of its schema. Raises Refused."""
        return await self.send(self.written(asked))

    def written(self, asked: MailboxRequest, message_id: str = "") -> bytes:
        return self.written_element(write_mailbox_request(asked), message_id)

    def written_element(self, element: etree._Element, message_id: str = "") -> bytes:
        code = etree.QName(element).localname
        header = RequestHeader(
            self.box, ServiceId(HUB, code, ""), message_id or f"{self.name}-{next(self._ids)}"
        )
        signer = self.hub.nation.signers[self.box]
        return write_request(header, element, signer, SigningTime(self.hub.clock.now))

    async def send(self, raw: bytes) -> etree._Element:
        """What a signed request is told. Raises Refused."""
        proved = self.hub.proved(await self.hub.post(raw), raw)
        if isinstance(proved, VerifiedFault):
            raise Refused(proved.fault.code)
        assert isinstance(proved, VerifiedAnswer)
        _SCHEMA.assertValid(etree.fromstring(etree.tostring(proved.payload)))
        return proved.payload


def fetched_in(answer: etree._Element) -> list[Fetched]:
    lease = text_of(answer, "lease")
    found = []
    for one in answer.iter(tag("message")):
        key = read_delivery_name(text_of(one, "delivery"))
        assert key is not None
        found.append(
            Fetched(
                key,
                lease,
                text_of(one, "idempotencyKey"),
                base64.b64decode(text_of(one, "envelope")),
                base64.b64decode(text_of(one, "receipt")),
                text_of(one, "mayBeKnown") == "true",
            )
        )
    return found


def tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def text_of(parent: etree._Element, name: str) -> str:
    return parent.findtext(tag(name), "")
