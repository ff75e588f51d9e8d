"""The sandbox's authority tells what it revoked, as responders and lists of the real one do."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from bus.core.identifiers import SubsystemId
from bus.sandbox.authority_files import CRL_PATH, OCSP_PATH, AuthorityFiles
from bus.sandbox.authority_server import AuthorityServer, make_server
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.sandbox.revocation_register import REASONS
from signing.pki.certificate_paths import Link, ocsp_request, path_links
from signing.pki.certificates import TrustStore
from signing.pki.keys import load_certificate
from signing.pki.revocation import Evidence, Good, Revoked, Status, revocation_status
from tests.hang_limits import HANG_SECONDS_MAX

NOW = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
PORT = 9009
SUBSYSTEM = SubsystemId.parse("VN/GOV/H41/motcua")


@pytest.fixture
def prepared(tmp_path: Path) -> PreparedNation:
    return prepare_nation(tmp_path, now=NOW, hub_port=1, authority_port=PORT)


@pytest.fixture
def server(prepared: PreparedNation) -> AuthorityServer:
    return make_server(prepared.folder, lambda: NOW)


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back."""

    status: int
    content_type: str
    body: bytes


def ask(server: AuthorityServer, method: str, path: str, body: bytes = b"") -> Asked:
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(server(scope, receive, send))
    start, rest = sent
    headers = dict(start["headers"])
    return Asked(start["status"], headers[b"content-type"].decode(), rest["body"])


def certificate(prepared: PreparedNation) -> x509.Certificate:
    return load_certificate(prepared.signers[SUBSYSTEM].certificate.read_bytes())


def trust(prepared: PreparedNation) -> TrustStore:
    anchor = load_certificate(prepared.anchor.read_bytes())
    return TrustStore([anchor.public_bytes(Encoding.DER)])


def link(prepared: PreparedNation) -> Link:
    der = certificate(prepared).public_bytes(Encoding.DER)
    (found,) = path_links(trust(prepared).path(der, NOW))
    return found


def status(prepared: PreparedNation, pieces: Iterable[Evidence]) -> Status:
    der = certificate(prepared).public_bytes(Encoding.DER)
    return revocation_status(trust(prepared), der, pieces, NOW)


def both_kinds(prepared: PreparedNation, server: AuthorityServer) -> list[Status]:
    """What responder and list say."""
    asked = link(prepared)
    response = ask(server, "POST", OCSP_PATH, ocsp_request(asked))
    listed = ask(server, "GET", CRL_PATH)
    assert (response.status, response.content_type) == (200, "application/ocsp-response")
    assert (listed.status, listed.content_type) == (200, "application/pkix-crl")
    return [
        status(prepared, [Evidence(asked.digest, response.body)]),
        status(prepared, [Evidence(asked.issuer_digest, listed.body)]),
    ]


def test_certificates_say_where_their_status_is_told(prepared: PreparedNation) -> None:
    found = link(prepared)

    assert found.ocsp_urls == (f"http://127.0.0.1:{PORT}/ocsp",)
    assert found.crl_urls == (f"http://127.0.0.1:{PORT}/ca.crl",)


def test_responder_and_list_tell_the_same(
    prepared: PreparedNation, server: AuthorityServer
) -> None:
    assert all(isinstance(one, Good) for one in both_kinds(prepared, server))

    register = AuthorityFiles(prepared.folder).register()
    register.revoke(certificate(prepared), NOW - timedelta(minutes=1), "keyCompromise")
    again = register.revoke(certificate(prepared), NOW, "superseded")

    assert again.since == NOW - timedelta(minutes=1)
    for told in both_kinds(prepared, server):
        assert isinstance(told, Revoked)
        assert (told.since, told.reason) == (NOW - timedelta(minutes=1), "key_compromise")


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_can_be_told(
    reason: str, prepared: PreparedNation, server: AuthorityServer
) -> None:
    register = AuthorityFiles(prepared.folder).register()
    register.revoke(certificate(prepared), NOW - timedelta(minutes=1), reason)

    assert all(isinstance(one, Revoked) for one in both_kinds(prepared, server))


def test_the_responder_speaks_for_its_own_authority_only(
    prepared: PreparedNation, server: AuthorityServer, tmp_path: Path
) -> None:
    other = prepare_nation(tmp_path / "other", now=NOW, hub_port=1, authority_port=PORT)

    assert ask(server, "POST", OCSP_PATH, ocsp_request(link(other))).body == bytes.fromhex(
        "30030a0106"  # unauthorized, RFC 6960 §4.2.1
    )
    assert ask(server, "POST", OCSP_PATH, b"nonsense").body == bytes.fromhex("30030a0101")


def test_openssl_understands_responder_and_list(
    prepared: PreparedNation, server: AuthorityServer, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    assert openssl, "openssl is a part of every system that runs these tests"
    AuthorityFiles(prepared.folder).register().revoke(certificate(prepared), NOW, "keyCompromise")
    response, listed = tmp_path / "response.der", tmp_path / "ca.crl"
    response.write_bytes(ask(server, "POST", OCSP_PATH, ocsp_request(link(prepared))).body)
    listed.write_bytes(ask(server, "GET", CRL_PATH).body)
    anchor, leaf = str(prepared.anchor), str(prepared.signers[SUBSYSTEM].certificate)

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [openssl, *arguments],
            capture_output=True,
            timeout=HANG_SECONDS_MAX,
            check=False,
            text=True,
        )
        return ended.stdout + ended.stderr

    told = run(
        *("ocsp", "-respin", str(response), "-issuer", anchor, "-cert", leaf, "-CAfile", anchor),
        *("-no_nonce", "-attime", str(int(NOW.timestamp()))),
    )
    assert "Response verify OK" in told
    assert "revoked" in told
    verified = run("crl", "-inform", "DER", "-in", str(listed), "-CAfile", anchor, "-noout")
    assert "verify OK" in verified


def test_what_it_does_not_serve_it_says(server: AuthorityServer) -> None:
    assert ask(server, "GET", "/_health").status == 200
    assert ask(server, "GET", "/other").status == 404
    assert ask(server, "GET", OCSP_PATH).status == 405
    assert ask(server, "POST", OCSP_PATH, bytes(2 * 1024 * 1024)).status == 413


@pytest.mark.parametrize(
    ("mode", "status"), [("down", 503), ("garbage", 200), ("wrong-answer", 200), ("none", 200)]
)
def test_a_test_can_make_it_fail(mode: str, status: int, server: AuthorityServer) -> None:
    wanted = json.dumps({"mode": mode}).encode()
    assert ask(server, "POST", "/_fault", wanted).status == 200
    assert ask(server, "POST", "/_fault", b"{}").status == 400

    told = ask(server, "GET", CRL_PATH)

    assert told.status == status
    assert (told.content_type == "application/pkix-crl") is (mode == "none")


def test_a_nation_without_authority_has_certificates_that_name_none(tmp_path: Path) -> None:
    prepared = prepare_nation(tmp_path, now=NOW, hub_port=1)

    assert not link(prepared).names_a_source
    assert "check: none" in prepared.hub_settings.read_text()


def test_an_authority_that_had_to_move_is_named_in_hub_yaml(tmp_path: Path) -> None:
    for port, is_named in ((PORT, False), (PORT + 1, True), (PORT, False)):
        prepared = prepare_nation(tmp_path, now=NOW, hub_port=1, authority_port=port)
        named = f"ocsp_url: http://127.0.0.1:{port}/ocsp" in prepared.hub_settings.read_text()
        assert named is is_named
        assert link(prepared).ocsp_urls == (f"http://127.0.0.1:{PORT}/ocsp",)


def test_a_responders_certificate_signs_no_messages(prepared: PreparedNation) -> None:
    responder = AuthorityFiles(prepared.folder).responder().certificate

    assert responder.fingerprint(hashes.SHA256()) != certificate(prepared).fingerprint(
        hashes.SHA256()
    )
    with pytest.raises(Exception, match="OCSP or time-stamping"):
        trust(prepared).validate(responder.public_bytes(Encoding.DER), NOW)
