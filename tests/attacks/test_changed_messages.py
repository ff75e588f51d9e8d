"""Whoever changes a signed message gets it refused, or it says what it said before."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core import errors
from bus.core.pipeline import Refusal, decide
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from tests.attacks.meaning import judged, must_be_harmless
from tests.envelopes import HEADER_BLOCKS, block, body, security, signed_again, with_header
from tests.nation import CLIENT, NOW, OTHER_CLIENT, SAMPLE, SmallNation, request


@pytest.fixture(scope="session")
def good(nation: SmallNation) -> bytes:
    return request(nation)


# --- any change ------------------------------------------------------------------------------

ANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@ANY
@given(data=st.data())
def test_another_byte_never_means_something_else(
    good: bytes, nation: SmallNation, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(good) - 1))
    value = data.draw(st.integers(0, 255))

    must_be_harmless(good[:place] + bytes([value]) + good[place + 1 :], good, nation)


@ANY
@given(data=st.data())
def test_what_is_cut_out_put_in_or_copied_never_means_something_else(
    good: bytes, nation: SmallNation, data: st.DataObject
) -> None:
    places = st.integers(0, len(good))
    start, end = sorted((data.draw(places), data.draw(places)))
    target = data.draw(places)
    piece = data.draw(st.sampled_from([b"", good[start:end], b"<!---->", b" ", b"<x/>"]))
    kept = data.draw(st.sampled_from([good, good[:start] + good[end:]]))

    must_be_harmless(kept[:target] + piece + kept[target:], good, nation)


@pytest.mark.slow
def test_no_byte_of_a_message_can_be_left_out(good: bytes, nation: SmallNation) -> None:
    for place in range(len(good)):
        must_be_harmless(good[:place] + good[place + 1 :], good, nation)


# --- moved, doubled, hidden ----------------------------------------------------------------------

EVIL_NUMBER = b"001185000001"


def evil(raw: bytes, identifier: bytes) -> bytes:
    changed = body(raw).replace(b"040185766517", EVIL_NUMBER)
    return changed.replace(b' wsu:Id="body"', identifier)


def in_header(raw: bytes) -> bytes:
    return b'<w:w xmlns:w="urn:w">' + body(raw) + b"</w:w>"


WRAPPINGS: dict[str, Callable[[bytes], bytes]] = {
    "in the header": lambda raw: with_header(
        raw.replace(body(raw), evil(raw, b"")), in_header(raw)
    ),
    "in the header, the new one under another Id": lambda raw: with_header(
        raw.replace(body(raw), evil(raw, b' wsu:Id="body2"')), in_header(raw)
    ),
    "in the header, the new one under the same Id": lambda raw: with_header(
        raw.replace(body(raw), evil(raw, b' wsu:Id="body"')), in_header(raw)
    ),
    "in the header, the new one under the same Id spelt otherwise": lambda raw: with_header(
        raw.replace(body(raw), evil(raw, b' Id="body"')), in_header(raw)
    ),
    "in the header, the new one under xml:id": lambda raw: with_header(
        raw.replace(body(raw), evil(raw, b' xml:id="body"')), in_header(raw)
    ),
    "inside the new one": lambda raw: raw.replace(
        body(raw), evil(raw, b"").replace(b"</soap:Body>", body(raw) + b"</soap:Body>")
    ),
    "in the security header": lambda raw: raw.replace(body(raw), evil(raw, b"")).replace(
        b"</wsse:Security>", body(raw) + b"</wsse:Security>"
    ),
    "in the signature": lambda raw: raw.replace(body(raw), evil(raw, b"")).replace(
        b"</ds:Signature>",
        b"<ds:Object>" + body(raw) + b"</ds:Object></ds:Signature>",
    ),
    "before the new one": lambda raw: raw.replace(body(raw), body(raw) + evil(raw, b"")),
    "behind the new one": lambda raw: raw.replace(body(raw), evil(raw, b"") + body(raw)),
    "behind the envelope's end": lambda raw: raw.replace(body(raw), evil(raw, b"")).replace(
        b"</soap:Envelope>", b"<w>" + body(raw) + b"</w></soap:Envelope>"
    ),
}


@pytest.mark.parametrize("place", WRAPPINGS)
def test_a_signed_body_moved_elsewhere_covers_nothing(
    place: str, good: bytes, nation: SmallNation
) -> None:
    raw = WRAPPINGS[place](good)

    assert EVIL_NUMBER in raw
    assert isinstance(judged(raw, nation), Refusal)


@pytest.mark.parametrize("name", HEADER_BLOCKS)
def test_a_signed_header_moved_elsewhere_covers_nothing(
    name: str, good: bytes, nation: SmallNation
) -> None:
    signed = block(good, name)
    unsigned = signed.replace(b' wsu:Id="%s"' % name.encode(), b"")
    wrapper = b'<w:w xmlns:w="urn:w">' + signed + b"</w:w>"

    result = judged(with_header(good.replace(signed, unsigned), wrapper), nation)

    assert isinstance(result, Refusal)
    assert type(result.error) is errors.CoverageInsufficient


def test_headers_of_two_messages_of_one_sender_cannot_be_mixed(nation: SmallNation) -> None:
    one, other = request(nation, "m-1"), request(nation, "m-2")

    for name in ("id", "client", "service", "issue"):
        mixed = one.replace(block(one, name), block(other, name))
        must_be_harmless(mixed, one, nation)
    assert isinstance(judged(one.replace(block(one, "id"), block(other, "id")), nation), Refusal)
    assert isinstance(judged(one.replace(security(one), security(other)), nation), Refusal)


def test_a_comment_does_not_change_who_asks(good: bytes, nation: SmallNation) -> None:
    must_be_harmless(good.replace(b">H41<", b">H<!-- -->41<"), good, nation)
    must_be_harmless(good.replace(b">motcua<", b">mot<!-- -->cua<"), good, nation)


def test_attributes_outside_the_signature_say_nothing(good: bytes, nation: SmallNation) -> None:
    raw = good.replace(b"<soap:Header>", b'<soap:Header xml:lang="vi" x="1">')

    after = judged(raw, nation)

    assert isinstance(after, RoutedMessage)
    must_be_harmless(raw, good, nation)


# --- somebody else's signature -----------------------------------------------------------------


def test_another_member_may_sign_only_for_itself(good: bytes, nation: SmallNation) -> None:
    result = judged(signed_again(good, nation.signers[OTHER_CLIENT]), nation)

    assert isinstance(result, Refusal)
    assert type(result.error) is errors.SenderMismatch


def test_a_message_is_not_good_for_ever(good: bytes, nation: SmallNation) -> None:
    later = decide(good, parse, nation.rules, NOW + timedelta(minutes=5, seconds=1))

    assert isinstance(later, Refusal)
    assert type(later.error) is errors.MessageExpired


def test_a_signature_over_somebody_elses_envelope_is_not_taken_over(nation: SmallNation) -> None:
    theirs = request(nation, client=OTHER_CLIENT)
    mine = request(nation, client=CLIENT, body=SAMPLE.replace(b"040185766517", EVIL_NUMBER))

    assert isinstance(judged(mine.replace(security(mine), security(theirs)), nation), Refusal)
    assert isinstance(judged(theirs.replace(body(theirs), body(mine)), nation), Refusal)
