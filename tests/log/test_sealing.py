"""Payloads are readable with the read key only, and no sealed byte can change unseen."""

import hashlib
import os
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import LogCorrupt
from bus.core.log.leaf import commit_payload
from bus.core.ports.message_log import SealedPayload
from bus.log import sealing
from bus.log.packing_words import WORDS
from bus.log.sealing import Sealer
from bus.runtime.off_loop import INLINE_BYTES_MAX

READ_KEY = bytes(range(32))
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SEALER = Sealer(READ_KEY)


def sealed_by_hand(content: bytes, purpose: bytes) -> SealedPayload:
    """Sealed as docs/message-log.md says: any content, under any associated data."""
    key, nonce = os.urandom(32), os.urandom(12)
    ciphertext = nonce + AESGCM(key).encrypt(nonce, bytes(32) + content, None)
    return SealedPayload(ciphertext, nonce + AESGCM(READ_KEY).encrypt(nonce, key, purpose))


PACKED = b"lienthong.vn/packed-payload-key/v2"
WORDLESS = b"lienthong.vn/packed-payload-key/v1"
PLAIN = b"lienthong.vn/payload-key/v1"


@given(st.binary(max_size=5000))
def test_a_sealed_payload_opens_to_what_was_sealed(raw: bytes) -> None:
    sealed, commitment, digest = SEALER.seal(raw)
    salt, opened = SEALER.open_sealed(sealed)
    assert raw == opened
    assert commit_payload(salt, raw) == commitment
    assert hashlib.sha256(sealed.ciphertext).digest() == digest


@given(st.binary(max_size=5000))
def test_what_is_sealed_for_a_while_opens_as_everything_else(raw: bytes) -> None:
    assert SEALER.open_sealed(SEALER.seal_for_a_while(raw))[1] == raw


def test_a_large_payload_is_packed_beside_the_small_ones() -> None:
    raw = bytes(INLINE_BYTES_MAX + 1)
    sealed = SEALER.seal_for_a_while(raw)
    assert len(sealed.ciphertext) < len(raw) / 2
    assert SEALER.open_sealed(sealed)[1] == raw


def test_the_same_payload_is_never_sealed_alike() -> None:
    first, first_commitment, _ = SEALER.seal(b"<a/>")
    second, second_commitment, _ = SEALER.seal(b"<a/>")
    assert first != second
    assert first_commitment != second_commitment


def test_another_read_key_opens_nothing() -> None:
    sealed, _, _ = SEALER.seal(b"<a/>")
    with pytest.raises(LogCorrupt):
        Sealer(bytes(32)).open_sealed(sealed)


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    sealed, _, _ = SEALER.seal(b"<a>b</a>")
    ciphertext, wrapped = bytearray(sealed.ciphertext), bytearray(sealed.wrapped_key)
    changed = data.draw(st.sampled_from([ciphertext, wrapped]))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(bytes(ciphertext), bytes(wrapped)))


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_payload_cut_short_is_found(length: int) -> None:
    sealed, _, _ = SEALER.seal(b"<a/>")
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(sealed.ciphertext[:length], sealed.wrapped_key))
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(sealed.ciphertext, sealed.wrapped_key[:length]))


def test_nothing_of_a_payload_shows_in_a_repr() -> None:
    sealed, _, _ = SEALER.seal(b"Nguyen Van A")
    assert repr(sealed) == "SealedPayload()"


def test_an_envelope_takes_less_than_half_of_its_room() -> None:
    raw = b"".join(b"<xrd:memberCode>H%d</xrd:memberCode>" % number for number in range(200))
    sealed, _, _ = SEALER.seal(raw)
    assert len(sealed.ciphertext) < len(raw) / 2


def test_a_payload_of_a_log_that_packed_nothing_is_opened_as_it_is() -> None:
    packed = zstd.compress(b"<a/>")
    assert SEALER.open_sealed(sealed_by_hand(b"<a/>", PLAIN)) == (bytes(32), b"<a/>")
    assert SEALER.open_sealed(sealed_by_hand(packed, PLAIN)) == (bytes(32), packed)
    assert SEALER.open_sealed(sealed_by_hand(packed, WORDLESS)) == (bytes(32), b"<a/>")


def test_the_words_of_envelopes_stay_what_they_are() -> None:
    """Every payload that was packed with them needs them, for as long as it is kept."""
    assert hashlib.sha256(WORDS).hexdigest() == (
        "57f85dd528c33ddd628622633815a32101b2f95150b5d145e0ed0c5853ef6942"
    )


def test_the_words_of_envelopes_spare_an_envelope_its_own() -> None:
    sealed, _, _ = SEALER.seal(WORDS[:4000])
    assert len(sealed.ciphertext) < 200
    assert SEALER.open_sealed(sealed)[1] == WORDS[:4000]


@pytest.mark.parametrize("length", [0, 1, 6000, 64 * 1024, 64 * 1024 + 1, 3_000_000])
def test_payloads_of_every_size_are_packed_with_the_words(length: int) -> None:
    raw = (WORDS * (length // len(WORDS) + 1))[:length]
    sealed, _, _ = SEALER.seal(raw)
    assert len(sealed.ciphertext) < len(raw) / 10 + 200
    assert SEALER.open_sealed(sealed)[1] == raw


def test_what_was_packed_with_words_does_not_pass_for_what_was_packed_without() -> None:
    words = zstd.ZstdDict(WORDS, is_raw=True)
    raw = WORDS[100:3000]
    with_words = zstd.ZstdCompressor(zstd_dict=words).compress(raw, zstd.ZstdCompressor.FLUSH_FRAME)
    assert SEALER.open_sealed(sealed_by_hand(with_words, PACKED))[1] == raw
    with pytest.raises(LogCorrupt, match="packed"):
        SEALER.open_sealed(sealed_by_hand(with_words, WORDLESS))


@pytest.mark.parametrize(
    "content",
    [b"", b"<a/>", zstd.compress(b"<a/>")[:-1], zstd.compress(b"<a/>") * 2],
    ids=["nothing", "not packed", "cut short", "two frames"],
)
@pytest.mark.parametrize("purpose", [PACKED, WORDLESS])
def test_what_was_not_packed_as_it_must_be_is_found(purpose: bytes, content: bytes) -> None:
    with pytest.raises(LogCorrupt, match="packed"):
        SEALER.open_sealed(sealed_by_hand(content, purpose))


@pytest.mark.parametrize("purpose", [PACKED, WORDLESS])
def test_a_payload_that_would_fill_memory_is_not_unpacked(
    purpose: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "UNPACKED_BYTES_MAX", 1000)
    assert SEALER.open_sealed(sealed_by_hand(zstd.compress(bytes(1000)), purpose))[1] == bytes(1000)
    with pytest.raises(LogCorrupt, match="packed of too much"):
        SEALER.open_sealed(sealed_by_hand(zstd.compress(bytes(1001)), purpose))


def test_a_key_for_anything_else_opens_nothing() -> None:
    with pytest.raises(LogCorrupt, match="does not open"):
        SEALER.open_sealed(sealed_by_hand(b"<a/>", b"lienthong.vn/attachments-key/v1"))
