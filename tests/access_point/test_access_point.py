"""A system that cannot sign asks through an access point, and gets what X-Road's clients expect."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import etree

from bus.access_point.opening import open_access_point
from bus.access_point.store import FILE
from bus.audit.folder import open_log_reader
from bus.client.hub_client import read_known_hub
from bus.core.errors import ConfigurationError
from bus.core.log.receipts import RECEIPT_NAME, parse_receipt
from bus.core.log.submission_receipts import AcceptanceReceipt, parse_any_receipt
from bus.core.xml import parse_xml
from bus.kit.contract import Answer, Query, RecipientRefused
from bus.protocols.soap_xroad.names import ACCEPTANCE
from bus.protocols.soap_xroad.write import without_receipt
from signing.errors import KeyUnavailableError
from signing.names import SECURITY
from signing.signed_note import VerifyingKey, verify_note
from signing.wss.canonical import canonicalise
from tests.access_point.running_access_point import (
    XROAD,
    PlainReply,
    RunningAccessPoint,
    ServedHub,
    plain_request,
    request_hash,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.client.hub_stand_in import BROKEN_PARTS, RECEIPT_KEY, StandIn, listening
from tests.hub.running_hub import SetClock, answer_well
from tests.nation import (
    ANSWER,
    CLIENT,
    DISABLED_SERVICE,
    NOTICE,
    NOW,
    OTHER_CLIENT,
    SAMPLE,
    SmallNation,
    payload,
)

NAMES = {"soap": "http://schemas.xmlsoap.org/soap/envelope/", "xrd": XROAD}
ERROR_CODE = "string(//*[local-name()='error']/*[local-name()='code'])"


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(nation, tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(autouse=True)
def at_rest(hub: ServedHub) -> None:
    hub.agency.asked.clear()
    hub.agency.script = answer_well
    hub.clock.now = NOW


@pytest.fixture(scope="module")
def point(
    nation: SmallNation, hub: ServedHub, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningAccessPoint]:
    settings = write_settings(nation, tmp_path_factory.mktemp("point"), hub.url)
    with running_access_point(settings, hub.clock) as running:
        yield running


def read(reply: PlainReply) -> etree._Element:
    return parse_xml(reply.body, bytes_max=len(reply.body))


def fault_codes(reply: PlainReply) -> tuple[str, str]:
    """X-Road's code, and ours."""
    envelope = read(reply)
    return str(envelope.findtext(".//faultcode")), str(envelope.xpath(ERROR_CODE))


# --- answers -----------------------------------------------------------------------------------


def test_a_plain_request_gets_a_plain_answer(point: RunningAccessPoint) -> None:
    raw = plain_request("answered-1")

    reply = point.post(raw)

    envelope = read(reply)
    header, body = envelope
    assert reply.status == 200
    assert [etree.QName(block).localname for block in header] == [
        "client",
        "service",
        "userId",
        "id",
        "protocolVersion",
        "requestHash",
    ]
    assert header.findtext("xrd:requestHash", namespaces=NAMES) == request_hash(raw)
    assert header.findtext("xrd:id", namespaces=NAMES) == "answered-1"
    assert canonicalise(payload(ANSWER)) == canonicalise(body[0])
    assert header.find(SECURITY) is None


@pytest.mark.parametrize(
    "order", list(permutations(("client", "service", "id", "protocolVersion")))
)
def test_headers_come_back_in_the_order_of_the_request(
    point: RunningAccessPoint, order: tuple[str, ...]
) -> None:
    reply = point.post(plain_request("-".join(order), order=order))

    header = read(reply)[0]
    assert [etree.QName(block).localname for block in header] == [*order, "requestHash"]


def test_the_agency_is_asked_in_the_name_of_the_system(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    point.post(
        plain_request(
            "asked-1", order=("id", "issue", "userId", "service", "client", "protocolVersion")
        )
    )

    [query] = hub.agency.asked
    assert (
        query.client,
        query.message_id,
        query.user_id,
        query.issue,
    ) == (CLIENT, "asked-1", "VN0117", "H41-2026-1")
    assert canonicalise(payload()) == query.payload


def test_what_the_hub_does_not_read_goes_on_to_the_agency(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    """Third Party Representation, Security Token, and what a later protocol may bring."""
    extra = (
        '<r:representedParty xmlns:r="http://x-road.eu/xsd/representation.xsd">'
        "<r:partyCode>0100109106</r:partyCode></r:representedParty>"
        "<xro:future>1</xro:future>"
    )

    reply = point.post(
        plain_request("carried-1", extra_header=extra), soap_action='"urn:client:action"'
    )

    assert reply.status == 200
    [query] = hub.agency.asked
    assert query.soap_action == "urn:client:action"
    blocks = parse_xml(b"<h>" + query.header_blocks + b"</h>", bytes_max=10_000)
    assert [etree.QName(block).localname for block in blocks][-3:] == [
        "representedParty",
        "future",
        "requestHash",
    ]
    assert blocks.findtext("{*}representedParty/{*}partyCode") == "0100109106"


def test_a_request_in_another_charset_is_signed_in_utf_8(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    text = plain_request("latin-1", user_id="Émile").decode()
    raw = ('<?xml version="1.0" encoding="ISO-8859-1"?>' + text).encode("iso-8859-1", "replace")

    reply = point.post(raw, content_type="text/xml; charset=ISO-8859-1")

    assert reply.status == 200
    assert [query.user_id for query in hub.agency.asked] == ["Émile"]
    assert read(reply)[0].findtext("xrd:requestHash", namespaces=NAMES) == request_hash(raw)


def test_a_byte_order_mark_is_taken(point: RunningAccessPoint) -> None:
    raw = b"\xef\xbb\xbf" + plain_request("bom-1")

    reply = point.post(raw, content_type="text/xml")

    assert reply.status == 200
    assert read(reply)[0].findtext("xrd:requestHash", namespaces=NAMES) == request_hash(raw)


@pytest.mark.parametrize(
    "target", ["/anything/at/all", "http://dancu.example", "http://dancu.example/cgi?x=1"]
)
def test_any_path_is_taken_and_clients_that_take_it_for_a_proxy(
    point: RunningAccessPoint, target: str
) -> None:
    reply = point.post(plain_request(f"path-{target}"), target=target)

    assert reply.status == 200


# --- repeated requests --------------------------------------------------------------------------


def test_a_repeated_request_gets_the_first_answer(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    raw = plain_request("twice-1")

    first = point.post(raw)
    hub.clock.now = NOW + timedelta(minutes=4)
    second = point.post(raw)

    assert (200, first.body) == (second.status, second.body)
    assert [query.message_id for query in hub.agency.asked] == ["twice-1"]


def test_copies_at_the_same_time_are_one_message(point: RunningAccessPoint, hub: ServedHub) -> None:
    raw = plain_request("at-once-1")

    with ThreadPoolExecutor(6) as systems:
        replies = list(systems.map(point.post, [raw] * 6))

    assert {200} == {reply.status for reply in replies}
    assert len({reply.body for reply in replies}) == 1
    assert len(hub.agency.asked) == 1


def test_a_repeated_request_is_the_same_message_after_a_restart(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    settings = write_settings(nation, tmp_path, hub.url)
    raw = plain_request("restart-1")

    with running_access_point(settings, hub.clock) as before:
        first = before.post(raw)
    with running_access_point(settings, hub.clock) as after:
        second = after.post(raw)

    assert (200, first.body) == (second.status, second.body)
    assert len(hub.agency.asked) == 1


def test_a_repeated_request_is_refused_when_its_signature_holds_no_longer(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    raw = plain_request("late-1")
    point.post(raw)

    hub.clock.now = NOW + timedelta(minutes=6)
    reply = point.post(raw)

    assert fault_codes(reply) == ("Server.ServerProxy.InvalidMessage", "message-id.conflict")
    assert len(hub.agency.asked) == 1


def test_another_request_under_the_same_id_is_refused(point: RunningAccessPoint) -> None:
    point.post(plain_request("reused-1"))

    reply = point.post(plain_request("reused-1", user_id="VN0999"))

    assert fault_codes(reply)[1] == "message-id.conflict"


def test_an_id_that_a_system_uses_again_is_made_new_where_the_settings_say_so(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    settings = write_settings(nation, tmp_path, hub.url, renews_message_ids=True)
    one, other = plain_request("same"), plain_request("same", user_id="VN0999")

    with running_access_point(settings, hub.clock) as point:
        first, again, second = point.post(one), point.post(one), point.post(other)
        hub.clock.now = NOW + timedelta(minutes=6)
        later = point.post(one)
        kept = [receipt.message_id for receipt in point.store().receipts()]

    ids = [query.message_id for query in hub.agency.asked]
    assert [reply.status for reply in (first, again, second, later)] == [200] * 4
    assert len(set(ids)) == len(ids) == 3
    assert {"same"} == {one.partition(".")[0] for one in ids}
    assert first.body == again.body
    assert read(later)[0].findtext("xrd:id", namespaces=NAMES) == "same"
    assert kept == ["same"] * 3


# --- refused here -------------------------------------------------------------------------------


def test_a_client_that_is_not_served_here_gets_no_further(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    entries = log_size(hub)

    reply = point.post(plain_request(client=OTHER_CLIENT))

    assert fault_codes(reply) == (
        "Server.ClientProxy.UnknownMember",
        "access-point.client-not-served",
    )
    assert log_size(hub) == entries


def log_size(hub: ServedHub) -> int:
    with open_log_reader(hub.log_folder) as reader:
        return reader.size


BAD_REQUESTS = {
    b"": "Client.InvalidSoap",
    b"<a/>": "Client.InvalidSoap",
    plain_request(order=("client", "service", "id")): "Client.MissingHeaderField",
    plain_request(order=("client", "service", "id", "id", "protocolVersion")): (
        "Client.DuplicateHeaderField"
    ),
    plain_request(body=b""): "Client.InvalidBody",
    plain_request(body=b"<other/>"): "Client.InconsistentHeaders",
    plain_request().replace(b"4.0", b"3.5"): "Client.InvalidProtocolVersion",
}


@pytest.mark.parametrize(("raw", "code"), BAD_REQUESTS.items())
def test_a_bad_request_gets_the_fault_of_x_road(
    point: RunningAccessPoint, raw: bytes, code: str
) -> None:
    reply = point.post(raw)

    assert (500, code) == (reply.status, fault_codes(reply)[0])


def test_other_methods_and_types_get_the_faults_of_x_road(point: RunningAccessPoint) -> None:
    by_method = point.post(plain_request(), method="PUT")
    by_get = point.get("/")
    by_type = point.post(plain_request(), content_type="application/json")
    by_charset = point.post(plain_request(), content_type="text/xml; charset=koi8-r")

    codes = [fault_codes(reply)[0] for reply in (by_method, by_get, by_type, by_charset)]
    assert codes == ["Client.InvalidHttpMethod"] * 2 + ["Client.InvalidContentType"] * 2


def test_a_message_that_is_signed_already_is_not_signed_over(point: RunningAccessPoint) -> None:
    security = (
        f'<w:Security xmlns:w="{etree.QName(SECURITY).namespace}" soapenv:mustUnderstand="1"/>'
    )

    refused = point.post(plain_request("signed-1", extra_header=security))
    taken = point.post(
        plain_request("signed-2", extra_header=security.replace(' soapenv:mustUnderstand="1"', ""))
    )

    assert fault_codes(refused)[1] == "envelope.header-not-understood"
    assert taken.status == 200


# --- faults of the hub --------------------------------------------------------------------------


def test_a_fault_of_the_hub_comes_back_plain(point: RunningAccessPoint) -> None:
    reply = point.post(
        plain_request(
            "disabled-1",
            service=DISABLED_SERVICE,
            body=b'<p:XacMinhThongTinNhanThan xmlns:p="http://dancuquocgia.bca"/>',
        )
    )

    envelope = read(reply)
    assert reply.status == 500
    assert fault_codes(reply)[0] == "Server.ServerProxy.ServiceDisabled"
    assert NOTICE in str(envelope.findtext(".//faultstring"))
    assert [etree.QName(child).localname for child in envelope] == ["Body"]
    assert envelope.findtext(".//faultDetail")


def test_faults_are_spelt_and_numbered_as_the_settings_say(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    style = {"spelling": "snake", "http_status": 200}
    settings = write_settings(nation, tmp_path, hub.url, faults=style)

    with running_access_point(settings, hub.clock) as point:
        ours = point.post(plain_request(client=OTHER_CLIENT))
        of_the_hub = point.post(plain_request("snake-1", body=SAMPLE.replace(b"SoDinhDanh", b"X")))

    assert (ours.status, fault_codes(ours)[0]) == (200, "server.clientproxy.unknown_member")
    assert (of_the_hub.status, fault_codes(of_the_hub)[0]) == (200, "client.invalid_body")


def test_what_an_agency_refuses_is_told_in_its_words(
    point: RunningAccessPoint, hub: ServedHub
) -> None:
    def refuse(query: Query) -> Answer:
        raise RecipientRefused("not in its register", public_detail="không có trong cơ sở dữ liệu")

    hub.agency.script = refuse

    reply = point.post(plain_request("refused-1"))

    assert "không có trong cơ sở dữ liệu" in str(read(reply).findtext(".//faultstring"))


# --- a hub that is away, silent or not itself ---------------------------------------------------


@contextmanager
def point_before(
    nation: SmallNation, folder: Path, url: str, **hub_changes: object
) -> Iterator[RunningAccessPoint]:
    settings = write_settings(nation, folder, url)
    values = {"url": url, "member": "VN/GOV/G22", "log_key": "hub.vkey", **hub_changes}
    settings = write_settings(nation, folder, url, hub=values)
    with running_access_point(settings, SetClock()) as running:
        yield running


def test_a_hub_that_is_away_is_a_fault_to_try_again(nation: SmallNation, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with point_before(nation, tmp_path, f"http://127.0.0.1:{port}") as point:
        reply = point.post(plain_request())

    assert fault_codes(reply) == ("Server.ClientProxy.NetworkError", "access-point.hub-away")
    assert "retry-after" in reply.headers


def test_a_connection_that_breaks_is_tried_anew_once(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        broken = threading.Thread(target=break_first_and_pass_on, args=(door, hub.url))
        broken.start()
        settings = write_settings(nation, tmp_path, f"http://127.0.0.1:{door.getsockname()[1]}")
        with running_access_point(settings, hub.clock) as point:
            reply = point.post(plain_request("broken-line-1"))
        broken.join()

    assert reply.status == 200
    assert len(hub.agency.asked) == 1


def break_first_and_pass_on(door: socket.socket, hub_url: str) -> None:
    """Take a request and break off; then carry one over to the hub, and its answer back."""
    first, _ = door.accept()
    first.recv(65536)
    first.close()
    second, _ = door.accept()
    with second:
        raw = read_whole(second)
        address = urlsplit(hub_url)
        with socket.create_connection((str(address.hostname), address.port or 0)) as onward:
            onward.sendall(raw)
            second.sendall(read_whole(onward))


def read_whole(connection: socket.socket) -> bytes:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    assert found
    while len(body) < int(found[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def test_a_hub_that_is_silent_is_waited_for_no_longer_than_was_set(
    nation: SmallNation, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with point_before(nation, tmp_path, url, answer_seconds_max=1) as point:
            reply = point.post(plain_request())

    assert fault_codes(reply)[1] == "access-point.hub-silent"


def test_an_answer_that_is_no_soap_is_a_fault(nation: SmallNation, tmp_path: Path) -> None:
    with (
        listening(lambda request: (503, b"The hub takes no more requests now.\n")) as url,
        point_before(nation, tmp_path, url) as point,
    ):
        reply = point.post(plain_request())

    assert fault_codes(reply)[1] == "access-point.hub-answer-unreadable"


@pytest.mark.parametrize("status", [200, 401, 407, 500, 502, 503, 504])
def test_a_page_of_a_gateway_is_an_http_error_that_passes(
    status: int, nation: SmallNation, tmp_path: Path
) -> None:
    page = b"<html><body>The gateway has no way to the hub.</body></html>"
    with (
        listening(lambda _: (status, page), content_type="text/html") as url,
        point_before(nation, tmp_path, url) as point,
    ):
        reply = point.post(plain_request())
        kept = point.store().rejected_count()

    assert fault_codes(reply) == (
        "Server.ClientProxy.ServiceFailed.HttpError",
        "access-point.hub-answer-unreadable",
    )
    assert f"HTTP status {status}".encode() in reply.body
    assert reply.headers["retry-after"]
    assert kept == 0  # nothing that anybody must look into


@pytest.mark.parametrize("content_type", BROKEN_PARTS)
def test_a_reply_of_the_hub_that_cannot_be_taken_apart_is_the_hubs(
    content_type: str, nation: SmallNation, tmp_path: Path
) -> None:
    with (
        listening(lambda _: (200, b"--b\r\nno parts"), content_type=content_type) as url,
        point_before(nation, tmp_path, url) as point,
    ):
        reply = point.post(plain_request())

    assert fault_codes(reply)[1] == "access-point.hub-answer-unreadable"
    assert b"agency" not in reply.body.lower()


def altered(stand_in: StandIn, request: bytes) -> bytes:
    body = without_receipt(stand_in.answer(request)).replace(b'SoCongDan="0"', b'SoCongDan="9"')
    return stand_in.receipted(body, request)


def test_an_answer_that_is_not_proved_is_kept_and_never_handed_over(
    nation: SmallNation, tmp_path: Path
) -> None:
    stand_in = StandIn(nation)

    with (
        listening(lambda request: (200, altered(stand_in, request))) as url,
        point_before(nation, tmp_path, url) as point,
    ):
        reply = point.post(plain_request())
        kept = point.store().rejected_count()

    assert fault_codes(reply) == (
        "Server.ClientProxy.ServiceFailed.InconsistentResponse",
        "access-point.hub-answer-unproved",
    )
    assert b"SoCongDan" not in reply.body
    assert kept == 1


def test_what_is_submitted_is_answered_plainly_by_the_acceptance_and_its_receipt_kept(
    nation: SmallNation, tmp_path: Path
) -> None:
    stand_in = StandIn(nation)
    log_name = RECEIPT_KEY.name.removesuffix(RECEIPT_NAME)
    log_key = VerifyingKey(log_name, RECEIPT_KEY.verifying_key.public_bytes)
    (tmp_path / "stand-in.vkey").write_text(f"{log_key}\n")

    with (
        listening(lambda request: (200, stand_in.acceptance(request))) as url,
        point_before(nation, tmp_path, url, log_key="stand-in.vkey") as point,
    ):
        reply = point.post(plain_request("s-1"))
        (kept,) = point.store().receipts("s-1")

    body = read(reply).find("{*}Body")
    assert body is not None
    assert body[0].tag == ACCEPTANCE
    receipt = parse_any_receipt(verify_note(kept.note, [RECEIPT_KEY.verifying_key]).text.decode())
    assert isinstance(receipt, AcceptanceReceipt)
    assert receipt.recipients_count == 34


# --- keys and evidence --------------------------------------------------------------------------


def test_a_key_that_cannot_be_reached_is_x_roads_fault(
    nation: SmallNation, hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> bytes:
        raise KeyUnavailableError("the token is gone")

    monkeypatch.setattr("bus.access_point.exchange.sign_plain", lost)
    with running_access_point(write_settings(nation, tmp_path, hub.url), hub.clock) as point:
        reply = point.post(plain_request("unsigned-1"))

    assert fault_codes(reply) == (
        "Server.ClientProxy.CannotCreateSignature",
        "access-point.signing-failed",
    )
    assert b"token" not in reply.body


def test_nothing_is_sent_that_cannot_be_kept(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    settings = write_settings(nation, tmp_path, hub.url)
    with running_access_point(settings, hub.clock) as point:
        other = sqlite3.connect(settings.evidence / FILE)
        other.execute("DROP TABLE requests")
        other.commit()
        other.close()
        reply = point.post(plain_request("unkept-1"))

    assert fault_codes(reply) == (
        "Server.ClientProxy.LoggingFailed",
        "access-point.evidence-unavailable",
    )
    assert hub.agency.asked == []


def test_a_mistake_of_ours_is_a_fault_with_an_id_and_not_the_request(
    nation: SmallNation, hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise RuntimeError("VN0117 asked")

    monkeypatch.setattr("bus.access_point.exchange.sign_plain", broken)
    with running_access_point(write_settings(nation, tmp_path, hub.url), hub.clock) as point:
        reply = point.post(plain_request("broken-1"))

    assert fault_codes(reply)[1] == "hub.internal"
    assert b"VN0117" not in reply.body


def test_an_authority_file_that_is_missing_is_bad_configuration(
    nation: SmallNation, tmp_path: Path
) -> None:
    hub = {"url": "https://h", "member": "VN/GOV/G22", "log_key": "hub.vkey"}
    settings = write_settings(nation, tmp_path, "", hub={**hub, "authority_file": "no.pem"})

    with pytest.raises(ConfigurationError, match="authority_file"):
        asyncio.run(open_access_point(settings))


# --- receipts ----------------------------------------------------------------------------------


def test_receipts_are_kept_once_and_prove_the_exchange(point: RunningAccessPoint) -> None:
    raw = plain_request("receipt-1")

    point.post(raw)
    point.post(raw)
    point.post(plain_request("receipt-2", body=SAMPLE.replace(b"SoDinhDanh", b"X")))

    known = read_known_hub(point.settings.hub_files, point.settings.hub.member)
    kept = [one for one in point.store().receipts() if one.message_id.startswith("receipt-")]
    receipts = [
        parse_receipt(verify_note(one.note, [known.receipt_key]).text.decode()) for one in kept
    ]
    assert [one.message_id for one in kept] == ["receipt-1", "receipt-2"]
    assert receipts[0].outcome_index > receipts[0].received_index
    assert receipts[1].outcome_index == receipts[1].received_index


# --- services ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/services/VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1?wsdl",
        (
            "/wsdl?xRoadInstance=VN&memberClass=GOV&memberCode=G01&subsystemCode=dancu"
            "&serviceCode=TraCuuThongTinCongDan&version=v1"
        ),
    ],
)
def test_a_wsdl_names_the_access_point_as_the_address(
    point: RunningAccessPoint, target: str
) -> None:
    reply = point.get(target)

    addresses = read(reply).xpath("//*[local-name()='address']/@location")
    path = "/services/VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"
    assert [f"{point.settings.public_url}{path}"] == addresses


def test_services_are_listed_and_unknown_ones_are_told(point: RunningAccessPoint) -> None:
    listed, unknown = point.get("/services"), point.get("/services/VN/GOV/G01/x/y/v1?wsdl")

    assert b"TraCuuThongTinCongDan" in listed.body
    assert (listed.status, unknown.status) == (200, 404)
    assert (point.get("/health").status, point.get("/health").body) == (200, b"ready\n")


def test_services_of_a_hub_that_is_away_are_not_told(nation: SmallNation, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with point_before(nation, tmp_path, f"http://127.0.0.1:{port}") as point:
        reply = point.get("/services")

    assert (reply.status, reply.body) == (503, b"The hub cannot be reached.\n")
