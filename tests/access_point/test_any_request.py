"""Whatever a system sends, it gets a SOAP message back, and a message only the hub's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus.access_point.door import Asked
from bus.access_point.exchange import AccessPoint
from bus.access_point.opening import open_access_point
from bus.core.xml import parse_xml
from signing.names import SOAP11, SOAP12
from tests.access_point.running_access_point import plain_request, write_settings
from tests.hub.running_hub import SetClock
from tests.nation import SmallNation

ENVELOPES = {f"{{{SOAP11}}}Envelope", f"{{{SOAP12}}}Envelope"}
CHARSETS = st.sampled_from(["", "utf-8", "iso-8859-1", "utf-16", "windows-1252", "none", "\x00"])


@pytest.fixture(scope="module")
def point(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AccessPoint]:
    """An access point whose hub is away."""
    folder = tmp_path_factory.mktemp("point")
    with asyncio.Runner() as loop:
        settings = write_settings(nation, folder, "http://127.0.0.1:1")
        opened = loop.run(open_access_point(settings, clock=SetClock()))
        yield opened
        loop.run(opened.close())


def assert_is_fault(point: AccessPoint, asked: Asked) -> None:
    reply = point.answer(asked)

    root = parse_xml(reply.body, bytes_max=len(reply.body))
    assert reply.status == 500
    assert root.tag in ENVELOPES
    assert [child.tag.rpartition("}")[2] for child in root[-1]] == ["Fault"]


@settings(deadline=None)
@given(raw=st.binary(max_size=400), charset=CHARSETS)
def test_any_bytes_get_a_fault(point: AccessPoint, raw: bytes, charset: str) -> None:
    assert_is_fault(point, Asked(raw, charset))


@settings(deadline=None)
@given(data=st.data())
def test_any_change_of_a_request_gets_a_fault_while_the_hub_is_away(
    point: AccessPoint, data: st.DataObject
) -> None:
    raw = plain_request(soap=data.draw(st.sampled_from([SOAP11, SOAP12])))
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 60)))
    put_in = data.draw(st.binary(max_size=20))

    assert_is_fault(point, Asked(raw[:start] + put_in + raw[end:], data.draw(CHARSETS)))
