"""A service's own fault reaches whoever asked: code, words and detail; signed and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bus.core.log.leaf import Event
from bus.core.xml import parse_xml
from bus.kit.contract import Answer, Query, ServiceFault
from bus.protocols.soap_xroad.verify_answer import VerifiedFault
from signing.names import SOAP11, WSU
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.nation import SmallNation, request


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path, shows_precise_faults=False) as one:
        yield one


def refusing(fault: ServiceFault) -> Callable[[Query], Answer]:
    def refuse(query: Query) -> Answer:
        raise fault

    return refuse


def test_a_fault_goes_on_in_the_services_own_words(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        running.agency.script = refusing(
            ServiceFault(
                "NoSuchYear",
                "Không có năm 1899",
                actor="urn:tax",
                detail_content=b'<t:year xmlns:t="urn:tax">1899</t:year>',
            )
        )
        raw = request(nation)

        reply = await running.post(raw)
        again = await running.post(raw)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        fault = parse_xml(reply.body, bytes_max=2**20).find(f".//{{{SOAP11}}}Fault")
        assert fault is not None
        assert [fault.findtext(name) for name in ("faultcode", "faultstring", "faultactor")] == [
            "NoSuchYear",
            "Không có năm 1899",
            "urn:tax",
        ]
        assert fault.findtext("detail/{urn:tax}year") == "1899"
        assert (told.fault.code, told.fault.is_retryable) == ("delivery.service-fault", False)
        assert told.fault.detail_content == b'<t:year xmlns:t="urn:tax">1899</t:year>'
        assert (reply.status, again.body) == (500, reply.body)
        outcome = next(leaf for leaf in running.leaves() if leaf.event is Event.OUTCOME)
        assert outcome.verdict == "delivery.service-fault"
        assert len(running.agency.asked) == 1

    hub.tell(story)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"words &amp; signs",
        b"<faultDetail>of theirs</faultDetail>",
        b"<a></a><b></b>",
        f'<a xmlns:soap="{SOAP11}" soap:mustUnderstand="1"></a>'.encode(),
        f'<wsu:a xmlns:wsu="{WSU}"></wsu:a>'.encode(),
        b'<a><soap:b xmlns:soap="urn:other"></soap:b></a>',
        b'<lt:a xmlns:lt="urn:other"></lt:a>',
    ],
)
def test_any_detail_keeps_the_signature_and_comes_back(
    nation: SmallNation, hub: OpenHub, content: bytes
) -> None:
    async def story(running: RunningHub) -> None:
        running.agency.script = refusing(ServiceFault("soap:Server", "x", detail_content=content))
        raw = request(nation)

        told = running.proved(await running.post(raw), raw)

        assert isinstance(told, VerifiedFault)
        assert told.fault.detail_content == content

    hub.tell(story)
