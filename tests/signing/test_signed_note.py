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
LINE = "\u2014 name AAAAAAA=\n".encode()
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


def test_the_text_of_a_key_may_hold_a_plus() -> None:
    made = (
        SigningKey("n", Ed25519PrivateKey.from_private_bytes(bytes([i]) * 32)) for i in range(99)
    )
    keys = [one.verifying_key for one in made]

    assert any(str(key).count("+") > 2 for key in keys)
    assert [VerifyingKey.parse(str(key)) for key in keys] == keys


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
    ("raw", "reason"),
    [
        (b"x" * (64 * 1024 + 1), "bytes, at most"),
        (b"x" * (64 * 1024), "no signature lines"),
        (b"text\n\n" + LINE * (64 + 1), "signatures, at most"),
        (b"text\n\n" + LINE[:-1], "no signature lines"),
        (b"text\n" + LINE, "no signature lines"),
        (b"te\tt\n\n" + LINE, "a control character"),
        ("text\n\n\u2014 name AAAAA\n".encode(), "not base64"),
        ("text\n\n\u2014 name AAAA\n".encode(), "its one spelling"),
        ("text\n\n\u2014 name AAAAAA==\n".encode(), "its one spelling"),
        ("text\n\n\u2014 name AAAAAAB=\n".encode(), "its one spelling"),
    ],
)
def test_what_has_not_the_form_of_a_note_is_none(raw: bytes, reason: str) -> None:
    with pytest.raises(NoteInvalid, match=reason):
        parse_note(raw)


def test_a_note_may_be_as_long_as_its_bounds() -> None:
    assert len(parse_note(b"text\n\n" + LINE * 64).signatures) == 64
    longest = b"x" * (64 * 1024 - 2 - len(LINE)) + b"\n\n" + LINE
    assert len(parse_note(longest).signatures) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a+b", "expected name"),
        (VKEY + "*", "not base64"),
        (VKEY + "é", "not base64"),
        (VKEY + "=", "does not fit"),
        ("n+00000000+AA==", "not of type Ed25519"),
        ("n+00000000+AQ==", "a key of 32 bytes"),
        (VKEY.replace("PeterNeumann", "Peter Neumann"), "a name without space"),
        (VKEY.replace("c74f20a3", "c74f20a4"), "does not fit"),
    ],
)
def test_what_a_verifier_key_lacks_is_told(text: str, reason: str) -> None:
    with pytest.raises(KeyTextInvalid, match=reason):
        VerifyingKey.parse(text)


def test_a_signature_of_another_length_is_none_of_the_key() -> None:
    assert not KEY.verifying_key.accepts(b"short", b"text")
