"""What stands beside an envelope is proved, recorded and delivered with it, or nothing is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core import errors
from bus.core.envelope import SoapVersion
from bus.core.log.leaf import Event
from bus.kit.contract import Answer, Query, attachment_of_bytes
from bus.log.files import ATTACHMENTS
from bus.protocols.mime.write import write_related
from bus.protocols.soap_xroad.read_answer import AnswerRejected
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from signing.attachments import Attachment
from tests.hub.running_hub import HttpReply, OpenHub, RunningHub, opened
from tests.hub.sending_attachments import (
    audit,
    content,
    nation_with_attachments,
    pdf,
    post,
    proved,
    send,
    signed,
    taken_apart,
)
from tests.nation import ANSWER, SAMPLE, SmallNation, payload, request

XOP = "http://www.w3.org/2004/08/xop/include"


@pytest.fixture(scope="module")
def taking(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return nation_with_attachments(nation, tmp_path_factory.mktemp("routes"))


@pytest.fixture
def hub(taking: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(taking, tmp_path) as one:
        yield one


def files_of(running: RunningHub) -> list[Path]:
    return [one for one in (running.log_folder / ATTACHMENTS).rglob("*") if one.is_file()]


def test_attachments_reach_the_agency_and_come_back_signed_and_recorded(
    taking: SmallNation, hub: OpenHub, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        large = pdf(bytes(range(256)) * 2000)
        given = [
            large,
            attachment_of_bytes(b"a\nb", content_id="t", media_type="text/plain"),
            attachment_of_bytes(b"<a  b='1'/>", content_id="x", media_type="text/xml"),
        ]
        back = (pdf(b"%PDF back", "back"), pdf(b"", "empty"))
        running.agency.script = lambda _: Answer(payload(ANSWER), back)
        soap = signed(taking, given)

        answer = await send(running, soap, given)

        assert isinstance(answer, VerifiedAnswer), answer
        (query,) = running.agency.asked
        assert [content(one) for one in query.attachments] == [content(one) for one in given]
        assert [content(one) for one in answer.attachments] == [b"%PDF back", b""]
        received, outcome = running.leaves()[-2:]
        assert (received.event, outcome.event) == (Event.RECEIVED, Event.OUTCOME)
        assert {one.name for one in files_of(running)} == {
            leaf.stored.hex() for leaf in (received, outcome) if leaf.stored
        }

    hub.tell(story)
    assert audit(taking, tmp_path / "log") == []


def test_a_message_of_soap_1_2_has_attachments_too(taking: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        back = (pdf(b"back"),)
        running.agency.script = lambda _: Answer(payload(ANSWER), back)
        soap = signed(taking, [pdf()], soap_version=SoapVersion.SOAP_1_2)

        reply = await post(running, write_related(soap, [pdf()], soap_type="application/soap+xml"))

        assert isinstance(proved(running, reply, soap, [pdf()]), VerifiedAnswer)
        whole = taken_apart(reply)
        assert whole is not None
        assert whole.soap_head.content_type.media_type == "application/soap+xml"

    hub.tell(story)


def test_a_copy_gets_the_first_answer_with_its_attachments(
    taking: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        running.agency.script = lambda _: Answer(payload(ANSWER), (pdf(b"back"),))
        soap = signed(taking, [pdf()])

        first = await post(running, write_related(soap, [pdf()]))
        second = await post(running, write_related(soap, [pdf()]))

        assert second.body == first.body
        assert len(running.agency.asked) == 1
        assert len(files_of(running)) == 2

    hub.tell(story)


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("base64", base64.encodebytes), ("quoted-printable", binascii.b2a_qp), ("binary", bytes)],
)
def test_a_document_is_the_same_however_it_travelled(
    taking: SmallNation,
    hub: OpenHub,
    tmp_path: Path,
    encoding: str,
    encode: Callable[[bytes], bytes],
) -> None:
    """RFC 2045 §6: an encoding says how a part travels, and a signature covers the part."""

    async def story(running: RunningHub) -> None:
        document = b"n\xe1\xbb\x99i dung = 1"
        soap = signed(taking, [pdf(document)])

        reply = await post_raw(running, travelling(soap, encode(document), encoding))

        assert isinstance(proved(running, reply, soap, [pdf(document)]), VerifiedAnswer)
        (query,) = running.agency.asked
        assert [content(one) for one in query.attachments] == [document]

    hub.tell(story)
    assert audit(taking, tmp_path / "log") == []


@pytest.mark.parametrize(
    ("signed_bytes", "travelled", "encoding", "code"),
    [
        (b"bm9pIGR1bmc=", b"bm9pIGR1bmc=", "base64", "signature.digest-mismatch"),
        (b"noi dung", b"noi dung", "base64", "envelope.mime"),
        (b"noi dung", b"noi dung", "x-gzip64", "envelope.mime"),
    ],
    ids=["a header that was put there on the way", "broken", "unknown"],
)
def test_no_document_is_spoilt_by_a_transfer_encoding(
    taking: SmallNation,
    hub: OpenHub,
    signed_bytes: bytes,
    travelled: bytes,
    encoding: str,
    code: str,
) -> None:
    async def story(running: RunningHub) -> None:
        soap = signed(taking, [pdf(signed_bytes)])

        reply = await post_raw(running, travelling(soap, travelled, encoding))

        assert f"<lt:code>{code}<".encode() in reply.body
        assert running.agency.asked == []

    hub.tell(story)


def travelling(soap: bytes, content: bytes, encoding: str) -> bytes:
    """A message whose attachment travels in this form."""
    head = f"Content-Type: application/pdf\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return b"".join(
        (
            b"--b\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n",
            soap,
            b"\r\n--b\r\n",
            head.encode(),
            b"Content-ID: <a@x>\r\n\r\n",
            content,
            b"\r\n--b--\r\n",
        )
    )


async def post_raw(running: RunningHub, raw: bytes) -> HttpReply:
    return await running.post(raw, content_type=b'multipart/related; type="text/xml"; boundary=b')


def test_the_same_id_with_another_attachment_is_refused(taking: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        for body, expected in ((b"first", None), (b"second", "message-id.conflict")):
            found = await send(running, signed(taking, [pdf(body)]), [pdf(body)])
            code = found.fault.code if isinstance(found, VerifiedFault) else None
            assert code == expected

    hub.tell(story)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([], "signature.malformed"),
        ([pdf(), pdf(b"2", "b")][:1], "signature.malformed"),
        ([pdf(b"changed"), pdf(b"2", "b")], "signature.digest-mismatch"),
        ([pdf(b"2"), pdf(b"%PDF-1.7 \x00\xff", "b")], "signature.digest-mismatch"),
        ([pdf(), pdf(b"2", "b"), pdf(b"3", "c")], "signature.coverage"),
    ],
    ids=["all left out", "one left out", "one changed", "swapped", "one more"],
)
def test_attachments_that_are_not_the_signed_ones_are_refused(
    taking: SmallNation, hub: OpenHub, sent: list[Attachment], code: str
) -> None:
    async def story(running: RunningHub) -> None:
        soap = signed(taking, [pdf(), pdf(b"2", "b")])
        if not sent:
            reply = await running.post(soap)
            found = running.proved(reply, soap)
        else:
            found = await send(running, soap, sent)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == code
        assert not running.agency.asked

    hub.tell(story)


def test_attachments_in_another_order_are_noticed_by_their_sender(
    taking: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        given = [pdf(), pdf(b"2", "b")]
        soap = signed(taking, given)

        reply = await post(running, write_related(soap, given[::-1]))

        # No signature covers the order; the receipt, which names the whole message, does.
        assert isinstance(proved(running, reply, soap, given[::-1]), VerifiedAnswer)
        with pytest.raises(AnswerRejected, match="receipt is about another request"):
            proved(running, reply, soap, given)

    hub.tell(story)


def test_an_attachment_that_stands_twice_is_refused(taking: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        soap = signed(taking, [pdf()])
        reply = await post(running, write_related(soap, [pdf(), pdf()]))
        assert b"envelope.mime" in reply.body
        assert not running.agency.asked

    hub.tell(story)


def test_a_refused_message_keeps_what_its_attachments_were_and_is_judged_again(
    taking: SmallNation, hub: OpenHub, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        large = pdf(bytes(300_000))
        await send(running, signed(taking, [pdf()]), [large])
        leaf = running.leaves()[-1]
        (file,) = files_of(running)
        assert (leaf.event, leaf.stored) == (Event.REFUSED, bytes.fromhex(file.name))
        assert file.stat().st_size < 2000

    hub.tell(story)
    assert audit(taking, tmp_path / "log") == []


@pytest.mark.parametrize(
    ("rule", "sent", "code"),
    [
        ("", [pdf()], "attachment.not-allowed"),
        ("\n    attachments: {max: 1}", [pdf(), pdf(b"2", "b")], "attachment.not-allowed"),
        ("\n    attachments: {bytes_max: 3}", [pdf(b"1234")], "attachment.not-allowed"),
        ("\n    attachments: {types: [text/plain]}", [pdf()], "attachment.not-allowed"),
        ("\n    attachments: {}", [pdf()], None),
    ],
)
def test_a_service_takes_what_its_rule_says(
    nation: SmallNation, tmp_path: Path, rule: str, sent: list[Attachment], code: str | None
) -> None:
    async def story(running: RunningHub) -> None:
        found = await send(running, signed(ruled, sent), sent)
        assert code == (found.fault.code if isinstance(found, VerifiedFault) else None)

    ruled = nation_with_attachments(nation, tmp_path, rule)
    with opened(ruled, tmp_path) as hub:
        hub.tell(story)


def test_an_answer_with_attachments_that_its_rule_does_not_allow_is_no_answer(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        running.agency.script = lambda _: Answer(payload(ANSWER), (pdf(),))
        raw = request(running.nation)
        found = running.proved(await running.post(raw), raw)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == errors.AnswerInvalid.code

    with opened(nation, tmp_path) as hub:
        hub.tell(story)


@pytest.mark.parametrize("content", [b"%PDF-1.8 \x00\xff", b"shorter"])
def test_an_adapter_that_gives_other_content_than_it_says_is_broken(
    taking: SmallNation, hub: OpenHub, content: bytes
) -> None:
    async def story(running: RunningHub) -> None:
        changing = replace(pdf(), chunks=lambda: iter([content]))
        running.agency.script = lambda _: Answer(payload(ANSWER), (changing,))
        raw = request(running.nation)
        found = running.proved(await running.post(raw), raw)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == errors.AdapterBroken.code

    hub.tell(story)


def test_a_full_spool_is_told_as_a_fault_for_a_while(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> None:
        sent = [pdf(bytes(200_000))]
        soap = signed(ruled, sent)
        reply = await post(running, write_related(soap, sent))
        told = proved(running, reply, soap, sent)
        assert isinstance(told, VerifiedFault)
        assert (reply.status, told.fault.code) == (503, "attachment.spool-unavailable")
        assert told.fault.is_retryable
        assert running.hub.spool.bytes_in_use == 0

    ruled = nation_with_attachments(nation, tmp_path)
    routes = ruled.settings.routes
    limit = "\nlimits:\n  spool_bytes_max: 100000\n"
    routes.write_text(routes.read_text().replace("\nlimits:\n", limit))
    with opened(ruled, tmp_path) as hub:
        hub.tell(story)


def test_nothing_stays_in_the_spool_when_an_exchange_is_done(
    taking: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        sent = [pdf(bytes(300_000))]
        running.agency.script = lambda _: Answer(payload(ANSWER))
        assert isinstance(await send(running, signed(taking, sent), sent), VerifiedAnswer)
        running.agency.asked.clear()
        assert running.hub.spool.bytes_in_use == 0
        assert list((taking.settings.spool).iterdir()) == []

    hub.tell(story)


# --- references ------------------------------------------------------------------------------


def test_a_fault_answers_a_message_with_attachments_under_its_own_digest(
    taking: SmallNation, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        def away(_: Query) -> Answer:
            raise errors.RecipientUnavailable

        running.agency.script = away
        sent = [pdf()]
        soap = signed(taking, sent)
        reply = await post(running, write_related(soap, sent))
        assert taken_apart(reply) is None
        found = proved(running, reply, soap, sent)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == "delivery.recipient-unavailable"

    hub.tell(story)


def test_a_body_with_a_reference_to_nothing_is_refused(taking: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        assert b"<SoDinhDanh>" in SAMPLE or b":SoDinhDanh>" in SAMPLE
        body = SAMPLE.replace(b"</", f'<x:Include xmlns:x="{XOP}" href="cid:no"/></'.encode(), 1)
        sent = [pdf()]
        found = await send(running, signed(taking, sent, body=body), sent)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == "attachment.reference"

    hub.tell(story)


def test_what_a_service_does_not_take_never_reaches_the_spool(
    nation: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        sent = [pdf(bytes(300_000)), attachment_of_bytes(b"a", content_id="t", media_type="text/a")]
        found = await send(running, signed(narrow, sent), sent)
        assert isinstance(found, VerifiedFault)
        assert found.fault.code == "attachment.not-allowed"
        assert running.hub.spool.bytes_in_use == 0

    # A spool without any room: whatever came into it would be refused for that.
    narrow = nation_with_attachments(nation, tmp_path, rule="")
    limit = "\nlimits:\n  spool_bytes_max: 1\n"
    routes = narrow.settings.routes
    routes.write_text(routes.read_text().replace("\nlimits:\n", limit))
    with opened(narrow, tmp_path) as hub:
        hub.tell(story)
    assert audit(narrow, tmp_path / "log") == []
