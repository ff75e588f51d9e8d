"""How the bases call: descriptions from the packaged folder only, tokens fetched and shared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.errors import (
    AccountRefused,
    PayloadRejected,
    RecipientHttpError,
    RecipientTimeout,
    RecipientUnavailable,
)
from bus.http.client import AgencyHttp, AgencyReply, AgencyRequest
from bus.kit.clock import epoch_milliseconds
from bus.kit.contract import attachment_of_bytes
from bus.kit.rest_agency import ClientCredentials, RestAgency
from bus.kit.schema_files import schema_file
from bus.kit.soap_agency import SoapAgency
from bus.runtime.deadline import Deadline

BINDING = "{http://dancuquocgia.bca}DanCuBinding"
ADDRESS = "http://127.0.0.1:9/"
Respond = Callable[[AgencyRequest], AgencyReply]


class ScriptedHttp(AgencyHttp):
    """Gives the replies of a script and remembers the requests; no socket is opened."""

    def __init__(self, respond: Respond) -> None:
        super().__init__()
        self.requests: list[AgencyRequest] = []
        self.respond = respond

    def send(self, request: AgencyRequest, deadline: Deadline) -> AgencyReply:
        deadline.remaining_seconds()
        self.requests.append(request)
        return self.respond(request)


def rest_agency(http: AgencyHttp) -> RestAgency:
    credentials = ClientCredentials(f"{ADDRESS}token", "id", "secret")
    return RestAgency(base_url=ADDRESS, credentials=credentials, http=http)


def get(agency: RestAgency, deadline: Deadline | None = None) -> object:
    return agency.get("call", {}, headers={}, deadline=deadline or Deadline.after(5))


def tokens(*, life_seconds: float | str, service_status: int = 200) -> Respond:
    """Give tokens 1, 2, 3 …; the service answers with this status."""
    count = 0

    def respond(request: AgencyRequest) -> AgencyReply:
        nonlocal count
        if request.url != f"{ADDRESS}token":
            return AgencyReply(service_status, b'{"Status": 1}')
        count += 1
        token = {"access_token": str(count), "expires_in": life_seconds}
        return AgencyReply(200, json.dumps(token).encode())

    return respond


def used_tokens(http: ScriptedHttp) -> list[str]:
    calls = [request for request in http.requests if request.url != f"{ADDRESS}token"]
    return [request.headers["Authorization"] for request in calls]


def test_a_description_is_not_fetched_from_elsewhere(tmp_path: Path) -> None:
    wsdl = schema_file("dancu/agency/dancuquocgia.wsdl").read_text("utf-8")
    there = '<wsdl:import namespace="urn:x" location="http://127.0.0.1:9/x.wsdl"/>'
    file = tmp_path / "importing.wsdl"
    file.write_text(wsdl.replace("<wsdl:types>", f"{there}<wsdl:types>"), "utf-8")
    with pytest.raises(PermissionError, match=r"x\.wsdl"):
        SoapAgency(wsdl=file, binding=BINDING, address=ADDRESS, http=AgencyHttp())


def test_fields_that_the_description_cannot_carry_are_rejected_unsent() -> None:
    http = ScriptedHttp(lambda _: AgencyReply(200, b""))
    agency = SoapAgency(
        wsdl=schema_file("dancu/agency/dancuquocgia.wsdl"),
        binding=BINDING,
        address=ADDRESS,
        http=http,
    )
    with pytest.raises(PayloadRejected):
        agency.call(
            "TraCuuThongTinCongDan", {"MaYeuCau": "1"}, headers={}, deadline=Deadline.after(5)
        )
    assert http.requests == []


def test_a_schema_that_is_not_packaged_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="khong-co"):
        schema_file("khong-co.xsd")


def test_a_token_serves_until_shortly_before_its_end() -> None:
    http = ScriptedHttp(tokens(life_seconds=3600))
    agency = rest_agency(http)
    get(agency)
    get(agency)
    assert used_tokens(http) == ["Bearer 1", "Bearer 1"]


def test_a_token_about_to_end_is_not_used_again() -> None:
    http = ScriptedHttp(tokens(life_seconds=5))
    agency = rest_agency(http)
    get(agency)
    get(agency)
    assert used_tokens(http) == ["Bearer 1", "Bearer 2"]


@pytest.mark.parametrize("status", [401, 403, 407])
def test_a_second_refusal_of_a_token_is_our_account_and_not_a_loop(status: int) -> None:
    http = ScriptedHttp(tokens(life_seconds=3600, service_status=status))
    agency = rest_agency(http)

    with pytest.raises(AccountRefused):
        get(agency)

    assert used_tokens(http) == ["Bearer 1", "Bearer 2"]
    # Repaired: neither of the tokens that were refused is shown again.
    http.respond = tokens(life_seconds=3600)
    assert get(agency) == {"Status": 1}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error": "invalid_client"}'),
        (400, b'{"error": "unauthorized_client"}'),
        (403, b"<html/>"),
        (404, b""),
        (200, b'{"error": "invalid_client", "error_description": "x"}'),
    ],
)
def test_a_token_endpoint_that_says_no_says_it_to_our_account(status: int, body: bytes) -> None:
    http = ScriptedHttp(lambda _: AgencyReply(status, body))

    with pytest.raises(AccountRefused):
        get(rest_agency(http))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_token_endpoint_in_trouble_is_not_our_account(status: int) -> None:
    http = ScriptedHttp(lambda _: AgencyReply(status, b""))

    with pytest.raises(RecipientHttpError):
        get(rest_agency(http))


def test_headers_that_say_what_a_documents_bytes_mean_go_with_it() -> None:
    http = ScriptedHttp(tokens(life_seconds=3600))
    document = attachment_of_bytes(b"\x1f\x8b", content_id="i", media_type="a/b; charset=x")
    packed = replace(document, headers=(*document.headers, ("Content-Encoding", "gzip")))

    rest_agency(http).post("papers", {}, packed, headers={}, deadline=Deadline.after(5))

    sent = http.requests[-1].headers
    assert (sent["Content-Type"], sent["Content-Encoding"]) == ("a/b; charset=x", "gzip")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"access_token": 7}',
        b'{"access_token": "a\\r\\nX: y"}',
        b'{"access_token": "a", "expires_in": "soon"}',
    ],
)
def test_a_token_that_cannot_be_used_counts_as_unavailable(body: bytes) -> None:
    http = ScriptedHttp(lambda _: AgencyReply(200, body))
    with pytest.raises(RecipientUnavailable):
        get(rest_agency(http))


def test_time_that_is_used_up_asks_nobody() -> None:
    http = ScriptedHttp(tokens(life_seconds=3600))
    with pytest.raises(RecipientTimeout):
        get(rest_agency(http), Deadline.after(0))
    assert http.requests == []


def test_neither_secret_nor_body_shows_in_a_repr() -> None:
    credentials = ClientCredentials("http://a/", "id", "rat-bi-mat")
    request = AgencyRequest(
        "POST", "http://a/", {"Authorization": "rat-bi-mat"}, body=b"rat-bi-mat"
    )
    assert "rat-bi-mat" not in repr([credentials, request, AgencyReply(200, b"rat-bi-mat")])


def test_the_clock_tells_milliseconds_since_1970() -> None:
    assert len(str(epoch_milliseconds())) == 13
