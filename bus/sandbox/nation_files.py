"""Write the files of a whole nation: keys, certificates, secrets, routes.yaml and hub.yaml.

What exists is kept, so that a sandbox can be started again on its own log; hub.yaml alone is
written anew, because ports change, with what was changed in it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.core.identifiers import MemberId, SubsystemId
from bus.core.registry import MemberRegistry
from bus.sandbox.agencies import AgencyAccount, agency_accounts, routed_manifests
from bus.sandbox.authority import Authority, Holder, KeyKind, StatusSources
from bus.sandbox.authority_files import OCSP_PATH, TIME_PATH, AuthorityFiles, authority_url
from bus.sandbox.kept_edits import write_settings
from bus.settings.routes import read_registry
from bus.settings.signer import SignerFiles

HUB_HOST = "127.0.0.1"
LOG_ORIGIN = "lienthong.example/sandbox"

GRACE_SECONDS = 300
REFRESH_SECONDS = 2
"""So soon the hub of a sandbox learns what was revoked."""

_HEADER = "# Written by `lienthong sandbox up`: one hub, one machine, simulated agencies.\n"


@dataclass(frozen=True, slots=True)
class PreparedNation:
    """Everything that a sandbox needs to find its files."""

    folder: Path
    hub_settings: Path
    routes: Path
    public_url: str
    anchor: Path
    signers: Mapping[SubsystemId, SignerFiles]
    """Key and certificate of every subsystem of the nation."""
    agencies: Mapping[str, AgencyAccount]
    """By adapter id; those that nobody simulates, too."""
    authority_port: int = 0
    """Where the authority tells what is revoked and what time it is; 0: nowhere."""
    operations_port: int = 0
    """Where the hub tells operators how it is; 0: nowhere."""


def reference_routes() -> Path:
    """The routes.yaml that comes with the program."""
    packaged = Path(__file__).with_name("routes.yaml")
    checkout = Path(__file__).parents[2] / "routes.yaml"
    return packaged if packaged.is_file() else checkout


def kept_routes(folder: Path) -> Path:
    """The routes.yaml of a sandbox; before it was up once, the one that it will get."""
    kept = folder / "routes.yaml"
    return kept if kept.is_file() else reference_routes()


def prepare_nation(
    folder: Path,
    *,
    now: datetime,
    hub_port: int,
    agency_ports: Mapping[str, int] = MappingProxyType({}),
    authority_port: int = 0,
    operations_port: int = 0,
    routes: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> PreparedNation:
    """Write what is missing below `folder`, and hub.yaml; a hub can start from it.

    `agency_ports` names a port for each adapter id; without one, nobody listens. The authority
    tells at `authority_port` which certificates are revoked, and stamps the log; 0: nobody tells,
    and the hub does not ask.
    Raises ConfigurationError when routes.yaml or the manifest of an adapter is not sound.
    """
    for name in ("keys", "trust", "state", "log", "authority"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    # Private keys: wherever the folder lies, no repository shall take them in.
    _keep(folder / ".gitignore", lambda: b"*\n", mode=0o644)
    source = routes or reference_routes()
    _keep(folder / "routes.yaml", source.read_bytes, mode=0o644)
    nation = read_registry(folder / "routes.yaml")
    authority = _authority(folder, now)
    sources = _status_sources(folder, authority, authority_port, now)
    signers = _subsystem_signers(folder, nation, authority, sources, now)
    _time_authority(folder, now)
    _log_keys(folder / "keys")
    agencies = agency_accounts(folder, routed_manifests(folder, nation), agency_ports)
    for agency in agencies.values():
        if agency.needs_secret:
            _keep(agency.secret_file, _new_secret, mode=0o600)
    public_url = f"http://{HUB_HOST}:{hub_port}"
    prepared = PreparedNation(
        folder=folder,
        hub_settings=folder / "hub.yaml",
        routes=folder / "routes.yaml",
        public_url=public_url,
        anchor=folder / "trust" / "ca.crt",
        signers=signers,
        agencies=agencies,
        authority_port=authority_port,
        operations_port=operations_port,
    )
    values = _hub_values(prepared, nation, hub_port)
    write_settings(prepared.hub_settings, _HEADER, values, mode=0o600, tell=tell)
    return prepared


# --- keys and certificates -----------------------------------------------------------------------


def _authority(folder: Path, now: datetime) -> Authority:
    key_path, anchor_path = folder / "authority" / "ca.key", folder / "trust" / "ca.crt"
    if key_path.is_file() and anchor_path.is_file():
        return Authority.load(key_path.read_bytes(), anchor_path.read_bytes())
    authority = Authority.create("Lien Thong Sandbox Root", now)
    _write(key_path, authority.key_pem(), mode=0o600)
    _write(anchor_path, authority.certificate_pem(), mode=0o644)
    return authority


def _time_authority(folder: Path, now: datetime) -> None:
    """A root of its own, whose key nobody keeps, and the key that stamps."""
    files = AuthorityFiles(folder)
    if files.time_key.is_file() and files.time_certificate.is_file():
        return
    root = Authority.create("Lien Thong Sandbox Time Root", now)
    issued = root.issue_for_time("Lien Thong Sandbox Time", now)
    _write(files.time_anchor, root.certificate_pem(), mode=0o644)
    _write(files.time_key, issued.key_pem, mode=0o600)
    _write(files.time_certificate, issued.certificate_pem, mode=0o644)


def _status_sources(
    folder: Path, authority: Authority, port: int, now: datetime
) -> StatusSources | None:
    """What certificates that are issued now say about where their status can be asked."""
    if not port:
        return None
    files = AuthorityFiles(folder)
    if not files.responder_key.is_file() or not files.responder_certificate.is_file():
        issued = authority.issue_for_status("Lien Thong Sandbox OCSP", now)
        _write(files.responder_key, issued.key_pem, mode=0o600)
        _write(files.responder_certificate, issued.certificate_pem, mode=0o644)
        if not any((folder / "keys").glob("*.crt")):
            files.named_port.write_text(f"{port}\n", "ascii")
    return files.sources(authority_url(port))


def _subsystem_signers(
    folder: Path,
    nation: MemberRegistry,
    authority: Authority,
    sources: StatusSources | None,
    now: datetime,
) -> Mapping[SubsystemId, SignerFiles]:
    signers = {}
    for place, subsystem in enumerate(_certificate_holders(nation)):
        name = str(subsystem).replace("/", "-")
        files = SignerFiles(folder / "keys" / f"{name}.key", folder / "keys" / f"{name}.crt")
        signers[subsystem] = files
        if files.key.is_file() and files.certificate.is_file():
            continue
        member = nation.members[subsystem.member]
        holder = Holder(member.name, member.certificate_subject, str(subsystem))
        kind = _key_kind(nation, subsystem, place)
        issued = authority.issue(holder, now, key_kind=kind, sources=sources)
        _write(files.key, issued.key_pem, mode=0o600)
        _write(files.certificate, issued.certificate_pem, mode=0o644)
    return signers


def _certificate_holders(nation: MemberRegistry) -> list[SubsystemId]:
    """Every subsystem, and every agency that itself asks or is asked."""
    used = {client for client, _ in nation.grants}
    used |= {service.provider for service in nation.services}
    return sorted(one for one in nation.subsystems if one.subsystem_code or one in used)


def _key_kind(nation: MemberRegistry, subsystem: SubsystemId, place: int) -> KeyKind:
    """P-256 where this hub signs; among the clients RSA and P-256 by turns, as in real life."""
    signing = {service.provider for service in nation.services} | nation.recipients.keys()
    if subsystem in signing or subsystem == nation.hub or place % 2:
        return KeyKind.P_256
    return KeyKind.RSA_2048


def _log_keys(keys: Path) -> None:
    _keep(keys / "log.key", new_ed25519_pem, mode=0o600)
    _keep(keys / "log-read.key", _new_symmetric_key, mode=0o600)
    _keep(keys / "log-pseudonym.key", _new_symmetric_key, mode=0o600)


def new_ed25519_pem() -> bytes:
    """A new key for a log, as its file holds it."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _new_symmetric_key() -> bytes:
    return base64.b64encode(secrets.token_bytes(32)) + b"\n"


def _new_secret() -> bytes:
    return secrets.token_urlsafe(24).encode() + b"\n"


def _keep(path: Path, make: Callable[[], bytes], *, mode: int) -> None:
    if not path.is_file():
        _write(path, make(), mode=mode)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.touch(mode=mode)  # before the content, so that a key is never readable by others
    path.chmod(mode)
    path.write_bytes(content)


# --- hub.yaml ----------------------------------------------------------------------------------


def _hub_values(prepared: PreparedNation, nation: MemberRegistry, hub_port: int) -> dict[str, Any]:
    return {
        "listen": {"host": HUB_HOST, "port": hub_port},
        "public_url": prepared.public_url,
        "routes": "routes.yaml",
        "log": {
            "folder": "log",
            "origin": LOG_ORIGIN,
            "guard": "state/last-signed",
            "signing_key": "keys/log.key",
            "read_key": "keys/log-read.key",
            "pseudonym_key": "keys/log-pseudonym.key",
        },
        "trust": {
            "anchors": ["trust/ca.crt"],
            # Whoever only names its certificate is known by it.
            "certificates": [
                _signer_values(prepared, subsystem)["certificate"]
                for subsystem in sorted(prepared.signers)
            ],
        },
        "revocation": revocation_values(prepared),
        "hub_signer": _signer_values(prepared, nation.hub),
        "signers": {
            str(member): _signer_values(prepared, subsystem)
            for member, subsystem in sorted(_answering(nation).items())
        },
        "agencies": {
            adapter: account.hub_values() for adapter, account in prepared.agencies.items()
        },
        "show_precise_faults": True,
        **_time_values(prepared),
        **_operations_values(prepared),
    }


def _time_values(prepared: PreparedNation) -> dict[str, Any]:
    if not prepared.authority_port:
        return {}
    url = f"{authority_url(prepared.authority_port)}{TIME_PATH}"
    return {"timestamps": {"url": url, "anchors": ["trust/time.crt"]}}


def _operations_values(prepared: PreparedNation) -> dict[str, Any]:
    if not prepared.operations_port:
        return {}
    return {"operations": {"host": HUB_HOST, "port": prepared.operations_port}}


def revocation_values(prepared: PreparedNation) -> dict[str, Any]:
    """How whoever verifies in the sandbox asks its authority."""
    port = prepared.authority_port
    if not port:
        return {"check": "none"}
    values: dict[str, Any] = {
        "check": "required",
        "grace_seconds": GRACE_SECONDS,
        "refresh_seconds": REFRESH_SECONDS,
        "fetch_seconds": 2,
    }
    if AuthorityFiles(prepared.folder).port_in_certificates() != port:
        # The port that certificates name was taken by somebody else, or they name none.
        values["ocsp_url"] = f"{authority_url(port)}{OCSP_PATH}"
    return values


def _answering(nation: MemberRegistry) -> Mapping[MemberId, SubsystemId]:
    """Whose key signs for a member: that of a subsystem that adapters bring messages to, or asks
    for answers."""
    reached = {one.member: one for one, adapter in nation.recipients.items() if adapter}
    return reached | {service.provider.member: service.provider for service in nation.services}


def _signer_values(prepared: PreparedNation, subsystem: SubsystemId) -> dict[str, str]:
    files = prepared.signers[subsystem]
    return {
        "key": str(files.key.relative_to(prepared.folder)),
        "certificate": str(files.certificate.relative_to(prepared.folder)),
    }
