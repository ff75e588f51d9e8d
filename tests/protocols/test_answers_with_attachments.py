"""What comes beside an answer is believed only if the answer's signature and receipt cover it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bus.core.attachments import message_digest
from bus.core.envelope import Envelope
from bus.core.limits import Limits
from bus.core.log.receipts import Receipt
from bus.core.value_prefixes import canonical_element
from bus.protocols.mime.signed_part import signed_part
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import (
    KnownHub,
    VerifiedAnswer,
    verify_answer,
    verify_recorded,
)
from bus.protocols.soap_xroad.write import (
    SigningTime,
    answer_blocks,
    with_receipt,
    write_with_blocks,
)
from signing.attachments import Attachment
from signing.signed_note import sign_note
from tests.attachments import attachment
from tests.nation import ANSWER, HUB, NOW, PROVIDER, SmallNation, payload, request
from tests.protocols.test_soap_xroad_verify_answer import KEY, ORIGIN

BESIDE = (
    attachment(),
    attachment(b"<a  b='1'/>", "x", "text/xml"),
    attachment(b"a\nb", "t", "text/plain"),
)


@pytest.fixture(scope="module")
def asked(nation: SmallNation) -> Envelope:
    return parse(request(nation), Limits())


@pytest.fixture(scope="module")
def known(nation: SmallNation) -> KnownHub:
    return KnownHub(trust=nation.rules.trust, member=HUB.member, receipt_key=KEY.verifying_key)


@pytest.fixture(scope="module")
def signed(nation: SmallNation, asked: Envelope) -> bytes:
    """The answer as the log keeps it."""
    return write_with_blocks(
        answer_blocks(asked),
        canonical_element(payload(ANSWER)),
        nation.signers[PROVIDER],
        SigningTime(NOW),
        attachments=[signed_part(one) for one in BESIDE],
    )


@pytest.fixture(scope="module")
def answer(signed: bytes, asked: Envelope) -> bytes:
    receipt = Receipt(
        origin=ORIGIN,
        time=NOW,
        received_index=1,
        received_hash=bytes(32),
        outcome_index=2,
        outcome_hash=bytes(32),
        request_digest=asked.digest,
        answer_digest=message_digest(signed, BESIDE),
    )
    return with_receipt(signed, sign_note(receipt.text(), [KEY]))


def test_an_answer_is_proved_with_what_came_beside_it(
    answer: bytes, signed: bytes, asked: Envelope, known: KnownHub
) -> None:
    found = verify_answer(answer, asked, known, NOW, BESIDE)

    assert isinstance(found, VerifiedAnswer)
    assert found.attachments == BESIDE
    assert verify_recorded(signed, asked, known, NOW, BESIDE) is None


@pytest.mark.parametrize(
    "sent",
    [
        (),
        BESIDE[:2],
        (*BESIDE, attachment(b"more", "m")),
        (attachment(b"other"), *BESIDE[1:]),
        (BESIDE[1], BESIDE[0], BESIDE[2]),
        (replace(BESIDE[0], media_type="image/png"), *BESIDE[1:]),
        (BESIDE[0], attachment(b"<a", "x", "text/xml"), BESIDE[2]),
    ],
    ids=["none", "one fewer", "one more", "another", "another order", "another type", "no XML"],
)
def test_an_answer_with_anything_else_beside_it_is_not_believed(
    sent: tuple[Attachment, ...], answer: bytes, asked: Envelope, known: KnownHub
) -> None:
    with pytest.raises(AnswerRejected):
        verify_answer(answer, asked, known, NOW, sent)
