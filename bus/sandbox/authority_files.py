"""Know where the files of the sandbox's authority lie, and at which address it answers."""

from __future__ import annotations

from pathlib import Path

from bus.sandbox.authority import Authority, StatusSources
from bus.sandbox.revocation_register import RevocationRegister
from bus.sandbox.status_authority import Responder
from signing.pki.keys import Signer, load_certificate, load_private_key, load_signer

HOST = "127.0.0.1"
OCSP_PATH = "/ocsp"
CRL_PATH = "/ca.crl"
TIME_PATH = "/time"


class AuthorityFiles:
    """The files of the authority in a sandbox's folder."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "authority" / "ca.key"
        self.anchor = folder / "trust" / "ca.crt"
        self.responder_key = folder / "authority" / "ocsp.key"
        self.responder_certificate = folder / "authority" / "ocsp.crt"
        self.time_anchor = folder / "trust" / "time.crt"
        """The root of the time authority: apart from the one of messages."""
        self.time_key = folder / "authority" / "time.key"
        self.time_certificate = folder / "authority" / "time.crt"
        self.named_port = folder / "authority" / "port"
        """The port that certificates name; absent when they name none."""
        self._register = folder / "authority" / "revoked.json"

    def authority(self) -> Authority:
        """The root. Raises KeyUnusable."""
        return Authority.load(self.key.read_bytes(), self.anchor.read_bytes())

    def responder(self) -> Responder:
        """The delegated OCSP responder. Raises KeyUnusable."""
        return Responder(
            load_private_key(self.responder_key.read_bytes()),
            load_certificate(self.responder_certificate.read_bytes()),
        )

    def time_signer(self) -> Signer:
        """What timestamps are signed with. Raises KeyUnusable."""
        return load_signer(self.time_key.read_bytes(), self.time_certificate.read_bytes())

    def register(self) -> RevocationRegister:
        """What is revoked."""
        return RevocationRegister(self._register)

    def port_in_certificates(self) -> int:
        """The port that certificates name; 0: they name none."""
        try:
            return int(self.named_port.read_text("ascii"))
        except FileNotFoundError:
            return 0

    def sources(self, url: str) -> StatusSources:
        """What certificates say: where the first ones did, else at `url`."""
        port = self.port_in_certificates()
        base = authority_url(port) if port else url
        return StatusSources(f"{base}{OCSP_PATH}", f"{base}{CRL_PATH}")


def authority_url(port: int) -> str:
    """Where the authority answers."""
    return f"http://{HOST}:{port}"
