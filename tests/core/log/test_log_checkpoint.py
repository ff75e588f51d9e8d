"""A checkpoint says how long the log is and what its root is, under the log's key."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.core.log.checkpoint import Checkpoint, CheckpointInvalid, read_checkpoint
from bus.core.log.merkle import EMPTY_ROOT
from signing.signed_note import SigningKey, sign_note

KEY = SigningKey("lienthong.vn/log", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ROOT = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def test_a_checkpoint_reads_back_as_signed() -> None:
    checkpoint = Checkpoint(KEY.name, 0, EMPTY_ROOT)
    signed = checkpoint.sign(KEY)
    assert signed.startswith(f"lienthong.vn/log\n0\n{ROOT}\n\n— lienthong.vn/log ".encode())
    assert checkpoint == read_checkpoint(signed, KEY.verifying_key)


@pytest.mark.parametrize(
    "text",
    [
        f"other.vn/log\n0\n{ROOT}\n",
        f"lienthong.vn/log\n00\n{ROOT}\n",
        f"lienthong.vn/log\n-1\n{ROOT}\n",
        "lienthong.vn/log\n0\n!\n",
        "lienthong.vn/log\n0\nAAAA\n",
        "lienthong.vn/log\n0\n",
        f"lienthong.vn/log\n0\n{ROOT}\nmore\n",
    ],
)
def test_another_form_is_no_checkpoint_even_if_signed(text: str) -> None:
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(sign_note(text, [KEY]), KEY.verifying_key)


def test_a_checkpoint_that_nobody_signed_is_refused() -> None:
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(f"lienthong.vn/log\n0\n{ROOT}\n".encode(), KEY.verifying_key)
