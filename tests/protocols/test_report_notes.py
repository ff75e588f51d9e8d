"""A report as bytes is that report of that agency; anything else is none."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from bus.core.attachment_manifest import ListedAttachment
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.identifiers import MemberId
from bus.core.registry import MemberRegistry
from bus.kit.made_attachments import attachment_of_bytes
from bus.protocols.order_frames import FRAME_BYTES_MAX, FrameKind, read_frame, write_frame
from bus.protocols.orders import AttemptReport, ReportInvalid
from bus.protocols.report_notes import prove_report, read_report, write_report
from signing.pki.certificates import TrustStore
from signing.pki.keys import Signer, make_signer
from signing.policy import MemberPolicy, SignaturePolicy
from tests.certificates import DAY, make_certificate, make_root
from tests.nation import REFERENCE

ORIGIN = "axis.example.vn/log"
NOW = datetime(2026, 9, 3, 8, 30, 0, 123456, tzinfo=UTC)
MEMBER = MemberId.parse("VN/GOV/G01")
OTHER_MEMBER = MemberId.parse("VN/GOV/G03")
ANSWER_PART = attachment_of_bytes(b"pdf", content_id="answer@g01", media_type="application/pdf")
REPORT = AttemptReport(
    origin=ORIGIN,
    key=DeliveryKey(17, 3),
    recipient="VN/GOV/G01/dancu",
    message_digest=bytes(range(32)),
    outcome=AttemptOutcome(2, AttemptEnd.DELIVERED, is_redelivered=True),
    time=NOW,
    answer=b"<soap:Envelope/>",
    attachments=(ANSWER_PART,),
)
FAILED = replace(
    REPORT,
    outcome=AttemptOutcome(1, AttemptEnd.FAILED, retry_after=timedelta(seconds=90)),
    code="delivery.recipient-unavailable",
    detail="Hệ thống bận",
    answer=b"",
    attachments=(),
)


def _key(kind: str) -> Any:
    match kind:
        case "rsa":
            return rsa.generate_private_key(65537, 2048)
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
    return ed25519.Ed25519PrivateKey.generate()


@dataclass
class World:
    """Two agencies under one authority, and a third that nobody certifies."""

    registry: MemberRegistry
    trust: TrustStore
    signers: dict[str, Signer]
    other: Signer
    expired: Signer
    untrusted: Signer

    @property
    def signer(self) -> Signer:
        return self.signers["p256"]

    def prove(self, content: bytes, now: datetime = NOW) -> AttemptReport:
        return prove_report(content, self.registry, self.trust, ORIGIN, now)


@pytest.fixture(scope="module")
def world() -> World:
    root, stranger = make_root("root", NOW), make_root("stranger", NOW)

    def signer(issuer: Any, key: Any, member: MemberId, until: timedelta = 30 * DAY) -> Signer:
        certificate = make_certificate(
            issuer, key.public_key(), NOW, identifier=str(member), valid_until=until
        )
        return make_signer(key, certificate)

    registry = _registry()
    return World(
        registry,
        TrustStore([root.certificate.public_bytes(Encoding.DER)]),
        {kind: signer(root, _key(kind), MEMBER) for kind in ("rsa", "p256", "p384", "ed25519")},
        signer(root, _key("p256"), OTHER_MEMBER),
        signer(root, _key("p256"), MEMBER, until=-timedelta(hours=1)),
        signer(stranger, _key("p256"), MEMBER),
    )


def _registry(policies: dict[MemberId, MemberPolicy] | None = None) -> MemberRegistry:
    return replace(REFERENCE, member_policies=policies or {})


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "ed25519"])
@pytest.mark.parametrize("report", [REPORT, FAILED], ids=["delivered", "failed"])
def test_a_report_is_proved_as_what_it_was(world: World, kind: str, report: AttemptReport) -> None:
    content = write_report(report, world.signers[kind])
    proved = world.prove(content)
    assert replace(proved, note=b"") == report
    assert proved.note == read_frame(content, FrameKind.REPORT, 4)[0]
    assert read_report(content) == proved
    assert [b"".join(one.chunks()) for one in proved.attachments] == [
        b"".join(one.chunks()) for one in report.attachments
    ]


@pytest.mark.parametrize("kind", ["p256", "ed25519"])
def test_every_bit_counts(world: World, kind: str) -> None:
    content = write_report(REPORT, world.signers[kind])
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        with pytest.raises(ReportInvalid):
            world.prove(bytes(changed))


def test_every_length_counts(world: World) -> None:
    content = write_report(REPORT, world.signer)
    for length in range(len(content)):
        with pytest.raises(ReportInvalid):
            world.prove(content[:length])
    with pytest.raises(ReportInvalid):
        world.prove(content + b"\n")


def test_an_agency_reports_of_its_own_orders_only(world: World) -> None:
    with pytest.raises(ReportInvalid, match="another agency"):
        world.prove(write_report(REPORT, world.other))
    with pytest.raises(ReportInvalid):
        world.prove(write_report(REPORT, world.untrusted))
    with pytest.raises(ReportInvalid):
        world.prove(write_report(REPORT, world.expired))
    stranger = replace(REPORT, recipient="VN/GOV/G99/x")
    with pytest.raises(ReportInvalid, match="another agency"):
        world.prove(write_report(stranger, world.signer))
    with pytest.raises(ReportInvalid):
        world.prove(write_report(replace(REPORT, recipient="VN/GOV"), world.signer))


def test_a_report_to_another_hub_is_none_here(world: World) -> None:
    other = replace(REPORT, origin="other.example.vn/log")
    with pytest.raises(ReportInvalid, match="another hub"):
        world.prove(write_report(other, world.signer))


def test_a_certificate_counts_as_of_now(world: World) -> None:
    content = write_report(REPORT, world.signer)
    assert world.prove(content, NOW + 29 * DAY).recipient == REPORT.recipient
    with pytest.raises(ReportInvalid):
        world.prove(content, NOW + 31 * DAY)


def test_the_policy_of_the_member_holds(world: World) -> None:
    content = write_report(REPORT, world.signers["rsa"])
    strict = MemberPolicy(SignaturePolicy(rsa_bits_min=3072))
    with pytest.raises(ReportInvalid, match="2048 bits"):
        prove_report(content, _registry({MEMBER: strict}), world.trust, ORIGIN, NOW)
    other = _registry({OTHER_MEMBER: strict})
    assert prove_report(content, other, world.trust, ORIGIN, NOW).key == REPORT.key


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        ("report v1", "report v2"),
        ("delivery 17 3", "delivery 17 03"),
        ("attempt 2 redelivered", "attempt 2 again"),
        ("end delivered", "end done"),
        ("end delivered", "end failed"),
        ("code none", "code delivery.recipient-timeout"),
        ("code none", "code no.such-code"),
        ("patience none", "patience soon"),
        ("patience none", "patience 999999999999999999"),
        ("2026-09-03T08:30:00.123456Z", "2026-09-31T08:30:00.123456Z"),
        ("detail\n", "detail \n"),
        ("detail\n", "detail \x7f\n"),
        ("detail\n", f"detail {'x' * 501}\n"),
        ("detail\n", "detail  x\n"),
        ("algorithm http", "algorithm urn:http"),
        ("ecdsa-sha256", "rsa-sha256"),
        ("ecdsa-sha256", "ecdsa-sha1"),
        ("recipient VN/GOV/G01/dancu", "recipient VN/GOV/G03/dancu"),
        ("origin", "origin"),
    ],
)
def test_an_agency_cannot_say_what_is_out_of_form(world: World, found: str, instead: str) -> None:
    note, *parts = read_frame(write_report(REPORT, world.signer), FrameKind.REPORT, 4)
    text, _, line = note.decode().partition("\n\n")
    text += "\n"
    if found == instead:
        resigned = _resigned(world.signer, text, line)
        assert world.prove(write_frame(FrameKind.REPORT, [resigned, *parts])).key == REPORT.key
        return
    assert found in text
    resigned = _resigned(world.signer, text.replace(found, instead, 1), line)
    with pytest.raises(ReportInvalid):
        world.prove(write_frame(FrameKind.REPORT, [resigned, *parts]))


def test_an_attempt_fails_by_a_code_that_is_known(world: World) -> None:
    note, *parts = read_frame(write_report(FAILED, world.signer), FrameKind.REPORT, 4)
    text, _, line = note.decode().partition("\n\n")
    text = text.replace(f"code {FAILED.code}", "code no.such-code") + "\n"
    with pytest.raises(ReportInvalid, match="does not know"):
        read_report(write_frame(FrameKind.REPORT, [_resigned(world.signer, text, line), *parts]))


def test_one_signature_line_and_no_more(world: World) -> None:
    note, *parts = read_frame(write_report(REPORT, world.signer), FrameKind.REPORT, 4)
    last = note.rstrip(b"\n").rpartition(b"\n")[2]
    other = read_frame(write_report(REPORT, world.other), FrameKind.REPORT, 4)[0]
    for changed in (
        note + last + b"\n",
        note + other.rstrip(b"\n").rpartition(b"\n")[2] + b"\n",
        note.replace(last, b"\xe2\x80\x94 x509/" + b"0" * 64 + last[last.rindex(b" ") :]),
    ):
        with pytest.raises(ReportInvalid):
            world.prove(write_frame(FrameKind.REPORT, [changed, *parts]))


def test_what_a_recipient_says_becomes_one_plain_line(world: World) -> None:
    said = replace(FAILED, detail=" \x1b[31mHệ\nthống\u2028bận\ud800 " + "x" * 1000)
    detail = world.prove(write_report(said, world.signer)).detail
    assert detail.startswith("[31mHệ thống bận")
    assert len(detail) <= 500
    blank = replace(FAILED, detail="\n\n")
    assert world.prove(write_report(blank, world.signer)).detail == ""


def test_nobody_has_more_patience_than_a_week(world: World) -> None:
    asked = replace(FAILED.outcome, retry_after=timedelta.max)
    content = write_report(replace(FAILED, outcome=asked), world.signer)
    assert world.prove(content).outcome.retry_after == timedelta(days=7)


def test_a_report_is_bounded(world: World) -> None:
    with pytest.raises(ReportInvalid, match="too many"):
        write_report(replace(REPORT, answer=bytes(FRAME_BYTES_MAX)), world.signer)
    large = attachment_of_bytes(bytes(2000), content_id="l@g01", media_type="text/plain")
    content = write_report(replace(REPORT, attachments=(large,)), world.signer, inline_bytes_max=9)
    with pytest.raises(ReportInvalid, match="did not travel"):
        read_report(content)


def test_attachments_that_lie_elsewhere_are_what_the_list_says(world: World) -> None:
    content = write_report(REPORT, world.signer, inline_bytes_max=0)
    asked = []

    def held(listed: ListedAttachment) -> Callable[[], Iterator[bytes]]:
        asked.append(listed.content_id)
        return lambda: iter([b"pdf"])

    report = prove_report(content, world.registry, world.trust, ORIGIN, NOW, held)
    assert asked == ["answer@g01"]
    assert replace(report, note=b"") == REPORT
    assert b"".join(report.attachments[0].chunks()) == b"pdf"
    with pytest.raises(ReportInvalid, match="did not travel"):
        world.prove(content)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_no_report(content: bytes) -> None:
    for raw in (content, b"LTO\x01\x03" + content):
        with pytest.raises(ReportInvalid):
            read_report(raw)


@given(st.lists(st.binary(max_size=20), max_size=6))
def test_any_parts_are_refused_as_no_report(parts: list[bytes]) -> None:
    with pytest.raises(ReportInvalid):
        read_report(write_frame(FrameKind.REPORT, parts))


def _resigned(signer: Signer, text: str, line: str) -> bytes:
    """A text in the name of whoever holds the key, by the form of a line."""
    name, blob = line.removeprefix("\u2014 ").strip().split(" ")
    signature = signer.sign(signer.algorithm, text.encode())
    blob = base64.b64encode(base64.b64decode(blob)[:4] + signature).decode()
    return f"{text}\n\u2014 {name} {blob}\n".encode()
