"""Write what came of an order as bytes, signed in its agency's name, and prove it: what a hub
believes, and keeps as evidence.

A report's note says every fact of it, and the digests of answer and attachments. Its one signature
line has the form of C2SP signed-note; the signature is made with the agency's own key for messages
(RSA, ECDSA or Ed25519), and its name is the certificate's digest. The certificate travels with it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache

from bus.core.attachment_manifest import ManifestInvalid, read_manifest
from bus.core.deliveries import AttemptEnd, AttemptOutcome, DeliveryKey
from bus.core.errors import all_errors
from bus.core.identifiers import IdentifierInvalid, SubsystemId
from bus.core.registry import MemberRegistry
from bus.protocols.note_fields import (
    DIGEST,
    NAME,
    NUMBER,
    TIME,
    FieldInvalid,
    digest_text,
    one_line,
    order_kind,
    read_time,
    read_value,
    require_digest,
    time_text,
    value_text,
)
from bus.protocols.order_frames import (
    INLINE_BYTES_MAX,
    Beside,
    FrameInvalid,
    FrameKind,
    HeldContent,
    pack_attachments,
    read_frame,
    unpack_attachments,
    write_frame,
)
from bus.protocols.orders import DETAIL_CHARACTERS_MAX, AttemptReport, ReportInvalid
from signing.algorithms import require_allowed, verify_bytes
from signing.errors import SignatureError
from signing.pki.certificates import TrustStore
from signing.pki.keys import Signer
from signing.signed_note import Note, NoteInvalid, parse_note

REPORT_NAME = "/report"
PATIENCE_MAX = timedelta(days=7)
"""So long a recipient may ask a hub to wait."""
_PARTS_MIN = 4
_CERTIFICATES_KEPT_MAX = 256
"""Of agencies, whose names in signature lines are kept."""
_CUSTOM_TYPE = b"\xff"
"""Signature type of what has none of its own. C2SP signed-note §Signatures."""
_TEXT = re.compile(
    rf"(?P<origin>[^\n]{{1,255}}){REPORT_NAME}\nreport v1\n"
    rf"(?P<kind>delivery|query) (?P<index>{NUMBER}) (?P<position>{NUMBER})\n"
    rf"attempt (?P<attempt>{NUMBER}) (?P<again>first|redelivered)\n"
    rf"recipient (?P<recipient>{NAME})\n"
    rf"message sha256:(?P<message>{DIGEST})\n"
    r"end (?P<end>[a-z]{1,20})\n"
    rf"patience (?P<patience>none|{NUMBER})\n"
    rf"time (?P<time>{TIME})\n"
    r"code (?P<code>none|[a-z.-]{1,64})\n"
    rf"detail(?P<detail>| [^\n]{{1,{DETAIL_CHARACTERS_MAX}}})\n"
    rf"answer sha256:(?P<answer>{DIGEST})\n"
    rf"attachments sha256:(?P<attachments>{DIGEST})\n"
    rf"certificate sha256:(?P<certificate>{DIGEST})\n"
    r"algorithm (?P<algorithm>[!-~]{1,200})\n\Z"
)
_CODES: Mapping[str, str] = {"none": ""} | {error.code: error.code for error in all_errors()}
_MICROSECOND = timedelta(microseconds=1)


def write_report(
    report: AttemptReport, signer: Signer, *, inline_bytes_max: int = INLINE_BYTES_MAX
) -> bytes:
    """A report as bytes, signed in its agency's name; may wait for a device (`signer.waits`).

    Its detail is bounded and made one line, its patience bounded. Raises ReportInvalid (it is
    too large), KeyUnusableError, KeyUnavailableError.
    """
    beside = pack_attachments(report.attachments, inline_bytes_max)
    text = _text(report, beside.manifest, signer)
    assert _TEXT.match(text), "a report whose fields were bounded where they came in"
    signature = signer.sign(signer.algorithm, text.encode())
    name, key_id = _named(signer.certificate_der)
    blob = base64.b64encode(key_id + signature).decode("ascii")
    note = f"{text}\n\u2014 {name} {blob}\n".encode()
    parts = (note, signer.certificate_der, report.answer, beside.manifest, *beside.contents)
    try:
        return write_frame(FrameKind.REPORT, parts)
    except FrameInvalid as error:
        raise ReportInvalid(str(error)) from error


def read_report(content: bytes, held: HeldContent | None = None) -> AttemptReport:
    """A report that somebody wrote, unproved: enough in the process that wrote it, and to be shown.

    `held` gives the content of attachments that lie elsewhere. Raises ReportInvalid.
    """
    try:
        return _read(content, held)[0]
    except (FrameInvalid, FieldInvalid, NoteInvalid) as error:
        raise ReportInvalid(str(error)) from error


def without_attachments(content: bytes) -> bytes:
    """A report whose attachments lie elsewhere: their list alone. Raises ReportInvalid."""
    try:
        *parts, manifest = read_frame(content, FrameKind.REPORT, _PARTS_MIN)[:_PARTS_MIN]
        names = read_manifest(manifest)
    except (FrameInvalid, ManifestInvalid) as error:
        raise ReportInvalid(str(error)) from error
    return write_frame(FrameKind.REPORT, (*parts, manifest, *(b"" for _ in names)))


def prove_report(
    content: bytes,
    registry: MemberRegistry,
    trust: TrustStore,
    origin: str,
    now: datetime,
    held: HeldContent | None = None,
) -> AttemptReport:
    """A report of the agency that its order went to, as of `now`; `held` gives the content of
    attachments that lie elsewhere.

     (1) Its note says every fact, each in its one spelling; certificate, answer and attachments
         are those whose digests it says.
     (2) It is about an order of `origin`.
     (3) The certificate leads to an anchor, and belongs to the member of the recipient.
     (4) The signature is one that the member's policy allows, and fits.

    What the order was, and whether its delivery is open, is not asked here. Raises ReportInvalid.
    """
    try:
        # (1)
        report, note, certificate, algorithm = _read(content, held)
        # (2)
        if report.origin != origin:
            raise FieldInvalid("it is about an order of another hub")
        # (3)
        validated = trust.validate(certificate, now)
        member = registry.member_by_certificate_subject.get(validated.subject_identifier)
        if member is None or SubsystemId.parse(report.recipient).member != member:
            raise FieldInvalid("it is signed by another agency than the recipient's")
        # (4)
        require_allowed(validated.public_key, algorithm, registry.policy_of(member, now))
        value = note.signatures[0].signature
        verify_bytes(validated.public_key, algorithm, value, note.text)
    except (FrameInvalid, FieldInvalid, NoteInvalid, SignatureError, IdentifierInvalid) as error:
        raise ReportInvalid(str(error)) from error
    return report


def _read(
    content: bytes, held: HeldContent | None = None
) -> tuple[AttemptReport, Note, bytes, str]:
    raw, certificate, answer, manifest, *contents = read_frame(
        content, FrameKind.REPORT, _PARTS_MIN
    )
    note = parse_note(raw)
    said = _TEXT.match(note.text.decode())
    if said is None:
        raise FieldInvalid("expected a report v1 of fifteen lines")
    require_digest(said["certificate"], certificate, "certificate")
    require_digest(said["answer"], answer, "answer")
    require_digest(said["attachments"], manifest, "list of attachments")
    _require_signature_line(note, certificate)
    report = AttemptReport(
        origin=said["origin"],
        key=DeliveryKey(int(said["index"]), int(said["position"])),
        recipient=said["recipient"],
        message_digest=read_value(said["message"]),
        outcome=_outcome(said),
        time=read_time(said["time"]),
        code=_code(said["code"]),
        detail=_detail(said["detail"][1:]),
        answer=answer,
        attachments=unpack_attachments(Beside(manifest, tuple(contents)), held),
        note=raw,
        is_query=said["kind"] == order_kind(is_query=True),
    )
    return report, note, certificate, said["algorithm"]


def _require_signature_line(note: Note, certificate: bytes) -> None:
    if [(one.name, one.key_id) for one in note.signatures] != [_named(certificate)]:
        raise FieldInvalid("expected one signature line, of its certificate")


def _outcome(said: re.Match[str]) -> AttemptOutcome:
    try:
        end = AttemptEnd(said["end"])
    except ValueError as error:
        raise FieldInvalid("an attempt does not end like that") from error
    if (end is AttemptEnd.DELIVERED) != (said["code"] == "none"):
        raise FieldInvalid("a code stands where all went well, or none where it did not")
    patience = None if said["patience"] == "none" else int(said["patience"])
    if patience is not None and patience > PATIENCE_MAX // _MICROSECOND:
        raise FieldInvalid("nobody has so much patience")
    retry_after = None if patience is None else patience * _MICROSECOND
    return AttemptOutcome(int(said["attempt"]), end, said["again"] == "redelivered", retry_after)


def _code(text: str) -> str:
    code = _CODES.get(text)
    if code is None:
        raise FieldInvalid("a code that this program does not know")
    return code


def _detail(text: str) -> str:
    if one_line(text, DETAIL_CHARACTERS_MAX) != text:
        raise FieldInvalid("the detail is not one plain line")
    return text


def _text(report: AttemptReport, manifest: bytes, signer: Signer) -> str:
    outcome = report.outcome
    after = None if outcome.retry_after is None else min(outcome.retry_after, PATIENCE_MAX)
    detail = one_line(report.detail, DETAIL_CHARACTERS_MAX)
    return (
        f"{report.origin}{REPORT_NAME}\nreport v1\n"
        f"{order_kind(is_query=report.is_query)} "
        f"{report.key.received_index} {report.key.position}\n"
        f"attempt {outcome.attempt} {'redelivered' if outcome.is_redelivered else 'first'}\n"
        f"recipient {report.recipient}\n"
        f"message sha256:{value_text(report.message_digest)}\n"
        f"end {outcome.end.value}\n"
        f"patience {'none' if after is None else after // _MICROSECOND}\n"
        f"time {time_text(report.time)}\n"
        f"code {report.code or 'none'}\n"
        f"detail{' ' + detail if detail else ''}\n"
        f"answer sha256:{digest_text(report.answer)}\n"
        f"attachments sha256:{digest_text(manifest)}\n"
        f"certificate sha256:{value_text(signer.certificate_sha256)}\n"
        f"algorithm {signer.algorithm}\n"
    )


@lru_cache(_CERTIFICATES_KEPT_MAX)
def _named(certificate: bytes) -> tuple[str, bytes]:
    """Name and key id of the signature line of this certificate's key."""
    name = f"x509/{hashlib.sha256(certificate).hexdigest()}"
    mark = hashlib.sha256(name.encode() + b"\n" + _CUSTOM_TYPE + certificate).digest()
    return name, mark[:4]
