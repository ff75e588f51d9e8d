"""Write and read a checkpoint: the signed head of the log (C2SP tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from bus.core.log.merkle import HASH_BYTES
from signing.signed_note import NoteInvalid, SigningKey, VerifyingKey, sign_note, verify_note

_SIZE = re.compile(r"(0|[1-9]\d{0,18})\Z")


class CheckpointInvalid(ValueError):
    """These bytes are no checkpoint of this log, or its key did not sign them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the hub promises about its log: so many entries, with this root."""

    origin: str
    size: int
    root: bytes

    def sign(self, key: SigningKey) -> bytes:
        """The signed note that is published."""
        root = base64.b64encode(self.root).decode("ascii")
        return sign_note(f"{self.origin}\n{self.size}\n{root}\n", [key])


def read_checkpoint(raw: bytes, key: VerifyingKey) -> Checkpoint:
    """Prove that `key` signed this checkpoint of the log that bears its name.

    Raises CheckpointInvalid.
    """
    try:
        note = verify_note(raw, [key])
    except NoteInvalid as error:
        raise CheckpointInvalid(str(error)) from error
    lines = note.text.decode().split("\n")
    if len(lines) != 4 or lines[0] != key.name or not _SIZE.match(lines[1]):
        raise CheckpointInvalid("expected the log's origin, a size and a root, and nothing else")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError) as error:
        raise CheckpointInvalid("the root is not base64") from error
    if len(root) != HASH_BYTES:
        raise CheckpointInvalid(f"the root must have {HASH_BYTES} bytes")
    return Checkpoint(lines[0], int(lines[1]), root)
