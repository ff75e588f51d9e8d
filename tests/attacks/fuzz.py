"""Throw changed messages at everything that reads what a stranger wrote: `make fuzz`.

    python -m tests.attacks.fuzz --seconds 300

Each round has a number, and is the same for the same number: a failure names the number. How far
earlier runs came is kept in .cache/fuzz, with the bytes of every failure.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bus.core.envelope import Envelope
from bus.core.errors import BusError
from bus.core.identifiers import IdentifierInvalid, MemberId, ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.http.multipart import MultipartIntake
from bus.http.spool import Spool
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_answer import AnswerRejected, read_answer
from bus.protocols.soap_xroad.verify_answer import KnownSigners, verify_recorded
from bus.protocols.soap_xroad.write import SigningTime, write_answer
from signing import names
from signing.errors import SignatureError
from signing.pki.distinguished_names import parse_name
from signing.wss.canonical import canonicalise
from signing.wss.x509_tokens import end_entity
from tests.attacks.meaning import judged, meaning
from tests.attacks.mutations import flipped, mutated
from tests.attacks.valid_messages import corpus_nation, valid_messages
from tests.nation import ANSWER as AGENCY_ANSWER
from tests.nation import HUB, NOW, PROVIDER, SmallNation, payload

KEPT = Path(__file__).parents[2] / ".cache" / "fuzz"


@dataclass(slots=True)
class Target:
    """What is fuzzed: valid inputs to start from, and what must hold for any other."""

    name: str
    inputs: list[bytes]
    hold: Callable[[bytes, int], str]
    """Raises AssertionError, or whatever escaped; says in a word what came of the bytes."""
    is_xml: bool = True

    def round(self, number: int) -> tuple[bytes, str]:
        raw = self.made(number)
        return raw, self.hold(raw, number)

    def made(self, number: int) -> bytes:
        """The bytes of a round."""
        raw = self.inputs[number % len(self.inputs)]
        other = self.inputs[(number // len(self.inputs)) % len(self.inputs)]
        return mutated(raw, other, number) if self.is_xml else _changed_bytes(raw, other, number)


@dataclass(slots=True)
class Requests:
    """Requests: refused by our errors, or they mean what one of the valid ones means."""

    nation: SmallNation
    valid: Mapping[str, bytes]
    meanings: list[object] = field(default_factory=list)

    def hold(self, raw: bytes, _number: int) -> str:
        if not self.meanings:
            self.meanings.extend(_meaning(one, self.nation) for one in self.valid.values())
        result = decide(raw, parse, self.nation.rules, NOW)
        if isinstance(result, Refusal):
            return result.error.code
        assert meaning(result) in self.meanings, "accepted, and it means something else"
        return "accepted, means the same"


def _meaning(raw: bytes, nation: SmallNation) -> object:
    result = judged(raw, nation)
    assert isinstance(result, RoutedMessage)
    return meaning(result)


def hold_answer(raw: bytes, _number: int) -> str:
    try:
        read_answer(raw)
    except AnswerRejected:
        return "rejected"
    return "read"


@dataclass(slots=True)
class SignedAnswers:
    """Answers as a sender gets them: rejected, or the payload is the one that the agency signed."""

    nation: SmallNation
    asked: Envelope
    answer: bytes

    @property
    def known(self) -> KnownSigners:
        return KnownSigners(trust=self.nation.rules.trust, member=HUB.member)

    def hold(self, raw: bytes, _number: int) -> str:
        try:
            verify_recorded(raw, self.asked, self.known, NOW)
        except AnswerRejected:
            return "rejected"
        before, after = read_answer(self.answer), read_answer(raw)
        assert canonicalise(before.payload) == canonicalise(after.payload), "another payload"
        assert (before.fault is None) is (after.fault is None)
        return "accepted, means the same"


def signed_answers(nation: SmallNation, request: bytes) -> SignedAnswers:
    asked = parse(request, Limits())
    signer = nation.signers[PROVIDER]
    answer = write_answer(asked, payload(AGENCY_ANSWER), signer, SigningTime(NOW))
    return SignedAnswers(nation, asked, answer)


MULTIPART = 'multipart/related; boundary="b-1"; type="text/xml"; start="<soap@x>"'


def multipart(soap: bytes) -> bytes:
    """A message of two attachments."""
    return (
        b"--b-1\r\nContent-Type: text/xml; charset=utf-8\r\nContent-ID: <soap@x>\r\n\r\n"
        + soap
        + b"\r\n--b-1\r\nContent-Type: application/pdf\r\nContent-ID: <a@x>\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n%PDF-1.7\r\n\0\xff"
        b"\r\n--b-1\r\nContent-Type: text/plain\r\nContent-ID: <b%20c@x>\r\n\r\nb\r\n--b-1--\r\n"
    )


def hold_multipart(raw: bytes, number: int) -> str:
    """Cut into pieces anywhere: it is the same message, or none."""
    whole, pieces = _taken_apart(raw, [raw]), _taken_apart(raw, _pieces(raw, number))
    is_refused = isinstance(whole, str) and isinstance(pieces, str)
    assert is_refused or whole == pieces, "another message in other pieces"
    return "read" if isinstance(whole, tuple) else str(whole)


def _taken_apart(raw: bytes, pieces: list[bytes]) -> object:
    limits = Limits()
    intake = MultipartIntake(
        parse_content_type(MULTIPART), limits, Spool(None, bytes_max=2**20 + len(raw))
    )
    try:
        for piece in pieces:
            intake.feed(piece)
        message = intake.end()
        return message.soap, [
            (one.content_id, one.media_type, b"".join(one.chunks())) for one in message.attachments
        ]
    except BusError as error:
        return error.code
    finally:
        intake.close()


def _pieces(raw: bytes, number: int) -> list[bytes]:
    chance = random.Random(number)
    cuts = sorted(chance.randrange(len(raw) + 1) for _ in range(chance.randrange(6)))
    return [raw[start:end] for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


def hold_small(raw: bytes, _number: int) -> str:
    """Everything that reads a short text or a certificate of a stranger."""
    text = raw.decode("utf-8", errors="replace")
    told: list[str] = []
    readers: list[tuple[Callable[[], object], tuple[type[Exception], ...]]] = [
        (lambda: MemberId.parse(text), (IdentifierInvalid,)),
        (lambda: SubsystemId.parse(text), (IdentifierInvalid,)),
        (lambda: ServiceId.parse(text), (IdentifierInvalid,)),
        (lambda: parse_name(text), (SignatureError,)),
        (lambda: parse_content_type(text), (BusError,)),
        *(
            (lambda kind=kind: end_entity(raw, kind), (SignatureError,))
            for kind in (names.X509_V3, names.X509_PKI_PATH, names.X509_PKCS7)
        ),
    ]
    for read, expected in readers:
        try:
            read()
        except expected as error:
            told.append(type(error).__name__)
    return f"{len(readers) - len(told)} of {len(readers)} read"


def targets(nation: SmallNation) -> list[Target]:
    """Everything that is fuzzed."""
    valid = {name: message.raw for name, message in valid_messages().items()}
    requests = list(valid.values())
    certificates = [signer.certificate_der for signer in nation.signers.values()]
    small = [
        b"VN/GOV/H41/motcua",
        b"VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1",
        b'CN=a+O="b, c",2.5.4.97=#0C0A564E2F474F562F483431,OU=\\41\\,',
        MULTIPART.encode(),
        *certificates[:3],
    ]
    answers = signed_answers(nation, requests[0])
    return [
        Target("signed answers", [answers.answer, requests[1]], answers.hold),
        Target("requests", requests, Requests(nation, valid).hold),
        Target("answers", [*requests, ANSWER], hold_answer),
        Target("multipart", [multipart(raw) for raw in requests[:4]], hold_multipart, is_xml=False),
        Target("short texts and certificates", small, hold_small, is_xml=False),
    ]


ANSWER = (
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header>'
    b'<wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/'
    b'oasis-200401-wss-wssecurity-secext-1.0.xsd"/>'
    b'<lt:receipt xmlns:lt="urn:lienthong:message:1.0">AAAA</lt:receipt>'
    b"</soap:Header><soap:Body><soap:Fault><faultcode>a</faultcode><faultstring>b"
    b'</faultstring><detail><lt:error xmlns:lt="urn:lienthong:message:1.0"><lt:code>c</lt:code>'
    b"<lt:faultId>d</lt:faultId><lt:messageId>e</lt:messageId><lt:requestDigest>AAAA"
    b"</lt:requestDigest><lt:retryable>false</lt:retryable></lt:error></detail></soap:Fault>"
    b"</soap:Body></soap:Envelope>"
)


def _changed_bytes(raw: bytes, other: bytes, number: int) -> bytes:
    chance = random.Random(number)
    for _ in range(chance.randrange(1, 5)):
        start, end = sorted(chance.randrange(len(raw) + 1) for _ in range(2))
        end = min(end, start + chance.choice((1, 8, 60)))
        piece = chance.choice(
            (b"", raw[start:end], other[start:end], b"\r\n", b"--b-1", b"\r\n--b-1")
        )
        target = chance.randrange(len(raw) + 1)
        kept = chance.choice((raw, raw[:start] + raw[end:]))
        raw = flipped(chance, kept[:target] + piece + kept[target:])
    return raw


def run(target: Target, first: int, seconds: float) -> tuple[int, Counter[str], list[int]]:
    """Rounds from `first` on for so long; the next number, what came of them, what failed."""
    told: Counter[str] = Counter()
    failed: list[int] = []
    number, end = first, time.monotonic() + seconds
    while time.monotonic() < end and len(failed) < 10:
        try:
            told[target.round(number)[1]] += 1
        except Exception:
            traceback.print_exc(limit=-4)
            failed.append(number)
        number += 1
    return number, told, failed


def main() -> int:
    """Fuzz everything in turns; 1 if something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="For how long, in all.")
    seconds = parser.parse_args().seconds
    KEPT.mkdir(parents=True, exist_ok=True)
    status = 0
    with tempfile.TemporaryDirectory() as folder:
        chosen = targets(corpus_nation(Path(folder)))
        for target in chosen:
            mark = KEPT / f"{target.name.replace(' ', '-')}.next"
            first = int(mark.read_text()) if mark.is_file() else 0
            following, told, failed = run(target, first, seconds / len(chosen))
            mark.write_text(str(following))
            print(f"{target.name}: {following - first} rounds from {first}; {told.most_common(8)}")
            for number in failed:
                status = 1
                (KEPT / f"{target.name}-{number}.failed").write_bytes(target.made(number))
                print(f"  NOT HELD in round {number}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
