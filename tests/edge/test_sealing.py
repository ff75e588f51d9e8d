"""Payloads are readable with the read key only, and no sealed byte can change unseen."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.errors import LogCorrupt
from bus.core.log_entries import commit_payload
from bus.core.ports import SealedPayload
from bus.edge.sealing import Sealer

SEALER = Sealer(bytes(range(32)))


@given(st.binary(max_size=5000))
def test_a_sealed_payload_opens_to_what_was_sealed(raw):
    sealed, commitment, digest = SEALER.seal(raw)
    salt, opened = SEALER.open_sealed(sealed)
    assert raw == opened
    assert commit_payload(salt, raw) == commitment
    assert hashlib.sha256(sealed.ciphertext).digest() == digest


def test_the_same_payload_is_never_sealed_alike():
    first, first_commitment, _ = SEALER.seal(b"<a/>")
    second, second_commitment, _ = SEALER.seal(b"<a/>")
    assert first != second
    assert first_commitment != second_commitment


def test_another_read_key_opens_nothing():
    sealed, _, _ = SEALER.seal(b"<a/>")
    with pytest.raises(LogCorrupt):
        Sealer(bytes(32)).open_sealed(sealed)


@given(st.data())
def test_any_changed_byte_is_found(data):
    sealed, _, _ = SEALER.seal(b"<a>b</a>")
    ciphertext, wrapped = bytearray(sealed.ciphertext), bytearray(sealed.wrapped_key)
    changed = data.draw(st.sampled_from([ciphertext, wrapped]))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(bytes(ciphertext), bytes(wrapped)))


@pytest.mark.parametrize("length", [0, 5, 12, 20])
def test_a_payload_cut_short_is_found(length):
    sealed, _, _ = SEALER.seal(b"<a/>")
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(sealed.ciphertext[:length], sealed.wrapped_key))
    with pytest.raises(LogCorrupt):
        SEALER.open_sealed(SealedPayload(sealed.ciphertext, sealed.wrapped_key[:length]))


def test_nothing_of_a_payload_shows_in_a_repr():
    sealed, _, _ = SEALER.seal(b"Nguyen Van A")
    assert repr(sealed) == "SealedPayload()"
