"""Whatever is changed in a signed multipart message: it is refused, or means the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bus.core.decision import Refused
from bus.core.errors import BusError
from bus.core.limits import Limits
from bus.core.xml import parse_xml
from bus.http.multipart import MultipartIntake, WholeMessage
from bus.http.spool import Spool
from bus.protocols.mime.content_type import parse_content_type
from bus.protocols.mime.write import write_related
from signing.attachments import Attachment
from signing.wss.canonical import canonicalise
from tests.attachments import attachment
from tests.hub.sending_attachments import nation_with_attachments, signed
from tests.nation import NOW, SmallNation, decide_request

BESIDE = (
    attachment(b"%PDF-1.7\r\n--not a boundary\r\n\x00\xff", "a@x"),
    attachment(b"two\nlines\n", "t", "text/plain"),
    attachment(b"<a b='1'>x</a>", "x", "text/xml"),
)
ANY_TIME = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def taking(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return nation_with_attachments(nation, tmp_path_factory.mktemp("changed"))


@pytest.fixture(scope="module")
def message(taking: SmallNation) -> tuple[str, bytes]:
    """The Content-Type and the bytes of a message that passes."""
    related = write_related(signed(taking, BESIDE), BESIDE)
    return related.content_type, b"".join(related)


def taken(content_type: str, raw: bytes) -> WholeMessage | None:
    """What a door makes of it; None: it refuses it."""
    intake = None
    try:
        spool = Spool(Path("/tmp"), bytes_max=10**7)
        intake = MultipartIntake(parse_content_type(content_type), Limits(), spool)
        intake.feed(raw)
        return intake.end()
    except BusError:
        return None
    finally:
        if intake is not None:
            intake.close()


def passes(nation: SmallNation, whole: WholeMessage) -> bool:
    def never(error: Exception) -> None:
        raise AssertionError(f"not a decision, but {error!r}")

    decision = decide_request(whole.soap, nation.rules, NOW, never, whole.attachments)
    return not isinstance(decision, Refused)


def meaning(attachments: tuple[Attachment, ...]) -> list[tuple[str, bytes]]:
    """What is signed: ids, and contents in the form of their types. The order is not."""
    contents = []
    for one in attachments:
        content = b"".join(one.chunks())
        if one.content_id == "x":
            content = canonicalise(parse_xml(content, bytes_max=len(content)))
        elif one.media_type.startswith("text/"):
            content = re.sub(rb"\r\n|\r|\n", b"\n", content)
        contents.append((one.content_id, content))
    return sorted(contents)


def check(nation: SmallNation, content_type: str, raw: bytes, original: bytes) -> None:
    whole = taken(content_type, raw)
    if whole is None or not passes(nation, whole):
        return
    unchanged = taken(content_type, original)
    assert unchanged is not None
    assert meaning(whole.attachments) == meaning(unchanged.attachments)


def test_the_message_passes_as_it_is(taking: SmallNation, message: tuple[str, bytes]) -> None:
    whole = taken(*message)

    assert whole is not None
    assert passes(taking, whole)


@ANY_TIME
@given(data=st.data())
def test_a_changed_byte_is_refused_or_changes_nothing(
    taking: SmallNation, message: tuple[str, bytes], data: st.DataObject
) -> None:
    content_type, raw = message
    place = data.draw(st.integers(0, len(raw) - 1))
    value = data.draw(st.integers(0, 255))

    check(taking, content_type, raw[:place] + bytes([value]) + raw[place + 1 :], raw)


@ANY_TIME
@given(data=st.data())
def test_a_piece_that_is_cut_out_doubled_or_moved_is_refused_or_changes_nothing(
    taking: SmallNation, message: tuple[str, bytes], data: st.DataObject
) -> None:
    content_type, raw = message
    # Where the attachments stand: before that lies the SOAP part, which has tests of its own.
    first = raw.index(b"</soap:Envelope>")
    start = data.draw(st.integers(first, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    to = data.draw(st.integers(first, len(raw)))
    piece, rest = raw[start:end], raw[:start] + raw[end:]

    for changed in (rest, raw[:to] + piece + raw[to:], rest[:to] + piece + rest[to:]):
        check(taking, content_type, changed, raw)
