"""Over TLS a system shows the certificate that was pinned for it, and no other one will do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from bus.access_point.settings import TlsFiles
from bus.access_point.tls import make_tls_context
from bus.core.errors import ConfigurationError
from bus.trust.key_store import read_certificates
from tests.access_point.running_access_point import (
    RunningAccessPoint,
    ServedHub,
    plain_request,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.access_point.tls_certificates import write_key_and_certificate
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import CLIENT, SmallNation


@dataclass(frozen=True, slots=True)
class Shop:
    """An access point over TLS, and the folder of everybody's keys."""

    point: RunningAccessPoint
    keys: Path

    def client(self, name: str = "") -> ssl.SSLContext:
        """The TLS of a system that shows this certificate; empty: none."""
        context = ssl.create_default_context(cafile=self.keys / "door.crt")
        if name:
            context.load_cert_chain(self.keys / f"{name}.crt", self.keys / f"{name}.key")
        return context


@pytest.fixture(scope="module")
def shop(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    for name in ("door", "motcua", "motcua-next", "other-system", "stranger"):
        write_key_and_certificate(folder, name, now)
    write_key_and_certificate(folder, "expired", now - timedelta(days=800))
    with served_hub(nation, folder / "hub") as hub, _point(nation, folder, hub) as point:
        yield Shop(point, folder)


@contextmanager
def _point(nation: SmallNation, keys: Path, hub: ServedHub) -> Iterator[RunningAccessPoint]:
    settings = write_settings(
        nation,
        keys / "point",
        hub.url,
        tls={"key": "../door.key", "certificate": "../door.crt"},
        systems={
            CLIENT.subsystem_code: {
                "client_certificates": ["../motcua.crt", "../motcua-next.crt", "../expired.crt"]
            },
            "khac": {"client_certificates": ["../other-system.crt"]},
        },
    )
    assert settings.tls is not None
    paths = [path for one in settings.systems.values() for path in one.client_certificates]
    tls = make_tls_context(settings.tls, read_certificates(paths))
    with running_access_point(settings, hub.clock, tls=tls) as point:
        yield point


@pytest.mark.parametrize("name", ["motcua", "motcua-next"])
def test_a_system_that_shows_one_of_its_certificates_is_answered(shop: Shop, name: str) -> None:
    reply = shop.point.post(plain_request(f"tls-{name}"), tls=shop.client(name))

    assert reply.status == 200


@pytest.mark.parametrize("name", ["", "other-system"])
def test_no_certificate_and_that_of_another_system_get_x_roads_fault(shop: Shop, name: str) -> None:
    reply = shop.point.post(plain_request("tls-refused"), tls=shop.client(name))

    assert reply.status == 500
    assert b"<faultcode>Server.ClientProxy.SslAuthenticationFailed</faultcode>" in reply.body
    assert b"access-point.client-not-authenticated" in reply.body


@pytest.mark.parametrize("name", ["stranger", "expired"])
def test_strangers_and_expired_certificates_do_not_get_through_the_handshake(
    shop: Shop, name: str
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shop.point.post(plain_request("tls-stranger"), tls=shop.client(name))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_is_resumed_without_a_certificate(shop: Shop, version: ssl.TLSVersion) -> None:
    client = shop.client("motcua")
    client.minimum_version = client.maximum_version = version
    host, _, port = shop.point.url.removeprefix("https://").partition(":")

    def shake_hands(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool | None]:
        with (
            socket.create_connection((host, int(port)), timeout=HANG_SECONDS_MAX) as raw,
            client.wrap_socket(raw, server_hostname=host, session=session) as tls,
        ):
            tls.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in tls.recv(4096)
            return tls.session, tls.session_reused

    session, _ = shake_hands(None)
    _, is_resumed = shake_hands(session)

    assert not is_resumed


def test_plain_http_does_not_get_through(shop: Shop) -> None:
    plain = RunningAccessPoint(shop.point.url.replace("https:", "http:"), shop.point.settings)

    with pytest.raises(OSError, match=r"."):
        plain.get("/health")


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_key_and_certificate(tmp_path, "door", datetime.now(UTC))
    (tmp_path / "door.key").chmod(0o644)
    files = TlsFiles(tmp_path / "door.key", tmp_path / "door.crt")

    with pytest.raises(ConfigurationError, match="others than its owner"):
        make_tls_context(files, [])


def test_files_that_are_missing_or_no_pair_are_refused(tmp_path: Path) -> None:
    write_key_and_certificate(tmp_path, "door", datetime.now(UTC))
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "other.key").touch(mode=0o600)
    (tmp_path / "other.key").write_bytes(
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )

    for key, words in (("missing.key", "cannot be read"), ("other.key", "cannot be used")):
        with pytest.raises(ConfigurationError, match=words):
            make_tls_context(TlsFiles(tmp_path / key, tmp_path / "door.crt"), [])
