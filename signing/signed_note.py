"""Sign and verify notes: a text with Ed25519 signature lines below it (C2SP signed-note)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOTE_BYTES_MAX = 64 * 1024
"""Largest note that is read; checkpoints and receipts are far smaller."""
SIGNATURES_MAX = 64
"""Most signature lines in one note."""

_ED25519 = b"\x01"
"""Signature type of Ed25519. C2SP signed-note §Signatures."""
_KEY_NAME = re.compile(r"[^\s+\x00-\x1f]{1,255}\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_START = "\u2014 "
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]{1,255}) ([A-Za-z0-9+/]+={0,2})\Z")


class NoteInvalid(ValueError):
    """These bytes are no signed note, or no such signature stands below it."""


class KeyTextInvalid(ValueError):
    """This text is no verifier key."""


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half of a note key: `name+key id+key`."""

    name: str
    public_bytes: bytes
    """Raw Ed25519 public key, 32 bytes."""

    def __post_init__(self) -> None:
        if not _KEY_NAME.match(self.name) or len(self.public_bytes) != 32:
            raise KeyTextInvalid(f"{self.name!r}: a name without space or '+', a key of 32 bytes")

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, type, key). C2SP signed-note §Signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_bytes).digest()[
            :4
        ]

    @classmethod
    def parse(cls, text: str) -> VerifyingKey:
        """Read a verifier key as `str(key)` writes it. Raises KeyTextInvalid."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise KeyTextInvalid("expected name+key id+key")
        try:
            typed = base64.b64decode(parts[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyTextInvalid("the key is not base64") from error
        if typed[:1] != _ED25519:
            raise KeyTextInvalid("the key is not of type Ed25519")
        key = cls(parts[0], typed[1:])
        # One key has one spelling, so that no byte of a stored key can change unseen.
        if str(key) != text:
            raise KeyTextInvalid("the key id does not fit name and key")
        return key

    def __str__(self) -> str:
        typed = base64.b64encode(_ED25519 + self.public_bytes).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{typed}"

    def accepts(self, signature: bytes, text: bytes) -> bool:
        """Say whether `signature` (64 bytes) was made over `text` by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_bytes).verify(signature, text)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of a note key."""

    name: str
    private_key: Ed25519PrivateKey = field(repr=False)
    verifying_key: VerifyingKey = field(init=False)
    """The public half."""
    key_id: bytes = field(init=False, repr=False)
    """That of the public half, made once: it stands in every signature line."""

    def __post_init__(self) -> None:
        public = self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        object.__setattr__(self, "verifying_key", VerifyingKey(self.name, public))
        object.__setattr__(self, "key_id", self.verifying_key.key_id)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note as read. Nothing in it is proved before `verify_note`."""

    text: bytes
    """What is signed; ends with a newline."""
    signatures: tuple[NoteSignature, ...]


def sign_note(text: str, keys: list[SigningKey]) -> bytes:
    """Put one signature line for each key below `text`, which must end with a newline.

    >>> key = SigningKey("example.vn/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
    >>> sign_note("hello\\n", [key]).decode().splitlines()[0]
    'hello'
    """
    _refuse_bad_text(text)
    lines = [text, "\n"]
    for key in keys:
        blob = key.key_id + key.private_key.sign(text.encode())
        encoded = binascii.b2a_base64(blob, newline=False).decode("ascii")
        lines.append(f"{_SIGNATURE_START}{key.name} {encoded}\n")
    return "".join(lines).encode()


def parse_note(raw: bytes) -> Note:
    """Read a note without verifying it. Raises NoteInvalid."""
    if len(raw) > NOTE_BYTES_MAX:
        raise NoteInvalid(f"{len(raw)} bytes, at most {NOTE_BYTES_MAX} are read")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteInvalid("not UTF-8") from error
    # The last empty line parts text and signatures. C2SP signed-note §Format.
    text, separator, below = whole.rpartition("\n\n")
    if not separator or not below.endswith("\n"):
        raise NoteInvalid("no signature lines below an empty line")
    text += "\n"
    _refuse_bad_text(text)
    lines = below[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteInvalid(f"{len(lines)} signatures, at most {SIGNATURES_MAX} are read")
    return Note(text.encode(), tuple(_parse_signature(line) for line in lines))


def verify_note(raw: bytes, keys: list[VerifyingKey]) -> Note:
    """Read a note and prove every signature line that one of `keys` should have made.

    1. The bytes are a note.
    2. Each line whose name and key id are those of a given key verifies.
    3. At least one line does; lines of other keys are left out of what is returned.

    Raises NoteInvalid.
    """
    note = parse_note(raw)
    by_name = {(key.name, key.key_id): key for key in keys}
    proved = []
    for signature in note.signatures:
        key = by_name.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.accepts(signature.signature, note.text):
            raise NoteInvalid(f"the signature of {key.name} does not fit the text")
        proved.append(signature)
    if not proved:
        raise NoteInvalid("none of the known keys signed it")
    return Note(note.text, tuple(proved))


def _refuse_bad_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteInvalid("the text must end with a newline")
    if _CONTROL.search(text):
        raise NoteInvalid("the text holds a control character")


def _parse_signature(line: str) -> NoteSignature:
    found = _SIGNATURE_LINE.match(line)
    if found is None:
        raise NoteInvalid("a signature line does not have its form")
    try:
        blob = base64.b64decode(found[2])  # other letters than those of base64 have no form
    except binascii.Error as error:
        raise NoteInvalid("a signature is not base64") from error
    # Base64 lets unused bits of the last letter differ; one signature has one spelling here.
    if len(blob) < 5 or base64.b64encode(blob).decode("ascii") != found[2]:
        raise NoteInvalid("a signature is not base64 in its one spelling")
    return NoteSignature(found[1], blob[:4], blob[4:])
