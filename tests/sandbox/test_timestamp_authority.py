"""The sandbox's time authority stamps as real ones do, under a root of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.serialization import Encoding

from bus.log.timestamping import read_timestamp_trust
from bus.sandbox.authority_files import TIME_PATH, AuthorityFiles
from bus.sandbox.authority_server import AuthorityServer, make_server
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.hub import read_hub_settings
from signing.pki.timestamps import (
    TimestampInvalid,
    TimestampTrust,
    timestamp_request,
    verify_timestamp,
)
from tests.interop.judges import program, run
from tests.sandbox.test_authority_server import ask

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedNation:
    return prepare_nation(
        tmp_path,
        now=NOW,
        hub_port=1,
        authority_port=9009,
        operations_port=9010,
    )


@pytest.fixture
def server(prepared: PreparedNation) -> AuthorityServer:
    return make_server(prepared.folder, lambda: NOW)


def test_the_hub_of_the_sandbox_believes_its_time_authority(
    prepared: PreparedNation, server: AuthorityServer
) -> None:
    settings = read_hub_settings(prepared.hub_settings)
    assert settings.timestamps is not None
    assert settings.timestamps.url.endswith(TIME_PATH)

    told = ask(server, "POST", TIME_PATH, timestamp_request(b"data", 7))

    trust = read_timestamp_trust(settings.timestamps)
    assert (told.status, told.content_type) == (200, "application/timestamp-reply")
    assert verify_timestamp(told.body, b"data", trust, nonce=7).time == NOW


def test_who_certifies_agencies_does_not_tell_the_time(
    prepared: PreparedNation, server: AuthorityServer
) -> None:
    root = AuthorityFiles(prepared.folder).authority().certificate
    told = ask(server, "POST", TIME_PATH, timestamp_request(b"data", 7))

    with pytest.raises(TimestampInvalid, match="the authority's certificate"):
        verify_timestamp(told.body, b"data", TimestampTrust([root.public_bytes(Encoding.DER)]))


def test_it_keeps_its_key_over_a_start(prepared: PreparedNation) -> None:
    before = AuthorityFiles(prepared.folder).time_signer().certificate
    prepare_nation(prepared.folder, now=NOW, hub_port=1, authority_port=9009)

    assert AuthorityFiles(prepared.folder).time_signer().certificate == before


def test_only_post_is_served(server: AuthorityServer) -> None:
    assert ask(server, "GET", TIME_PATH).status == 405


@pytest.mark.parametrize("body", [b"", b"?", bytes(20_000)])
def test_what_is_no_request_is_refused_as_the_protocol_says(
    server: AuthorityServer, body: bytes
) -> None:
    told = ask(server, "POST", TIME_PATH, body)
    status = tsp.PKIStatusInfo.load(told.body[2:])

    assert told.status == 200
    assert status["status"].native == "rejection"
    assert status["fail_info"].native == {"bad_data_format"}


def test_a_certificate_is_sent_only_to_who_asks(server: AuthorityServer) -> None:
    request = tsp.TimeStampReq.load(timestamp_request(b"data", 7))
    request["cert_req"] = False

    told = ask(server, "POST", TIME_PATH, request.dump(force=True))

    response = tsp.TimeStampResp.load(told.body)
    sent = response["time_stamp_token"]["content"]["certificates"].native
    assert not sent


def test_openssl_asks_and_believes(
    prepared: PreparedNation, server: AuthorityServer, tmp_path: Path
) -> None:
    openssl = program("openssl")
    data, query, reply = (tmp_path / name for name in ("data", "query", "reply"))
    data.write_bytes(b"data")
    made = run(openssl, "ts", "-query", "-data", data, "-sha512", "-cert", "-out", query)
    assert made.returncode == 0, made.stderr
    reply.write_bytes(ask(server, "POST", TIME_PATH, query.read_bytes()).body)

    anchor = AuthorityFiles(prepared.folder).time_anchor
    at = int(NOW.timestamp())
    files = ("-in", reply, "-queryfile", query, "-CAfile", anchor)
    judged = run(openssl, "ts", "-verify", *files, "-attime", at)

    assert "Verification: OK" in judged.stdout, judged.stderr


def test_the_hub_of_the_sandbox_has_a_door_for_operators(prepared: PreparedNation) -> None:
    operations = read_hub_settings(prepared.hub_settings).operations

    assert operations is not None
    assert (operations.host, operations.port) == ("127.0.0.1", 9010)
