"""Notes are signed and verified as C2SP signed-note says, and no byte can change unseen."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from signing.signed_note import (
    KeyTextInvalid,
    NoteInvalid,
    SigningKey,
    VerifyingKey,
    parse_note,
    sign_note,
    verify_note,
)

# The example of the Go implementation (golang.org/x/mod/sumdb/note), the format's origin.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
    "RZb6KE6RyyBwJnAM=\n"
).encode()

KEY = SigningKey("lienthong.vn/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = SigningKey("witness.vn", Ed25519PrivateKey.from_private_bytes(bytes(32)))


def test_the_known_note_verifies_under_its_known_key() -> None:
    note = verify_note(NOTE, [VerifyingKey.parse(VKEY)])
    assert note.text.startswith(b"If you think")


def test_a_text_is_signed_with_the_key_it_names() -> None:
    signed = sign_note("one\n\ntwo\n", [OTHER, KEY])
    note = verify_note(signed, [KEY.verifying_key])
    assert note.text == b"one\n\ntwo\n"
    assert [signature.name for signature in note.signatures] == [KEY.name]


def test_a_verifier_key_reads_back_as_written() -> None:
    text = str(KEY.verifying_key)
    assert VerifyingKey.parse(text) == KEY.verifying_key


@pytest.mark.parametrize(
    "text",
    ["", "a+b", VKEY + "=", VKEY.upper(), "a b" + VKEY, VKEY.replace("+AR", "+AB"), VKEY + "\n"],
)
def test_a_misspelt_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(KeyTextInvalid):
        VerifyingKey.parse(text)


def test_a_note_of_a_stranger_is_refused() -> None:
    with pytest.raises(NoteInvalid, match="none of the known keys"):
        verify_note(sign_note("text\n", [OTHER]), [KEY.verifying_key])


def test_the_right_name_with_another_key_is_refused() -> None:
    impostor = SigningKey(KEY.name, OTHER.private_key)
    with pytest.raises(NoteInvalid):
        verify_note(sign_note("text\n", [impostor]), [KEY.verifying_key])


@pytest.mark.parametrize("text", ["no newline", "a\tb\n", "bell\x07\n"])
def test_a_text_without_the_form_is_not_signed(text: str) -> None:
    with pytest.raises(NoteInvalid):
        sign_note(text, [KEY])


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_any_changed_byte_breaks_the_note(position: int, mask: int) -> None:
    changed = bytearray(NOTE)
    changed[position] ^= mask
    with pytest.raises(NoteInvalid):
        verify_note(bytes(changed), [VerifyingKey.parse(VKEY)])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_note_or_refused(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except NoteInvalid:
        return
    assert note.text.endswith(b"\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"x" * (64 * 1024 + 1),
        b"text\n\n" + "\u2014 name AAAAAAA=\n".encode() * 65,
        "text\n\n\u2014 name AAAAA\n".encode(),
        "text\n\n\u2014 name AAAA\n".encode(),
        "text\n\n\u2014 name AAAAAB==\n".encode(),
    ],
    ids=["too large", "too many signatures", "not base64", "too short", "another spelling"],
)
def test_what_has_not_the_form_of_a_note_is_none(raw: bytes) -> None:
    with pytest.raises(NoteInvalid):
        parse_note(raw)
