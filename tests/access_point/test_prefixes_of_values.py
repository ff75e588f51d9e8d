"""What is valid is what is signed: prefixes that only values use, from every door.

SOAP::Lite, Axis and old PHP write xsi:type into every element, and bind its prefix far outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.core.xml import parse_xml
from bus.http.client import AgencyReply
from bus.kit.contract import Answer, Query
from bus.kit.soap_agency import read_soap_reply, wrapped
from bus.settings.payload_schemas import CompiledSchema
from signing.names import SOAP11
from signing.wss.canonical import canonicalise
from tests.access_point.running_access_point import (
    RunningAccessPoint,
    ServedHub,
    plain_request,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.envelopes import body as body_of
from tests.envelopes import signed_again
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import answer_well
from tests.nation import (
    CLIENT,
    LOOKUP_NAMESPACE,
    NOW,
    SAMPLE,
    SLOW_SERVICE,
    SmallNation,
    make_small_nation,
    request,
    small_routes,
)

XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
XSD = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
QUERY = f'xmlns:q="{LOOKUP_NAMESPACE}"'
ASKED = b"<p:TraCuuThongTinCongDan "
NUMBER = b"<p:SoDinhDanh>"
SLOW_SAMPLE = SAMPLE.replace(b"TraCuuThongTinCongDan", b"XacThucThongTinCongDan")
SCHEMA = CompiledSchema(Path(__file__).parents[2] / "schemas/dancu/1.0/dancu.xsd")


@pytest.fixture(scope="module")
def nation(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    """One that is patient with every service."""
    text = small_routes(slow_seconds=HANG_SECONDS_MAX)
    return make_small_nation(tmp_path_factory.mktemp("patient-nation"), text=text)


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(nation, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def point(
    nation: SmallNation, hub: ServedHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAccessPoint]:
    settings = write_settings(nation, tmp_path_factory.mktemp("point"), hub.url)
    with running_access_point(settings, hub.clock) as running:
        yield running


@pytest.fixture(scope="module")
def door(
    nation: SmallNation, hub: ServedHub, tmp_path_factory: pytest.TempPathFactory
) -> RunningAccessPoint:
    """The hub's own door, for requests that are signed."""
    return RunningAccessPoint(
        hub.url, write_settings(nation, tmp_path_factory.mktemp("signed"), hub.url)
    )


@pytest.fixture(autouse=True)
def at_rest(hub: ServedHub) -> None:
    hub.agency.asked.clear()
    hub.agency.script = answer_well
    hub.clock.now = NOW


def verdict(reply: bytes) -> str:
    found = re.search(rb"<lt:code>([^<]*)", reply)
    return found[1].decode() if found else "delivered"


def reason(reply: bytes) -> str:
    found = re.search(rb"<faultstring>([^<]*)", reply)
    return found[1].decode() if found else ""


def signed(nation: SmallNation, name: str, payload: bytes, outside: str) -> bytes:
    """A request that is signed as most stacks do: by exclusive canonical form, and no more."""
    plain = request(nation, name)
    own = body_of(plain)
    start = own[: own.index(b"<p:")]
    written = start + payload.strip() + b"</soap:Body>"
    envelope = f"<soap:Envelope {outside}".encode()
    whole = plain.replace(own, written).replace(b"<soap:Envelope", envelope, 1)
    canonical = canonicalise(parse_xml(whole, bytes_max=len(whole))[1])
    again = signed_again(plain.replace(own, canonical), nation.signers[CLIENT])
    return again.replace(canonical, written).replace(b"<soap:Envelope", envelope, 1)


# --- requests ------------------------------------------------------------------------------------

REQUESTS = {
    "its own type": (ASKED, b'<p:TraCuuThongTinCongDan xsi:type="q:YeuCau" ', "delivered"),
    "by the payload's prefix": (
        ASKED,
        b'<p:TraCuuThongTinCongDan xsi:type="p:YeuCau" ',
        "delivered",
    ),
    "between blanks": (ASKED, b'<p:TraCuuThongTinCongDan xsi:type=" q:YeuCau " ', "payload.schema"),
    "a type that is too wide": (NUMBER, b'<p:SoDinhDanh xsi:type="xsd:string">', "payload.schema"),
    "no type": (NUMBER, b'<p:SoDinhDanh xsi:type="q:Nope">', "payload.schema"),
    "no binding": (NUMBER, b'<p:SoDinhDanh xsi:type="nope:Thing">', "payload.schema"),
    "nothing": (NUMBER, b'<p:SoDinhDanh xsi:type="">', "payload.schema"),
    "no name": (NUMBER, b'<p:SoDinhDanh xsi:type="a b: c">', "payload.schema"),
    "a location": (
        ASKED,
        b'<p:TraCuuThongTinCongDan xsi:schemaLocation="urn:x file:///etc/passwd" ',
        "delivered",
    ),
    "nil": (NUMBER, b'<p:SoDinhDanh xsi:nil="true">', "payload.schema"),
}


@pytest.mark.parametrize("place", ["envelope", "payload"])
@pytest.mark.parametrize("kind", REQUESTS)
def test_a_request_is_judged_alike_signed_and_plain(
    nation: SmallNation,
    hub: ServedHub,
    door: RunningAccessPoint,
    point: RunningAccessPoint,
    kind: str,
    place: str,
) -> None:
    old, new, expected = REQUESTS[kind]
    bindings = f"{XSI} {XSD} {QUERY}"
    payload = SAMPLE.replace(old, new, 1)
    if place == "payload":
        payload = payload.replace(ASKED, ASKED + bindings.encode() + b" ", 1)
        bindings = ""
    name = f"{kind}-{place}".replace(" ", "-").replace("'", "")
    plain = plain_request(f"p-{name}", body=payload)
    plain = plain.replace(b"<soapenv:Envelope", f"<soapenv:Envelope {bindings}".encode(), 1)
    mine = signed(nation, f"s-{name}", payload, bindings)

    by_point, by_hub = point.post(plain).body, door.post(mine).body

    assert verdict(by_point) == expected, reason(by_point)
    assert verdict(by_hub) == expected, reason(by_hub)
    if expected == "delivered":
        asked = hub.agency.asked[0].element()
        assert SCHEMA.mistake(asked) is None
    else:
        assert "line " in reason(by_point)


def test_what_a_signature_leaves_open_is_refused_by_the_name_of_its_prefix(
    nation: SmallNation, door: RunningAccessPoint
) -> None:
    """dancu.xsd has no type `string`; one that XML Schema has too would have two meanings."""
    assert SCHEMA.is_only_type(LOOKUP_NAMESPACE, "YeuCau")
    assert not SCHEMA.is_only_type("urn:other", "YeuCau")
    assert not SCHEMA.is_only_type(LOOKUP_NAMESPACE, "string")
    assert not SCHEMA.is_only_type(LOOKUP_NAMESPACE, "QName")


# --- answers -------------------------------------------------------------------------------------


def agency_says(envelope: str, inside: str) -> Answer:
    raw = (
        f'<s:Envelope xmlns:s="{SOAP11}" {envelope}><s:Body>{inside}</s:Body></s:Envelope>'
    ).encode()
    given = read_soap_reply(AgencyReply(200, raw, "text/xml"))
    return Answer(wrapped(given, f"{{{LOOKUP_NAMESPACE}}}XacThucThongTinCongDanResponse", "dc"))


_RESULT = (
    f'<dc:KetQuaXacThuc xmlns:dc="{LOOKUP_NAMESPACE}"{{}}><dc:TonTai{{}}>true</dc:TonTai>'
    "</dc:KetQuaXacThuc>"
)
ANSWERS = {
    "xsd on the Envelope": (f"{XSI} {XSD}", ("", ' xsi:type="xsd:boolean"'), "delivered"),
    "xsd on the element": ("", ("", f' {XSI} {XSD} xsi:type="xsd:boolean"'), "delivered"),
    "its own namespace under another prefix": (
        f"{XSI} {QUERY}",
        (' xsi:type="q:KetQuaXacThuc"', ""),
        "delivered",
    ),
    "the default namespace": (
        f'{XSI} xmlns="{LOOKUP_NAMESPACE}"',
        (' xsi:type="KetQuaXacThuc"', ""),
        "delivered",
    ),
    "a prefix that our Body has": (
        f'{XSI} xmlns:wsu="{LOOKUP_NAMESPACE}"',
        (' xsi:type="wsu:KetQuaXacThuc"', ""),
        "delivered",
    ),
    "a type that is none": (XSI, ("", ' xsi:type="q:Nope"'), "delivery.answer-invalid"),
    "another type": (f"{XSI} {XSD}", ("", ' xsi:type="xsd:int"'), "delivery.answer-invalid"),
    "an unused relative namespace": (
        "",
        ("", ' xmlns:q="rel"'),
        "delivery.answer-invalid",
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_can_be_read_by_its_receiver_or_is_the_agencys_mistake(
    nation: SmallNation,
    hub: ServedHub,
    door: RunningAccessPoint,
    point: RunningAccessPoint,
    kind: str,
) -> None:
    envelope, attributes, expected = ANSWERS[kind]
    hub.agency.script = lambda query: agency_says(envelope, _RESULT.format(*attributes))
    name = kind.replace(" ", "-")
    mine = request(nation, f"s-{name}", service=SLOW_SERVICE, body=SLOW_SAMPLE)
    plain = plain_request(f"p-{name}", service=SLOW_SERVICE, body=SLOW_SAMPLE)

    replies = [door.post(mine).body, point.post(plain).body]

    assert [expected] * 2 == [verdict(one) for one in replies], [reason(one) for one in replies]
    for one in replies if expected == "delivered" else ():
        body = parse_xml(one, bytes_max=len(one)).find(f"{{{SOAP11}}}Body")
        assert body is not None
        assert SCHEMA.mistake(body[0]) is None


# --- an agency's fault ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("detail", "meant"),
    [
        (f'<e {XSI} xsi:type="q:T">v</e>', LOOKUP_NAMESPACE),
        ("<e>q:NotFound</e>", LOOKUP_NAMESPACE),
        ('<e xmlns="MyService">v</e>', None),
        ('<e xmlns:q="rel">v</e>', None),
    ],
)
def test_a_fault_goes_on_with_what_its_detail_means(
    nation: SmallNation,
    hub: ServedHub,
    door: RunningAccessPoint,
    point: RunningAccessPoint,
    detail: str,
    meant: str | None,
) -> None:
    raw = (
        f'<s:Envelope xmlns:s="{SOAP11}" {QUERY}><s:Body><s:Fault><faultcode>s:Server</faultcode>'
        f"<faultstring>not found</faultstring><detail>{detail}</detail></s:Fault></s:Body>"
        "</s:Envelope>"
    ).encode()

    def refuse(query: Query) -> Answer:
        return Answer(read_soap_reply(AgencyReply(500, raw, "text/xml")))

    hub.agency.script = refuse
    name = f"{len(detail)}-{meant is None}"

    replies = [
        door.post(request(nation, f"fault-{name}")).body,
        point.post(plain_request(f"plain-fault-{name}")).body,
    ]

    for reply in replies:
        assert verdict(reply) == "delivery.service-fault"
        assert reason(reply) == "not found"
        element = parse_xml(reply, bytes_max=len(reply)).find(".//detail/e")
        assert (element is None) == (meant is None)
        if element is not None:
            assert element.nsmap["q"] == meant


# --- no canonical form ---------------------------------------------------------------------------


@pytest.mark.parametrize("outside", ['xmlns:rel="MyService"', 'xmlns:r=".."', 'xmlns:r="#x"'])
def test_a_plain_request_that_cannot_be_signed_is_told_so(
    point: RunningAccessPoint, outside: str
) -> None:
    raw = plain_request().replace(b"<soapenv:Envelope", f"<soapenv:Envelope {outside}".encode(), 1)

    reply = point.post(raw).body

    assert verdict(reply) == "envelope.no-canonical-form"
    assert "line " in reason(reply)
