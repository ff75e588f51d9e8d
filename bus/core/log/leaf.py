"""Build and read the leaves of the message log: small, canonical, without personal data."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from json.encoder import encode_basestring as _quote
from typing import Any

from bus.core.canonical_json import INTEGER_MAX
from signing.utc_text import text_in_microseconds

LEAF_VERSION = 1
LEAF_BYTES_MAX = 4096
SALT_BYTES = 32
ATTACHMENTS_TAG = b"lienthong.vn/attachments-commitment/v1\n"
COMMITMENT_TAG = b"lienthong.vn/payload-commitment/v1\n"
"""Keeps a commitment from being taken for the hash of anything else."""


class Event(StrEnum):
    """What an entry records."""

    RECEIVED = "received"
    """A message passed every check and was taken, before its first byte left the hub."""
    REFUSED = "refused"
    """A message was not taken; the verdict says why."""
    OUTCOME = "outcome"
    """What became of the received message that it continues. One for each received entry; of a
    submission, one for each position."""
    ATTEMPT = "attempt"
    """An attempt at a delivery failed, or nobody knows; the delivery stays open."""
    HANDED_OUT = "handed-out"
    """A recipient fetched what lay in its mailbox; it has not said yet that it has it."""
    LATE = "late"
    """What was told of a delivery after it was closed, or of an attempt after the next."""
    OPERATED = "operated"
    """An operator changed what becomes of deliveries; the verdict says how."""
    ANSWERED = "answered"
    """A copy of a message got the answer of the first one again."""
    READ = "read"
    """Somebody read personal data out of this log."""
    EXPORTED = "exported"
    """Somebody took evidence out of this log."""
    ERASED = "erased"
    """The payload of the entry that it continues was erased."""
    CONFIGURATION = "configuration"
    """From here on another configuration is in force."""
    KEY = "key"
    """From here on another key is in use."""
    EVIDENCE = "evidence"
    """From here on the hub knew this OCSP response or CRL, which is the payload."""
    HEARTBEAT = "heartbeat"
    """The hub was running and nothing happened."""
    STARTED = "started"
    STOPPED = "stopped"


class LeafInvalid(ValueError):
    """These bytes are no leaf of this log."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf as read. A fact that is absent in it is None here."""

    event: Event
    time: datetime
    client: str | None = None
    """Who asked: `VN/GOV/H41/motcua`."""
    service: str | None = None
    """What was asked for: `VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1`."""
    message: str | None = None
    """Pseudonym of the message id."""
    case: str | None = None
    """Pseudonym of the case that the message belongs to."""
    signer: bytes | None = None
    """SHA-256 of the signer's certificate (DER); of evidence, of the one that it is about."""
    signature: bytes | None = None
    """SHA-256 of the signature value."""
    config: bytes | None = None
    """SHA-256 of the configuration text that the message was judged by."""
    verdict: str | None = None
    """`accepted`, `delivered`, or an error code."""
    fault: str | None = None
    """The id that was quoted to the sender."""
    continues: int | None = None
    """Index of the earlier entry that this one belongs to."""
    payload: bytes | None = None
    """Commitment to the payload: SHA-256(tag || salt || raw)."""
    sealed: bytes | None = None
    """SHA-256 of the payload as it is stored, encrypted."""
    raw_bytes: int | None = None
    """Length of the payload before it was sealed."""
    attachments: bytes | None = None
    """Commitment to the attachments beside the payload: SHA-256(tag || salt || manifest)."""
    stored: bytes | None = None
    """SHA-256 of the file that holds them, sealed; None: their content was not kept."""
    program: str | None = None
    """Of an entry *started*: the program and its version, `lienthong 0.1.0`."""
    origin: str | None = None
    """Of an entry *answered*: the log in which the answer stands, if it is not this one."""
    recipients: int | None = None
    """Of a received submission: how many deliveries it opens, by position from 0."""
    position: int | None = None
    """Which of them this entry is about."""
    recipient: str | None = None
    """Whose delivery that is: `VN/GOV/H41/motcua`."""
    attempt: int | None = None
    """Number of the attempt, from 1."""
    doubt: bool | None = None
    """True: an attempt was made of which nobody knows whether the recipient acted."""


def commit_payload(salt: bytes, raw: bytes) -> bytes:
    """Bind a leaf to its payload without telling anything about it."""
    return hashlib.sha256(COMMITMENT_TAG + salt + raw).digest()


def commit_attachments(salt: bytes, manifest: bytes) -> bytes:
    """Bind a leaf to attachments, named by their manifest, without telling anything about them."""
    return hashlib.sha256(ATTACHMENTS_TAG + salt + manifest).digest()


def build_leaf(
    event: Event,
    time: datetime,
    *,
    client: str | None = None,
    service: str | None = None,
    message: str | None = None,
    case: str | None = None,
    signer: bytes | None = None,
    signature: bytes | None = None,
    config: bytes | None = None,
    verdict: str | None = None,
    fault: str | None = None,
    continues: int | None = None,
    payload: bytes | None = None,
    sealed: bytes | None = None,
    raw_bytes: int | None = None,
    attachments: bytes | None = None,
    stored: bytes | None = None,
    program: str | None = None,
    origin: str | None = None,
    recipients: int | None = None,
    position: int | None = None,
    recipient: str | None = None,
    attempt: int | None = None,
    doubt: bool | None = None,
) -> bytes:
    """The canonical bytes of a leaf; the facts are those of `Leaf`. `time` must be in UTC.

    Raises LeafInvalid: the time has no zone UTC, a text has no UTF-8 form, the leaf is too large.
    """
    # Written by hand in the order of RFC 8785 §3.2.3: every message waits for this, and the
    # encoder of the standard library takes five times as long. The tests compare both.
    parts = [
        "" if attachments is None else f'"attachments":"{text_of_digest(attachments)}",',
        "" if attempt is None else f'"attempt":{attempt:d},',
        "" if raw_bytes is None else f'"bytes":{raw_bytes:d},',
        "" if case is None else f'"case":{_quote(case)},',
        "" if client is None else f'"client":{_quote(client)},',
        "" if config is None else f'"config":"{_kept_text(config)}",',
        "" if continues is None else f'"continues":{continues:d},',
        '"doubt":true,' if doubt else "",
        f'"event":"{event.value}",',
        "" if fault is None else f'"fault":{_quote(fault)},',
        "" if message is None else f'"message":{_quote(message)},',
        "" if origin is None else f'"origin":{_quote(origin)},',
        "" if payload is None else f'"payload":"{text_of_digest(payload)}",',
        "" if position is None else f'"position":{position:d},',
        "" if program is None else f'"program":{_quote(program)},',
        "" if recipient is None else f'"recipient":{_quote(recipient)},',
        "" if recipients is None else f'"recipients":{recipients:d},',
        "" if sealed is None else f'"sealed":"{text_of_digest(sealed)}",',
        "" if service is None else f'"service":{_quote(service)},',
        "" if signature is None else f'"signature":"{text_of_digest(signature)}",',
        "" if signer is None else f'"signer":"{_kept_text(signer)}",',
        "" if stored is None else f'"stored":"{text_of_digest(stored)}",',
        f'"time":"{_text_of_time(time)}","v":{LEAF_VERSION}',
        "" if verdict is None else f',"verdict":{_quote(verdict)}',
    ]
    try:
        leaf = f"{{{''.join(parts)}}}".encode()
    except UnicodeEncodeError as error:
        raise LeafInvalid("a lone surrogate has no UTF-8 form") from error
    if len(leaf) > LEAF_BYTES_MAX:
        raise LeafInvalid(f"a leaf of {len(leaf)} bytes, at most {LEAF_BYTES_MAX} are taken")
    return leaf


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def text_of_digest(digest: bytes) -> str:
    """Base64url without padding: what RFC 4648 §5 allows where the length is known."""
    encoded = binascii.b2a_base64(digest, newline=False).translate(_URL_SAFE, b"=")
    return encoded.decode("ascii")


@lru_cache(maxsize=512)
def _kept_text(digest: bytes) -> str:
    """The same, of what many entries name: rules and certificates."""
    return text_of_digest(digest)


def _text_of_time(time: datetime) -> str:
    if time.tzinfo is not UTC:
        raise LeafInvalid("the time of an entry must be in UTC")
    return text_in_microseconds(time)


# --- reading ---------------------------------------------------------------------------------

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z", re.ASCII)
_DIGEST = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")
_DIGESTS = ("attachments", "config", "payload", "sealed", "signature", "signer", "stored")
_TEXTS = (
    "case",
    "client",
    "fault",
    "message",
    "origin",
    "program",
    "recipient",
    "service",
    "verdict",
)
_NUMBERS = {
    "attempt": "attempt",
    "bytes": "raw_bytes",
    "continues": "continues",
    "position": "position",
    "recipients": "recipients",
}
_TRUE = "true"
_EVENTS = {event.value: event for event in Event}
_REQUIRED = {"v", "event", "time"}


def _is_text(fact: str) -> bool:
    return fact.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in fact)


_FORMS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "v": (int, LEAF_VERSION.__eq__),
    "event": (str, _EVENTS.__contains__),
    "time": (str, _TIME.match),
    **dict.fromkeys(_DIGESTS, (str, _DIGEST.match)),
    **dict.fromkeys(_TEXTS, (str, _is_text)),
    "doubt": (bool, bool),
    **{name: (int, range(INTEGER_MAX + 1).__contains__) for name in _NUMBERS},
}
_UNKNOWN: tuple[type, Callable[[Any], object]] = (type(None), _is_text)


_NAME_SHOWN = 40
"""So many characters of a name that should not be there are told."""


def read_leaf(raw: bytes) -> Leaf:
    """Read a leaf; it must be canonical and hold no fact that is not known. Raises LeafInvalid."""
    return leaf_of_facts(read_leaf_facts(raw))


def read_leaf_facts(raw: bytes) -> dict[str, Any]:
    """The facts of a leaf as JSON has them: canonical and well typed, but not yet decoded.

    Raises LeafInvalid.
    """
    plain = _read_plain(raw)
    if plain is not None:
        return plain
    try:
        facts = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise LeafInvalid("the leaf is not JSON") from error
    if type(facts) is not dict:
        raise LeafInvalid("the leaf is no object")
    parts = []
    for name, fact in facts.items():
        kind, has_form = _FORMS.get(name, _UNKNOWN)
        if type(fact) is not kind or not has_form(fact):
            raise LeafInvalid(f"{name[:_NAME_SHOWN]!r} is not known or does not have its form")
        shown = _TRUE if fact is True else fact
        parts.append(f'"{name}":{_quote(fact) if isinstance(fact, str) else shown}')
    # All keys are ASCII, so that Python's order is that of RFC 8785 §3.2.3.
    if not facts.keys() >= _REQUIRED or list(facts) != sorted(facts):
        raise LeafInvalid("version, event or time is missing, or the keys are not in order")
    if f"{{{','.join(parts)}}}".encode() != raw:
        raise LeafInvalid("the leaf is not in canonical form")
    return facts


def _pattern_of(name: str, value: str) -> str:
    return f'(?:"{name}":{value},)?'


_PLAIN_TEXT = r'"([^"\\\x00-\x1f]*)"'
_PLAIN_DIGEST = r'"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])"'
_PLAIN_NUMBER = r"(0|[1-9][0-9]{0,14})"
_PLAIN_NAMES = sorted(_FORMS.keys() - {"v"})
_PLAIN_LEAF = re.compile(
    r"\{"
    + "".join(
        _pattern_of(
            name,
            _PLAIN_DIGEST
            if name in _DIGESTS
            else _PLAIN_NUMBER
            if name in _NUMBERS
            else r'"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z)"'
            if name == "time"
            else f"({_TRUE})"
            if name == "doubt"
            else _PLAIN_TEXT,
        )
        for name in _PLAIN_NAMES
        if name != "verdict"
    )
    + rf'"v":{LEAF_VERSION}(?:,"verdict":{_PLAIN_TEXT})?\}}'
)
"""A leaf whose texts need no escape, as nearly all are: its canonical form is one pattern."""


def _read_plain(raw: bytes) -> dict[str, Any] | None:
    """The facts of a leaf without escapes, ten times as fast; None: read it the long way."""
    try:
        found = _PLAIN_LEAF.fullmatch(raw.decode())
    except UnicodeDecodeError:
        return None
    if found is None:
        return None
    facts: dict[str, Any] = {
        name: fact
        for name, fact in zip(_PLAIN_NAMES, found.groups(), strict=True)
        if fact is not None
    }
    if facts.get("event") not in _EVENTS or "time" not in facts:
        return None
    facts["v"] = LEAF_VERSION
    if "doubt" in facts:
        facts["doubt"] = True
    for name in _NUMBERS:
        if name in facts:
            facts[name] = int(facts[name])
    return facts


def leaf_of_facts(facts: dict[str, Any]) -> Leaf:
    """Decode the facts that `read_leaf_facts` gave. Raises LeafInvalid."""
    decoded: dict[str, Any] = {name: facts[name] for name in _TEXTS if name in facts}
    decoded |= {name: digest_of_text(facts[name]) for name in _DIGESTS if name in facts}
    decoded |= {ours: facts[name] for name, ours in _NUMBERS.items() if name in facts}
    decoded |= {name: facts[name] for name in ("doubt",) if name in facts}
    try:
        time = datetime.fromisoformat(facts["time"]).astimezone(UTC)
    except ValueError as error:
        raise LeafInvalid("the leaf has no time in its form") from error
    return Leaf(event=_EVENTS[facts["event"]], time=time, **decoded)


def digest_of_text(text: str) -> bytes:
    """The 32 bytes that a digest in a leaf stands for."""
    return base64.urlsafe_b64decode(text + "=")


# --- pseudonyms ------------------------------------------------------------------------------
