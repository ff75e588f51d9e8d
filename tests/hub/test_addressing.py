"""WS-Addressing blocks of generated clients: understood where they say what happens anyway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.core.limits import Limits
from bus.core.value_prefixes import canonical_element
from bus.protocols.soap_xroad.addressing import WSA, WSA_2004
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer
from bus.protocols.soap_xroad.write import SigningTime, repeated_blocks, write_with_blocks
from signing.names import SOAP11, SOAP12, WSU
from signing.wss.canonical import canonicalise
from signing.wss.sign import CanonicalPart, CanonicalParts, together
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.nation import CLIENT, NOW, SmallNation, payload, request

ANONYMOUS = {WSA: f"{WSA}/anonymous", WSA_2004: f"{WSA_2004}/role/anonymous"}
SOAP_TYPES = {SOAP11: b"text/xml; charset=utf-8", SOAP12: b"application/soap+xml; charset=utf-8"}


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path) -> Iterator[OpenHub]:
    with opened(nation, tmp_path) as one:
        yield one


def address_block(name: str, address: str, more: str = "") -> str:
    return f"<a:{name} MU><a:Address>{address}</a:Address>{more}</a:{name}>"


def wcf_blocks(namespace: str = WSA) -> list[str]:
    """What wsHttpBinding writes, in its order."""
    return [
        "<a:Action MU></a:Action>",
        "<a:MessageID>urn:uuid:2f0a3a2c-0d52-4b0a-8f0e-5a8e3b0d2a11</a:MessageID>",
        address_block("ReplyTo", ANONYMOUS[namespace]),
        "<a:To MU>http://hub.example/</a:To>",
    ]


def wcf_request(
    nation: SmallNation,
    blocks: list[str],
    *,
    namespace: str = WSA,
    soap: str = SOAP11,
    understood: str = "1",
) -> bytes:
    """A request whose signature covers the addressing blocks, too, as WCF's does."""
    version = parse(request(nation), Limits()).soap_version.__class__(soap)
    plain = parse(request(nation, soap_version=version), Limits())
    ours = repeated_blocks(plain)
    parts = []
    for number, block in enumerate(blocks):
        attributes = f'xmlns:s="{soap}" s:mustUnderstand="{understood}"'
        text = block.replace(">", f' xmlns:a="{namespace}" xmlns:u="{WSU}" u:Id="_{number}">', 1)
        element = payload(text.replace("MU", attributes, 1).encode())
        parts.append(CanonicalPart(f"_{number}", canonicalise(element)))
    theirs = together(parts)
    both = CanonicalParts(theirs.canonical + ours.canonical, theirs.references + ours.references)
    return write_with_blocks(
        both,
        canonical_element(payload(), all_values=True),
        nation.signers[CLIENT],
        SigningTime(NOW),
        soap_version=version,
    )


@pytest.mark.parametrize("namespace", [WSA, WSA_2004])
@pytest.mark.parametrize(("soap", "understood"), [(SOAP11, "1"), (SOAP12, "1"), (SOAP12, "true")])
def test_a_message_of_wcf_is_answered(
    nation: SmallNation, hub: OpenHub, namespace: str, soap: str, understood: str
) -> None:
    async def story(running: RunningHub) -> None:
        blocks = [
            *wcf_blocks(namespace),
            address_block("FaultTo", ANONYMOUS[namespace]),
            address_block("From", "urn:anybody"),
            "<a:RelatesTo MU>urn:uuid:1</a:RelatesTo>",
        ]
        raw = wcf_request(nation, blocks, namespace=namespace, soap=soap, understood=understood)

        reply = await running.post(raw, content_type=SOAP_TYPES[soap])

        assert isinstance(running.proved(reply, raw), VerifiedAnswer)
        assert len(running.agency.asked) == 1
        # Nothing of X-Road's: not repeated, and not handed on.
        assert namespace.encode() not in reply.body + running.agency.asked[0].header_blocks

    hub.tell(story)


REFUSED = {
    "an answer elsewhere": address_block("ReplyTo", "http://elsewhere.example/"),
    "no answer at all": address_block("ReplyTo", f"{WSA}/none"),
    "faults elsewhere": address_block("FaultTo", "http://elsewhere.example/"),
    "no address": "<a:ReplyTo MU></a:ReplyTo>",
    "the other version's anonymous": address_block("ReplyTo", ANONYMOUS[WSA_2004]),
    "parameters to repeat": address_block(
        "ReplyTo",
        ANONYMOUS[WSA],
        "<a:ReferenceParameters><b>1</b></a:ReferenceParameters>",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_asks_for_something_else_is_refused_in_clear_words(
    nation: SmallNation, hub: OpenHub, name: str
) -> None:
    async def story(running: RunningHub) -> None:
        raw = wcf_request(nation, [REFUSED[name]])

        reply = await running.post(raw)

        assert b"<lt:code>envelope.header-invalid<" in reply.body
        assert b"anonymous address" in reply.body or b"reference parameters" in reply.body
        assert running.agency.asked == []

    hub.tell(story)


@pytest.mark.parametrize(
    ("blocks", "code"),
    [
        ([*wcf_blocks(), "<a:To MU>http://other.example/</a:To>"], "envelope.header-duplicate"),
        (["<a:Problem MU>1</a:Problem>"], "envelope.header-not-understood"),
    ],
)
def test_a_block_twice_and_one_of_no_meaning_are_refused(
    nation: SmallNation, hub: OpenHub, blocks: list[str], code: str
) -> None:
    async def story(running: RunningHub) -> None:
        raw = wcf_request(nation, blocks)

        reply = await running.post(raw)

        assert f"<lt:code>{code}<".encode() in reply.body

    hub.tell(story)


def test_what_need_not_be_understood_is_passed_over(nation: SmallNation, hub: OpenHub) -> None:
    async def story(running: RunningHub) -> None:
        raw = wcf_request(nation, [REFUSED["an answer elsewhere"]], understood="0")

        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)

    hub.tell(story)
