"""A small nation with real keys: its rules, its signers, and requests that they sign."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from bus.core.decision import Decision
from bus.core.envelope import SoapVersion
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.pipeline import Rules
from bus.core.request_decision import decide_request_in
from bus.core.xml import parse_xml
from bus.delivery.carrying import adapters_named
from bus.judge_program import WIRE
from bus.judging.rules import read_rules
from bus.kit.contract import Adapter
from bus.kit.manifest import read_manifest
from bus.protocols.soap_xroad.write import RequestHeader, SigningTime, write_request
from bus.sandbox.nation_files import prepare_nation, reference_routes
from bus.settings.hub import HubSettings, packaged_folder, read_hub_settings
from bus.settings.routes import read_registry
from bus.trust.key_store import read_signer
from signing.attachments import Attachment
from signing.pki.keys import PrivateKey, Signer, load_certificate, load_private_key, make_signer
from tests.certificates import Issuer, make_certificate

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

CLIENT = SubsystemId.parse("VN/GOV/H41/motcua")
OTHER_CLIENT = SubsystemId.parse("VN/GOV/H26/motcua")
CLIENT_WITHOUT_GRANT = SubsystemId.parse("VN/GOV/G03/tuyensinh")
PROVIDER = SubsystemId.parse("VN/GOV/G01/dancu")
HUB = SubsystemId.parse("VN/GOV/G22/truclienthong")
LOOKUP = ServiceId.parse("VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1")
SLOW_SERVICE = ServiceId.parse("VN/GOV/G01/dancu/XacThucThongTinCongDan/v1")
DISABLED_SERVICE = ServiceId.parse("VN/GOV/G01/dancu/XacMinhThongTinNhanThan/v1")
NOTICE = "Bảo trì đến 18 giờ"
SLOW_TIMEOUT_SECONDS = 0.3

ADAPTERS = packaged_folder("adapters")
REFERENCE = read_registry(reference_routes())
ADAPTER_IDS = tuple(sorted(adapters_named(REFERENCE)))
"""The adapters of the sample nation."""
LOOKUP_ADAPTER = REFERENCE.services[LOOKUP].adapter
LOOKUP_NAMESPACE = "http://dancuquocgia.bca"


def packaged_sample(service: ServiceId) -> bytes:
    """The sample request that lies beside the adapter of a service."""
    manifest = read_manifest(ADAPTERS / REFERENCE.services[service].adapter)
    return next(
        one.sample for one in manifest.services if one.code == service.service_code
    ).read_bytes()


def carried_by(agency: Adapter) -> dict[str, Adapter]:
    """One agency in the place of every one that the sample nation's services name."""
    return dict.fromkeys(ADAPTER_IDS, agency)


SAMPLE = packaged_sample(LOOKUP)
ANSWER = (
    f'<p:TraCuuThongTinCongDanResponse xmlns:p="{LOOKUP_NAMESPACE}">'
    '<p:CongdanCollection SoCongDan="0" ThoiDiemDuLieu="2026-03-01T08:00:00Z"/>'
    "</p:TraCuuThongTinCongDanResponse>"
).encode()
SLOW_ANSWER = (
    f'<p:XacThucThongTinCongDanResponse xmlns:p="{LOOKUP_NAMESPACE}"><p:KetQuaXacThuc>'
    "<p:TonTai>true</p:TonTai></p:KetQuaXacThuc></p:XacThucThongTinCongDanResponse>"
).encode()


@dataclass(frozen=True, slots=True)
class SmallNation:
    """Everything that tests of the pipeline need, made once a session."""

    folder: Path
    settings: HubSettings
    rules: Rules
    issuer: Issuer
    anchor: bytes
    """DER of the one trust anchor."""
    signers: Mapping[SubsystemId, Signer]
    client_signers: Mapping[str, Signer]
    """Of CLIENT, by kind of key: rsa-2048, p-256, p-384, ed25519."""


def make_small_nation(folder: Path, *, now: datetime = NOW, text: str = "") -> SmallNation:
    """Write the files of a nation below `folder` and read them as a hub does."""
    folder.mkdir(parents=True, exist_ok=True)
    routes = folder / "reference.yaml"
    routes.write_text(text or small_routes())
    prepared = prepare_nation(folder, now=now, hub_port=3, routes=routes)
    settings = read_hub_settings(prepared.hub_settings)
    signers = {owner: read_signer(files) for owner, files in prepared.signers.items()}
    anchor = load_certificate(prepared.anchor.read_bytes())
    key = load_private_key((folder / "authority" / "ca.key").read_bytes())
    issuer = Issuer(key, anchor)
    return SmallNation(
        folder=folder,
        settings=settings,
        rules=read_rules(settings).rules,
        issuer=issuer,
        anchor=der(anchor),
        signers=signers,
        client_signers=_client_signers(issuer, now),
    )


def small_routes(slow_seconds: float = SLOW_TIMEOUT_SECONDS) -> str:
    """The reference routes with one service switched off and one of little patience.

    The others have much: no query of a test ends because the machine is busy.
    """
    text = reference_routes().read_text()
    text = _with_timeout(text, DISABLED_SERVICE, f"300\n    enabled: false\n    notice: {NOTICE}")
    text = re.sub(r"timeout_seconds: [1-9]\d\b", "timeout_seconds: 300", text)
    return _with_timeout(text, SLOW_SERVICE, str(slow_seconds))


def _with_timeout(text: str, service: ServiceId, value: str) -> str:
    before, start, after = text.partition(f"- id: {service}\n")
    said = f"timeout_seconds: {value}"
    return before + start + re.sub(r"timeout_seconds: \d+", said, after, count=1)


def _client_signers(issuer: Issuer, now: datetime) -> Mapping[str, Signer]:
    keys: dict[str, PrivateKey] = {
        "rsa-2048": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "p-256": ec.generate_private_key(ec.SECP256R1()),
        "p-384": ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    identifier = str(CLIENT.member)
    return {
        kind: make_signer(
            key, make_certificate(issuer, key.public_key(), now, identifier=identifier)
        )
        for kind, key in keys.items()
    }


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def payload(raw: bytes = SAMPLE) -> etree._Element:
    return parse_xml(raw, bytes_max=len(raw))


def request(
    nation: SmallNation,
    message_id: str = "m-1",
    *,
    client: SubsystemId = CLIENT,
    service: ServiceId = LOOKUP,
    body: bytes = SAMPLE,
    signer: Signer | None = None,
    created: datetime = NOW,
    valid_for: timedelta = timedelta(minutes=5),
    algorithm: str = "",
    user_id: str = "VN0117",
    issue: str = "H41-2026-1",
    soap_version: SoapVersion = SoapVersion.SOAP_1_1,
) -> bytes:
    """A signed request; by default of CLIENT for LOOKUP with the sample as payload."""
    return write_request(
        RequestHeader(client, service, message_id, user_id=user_id, issue=issue),
        payload(body),
        signer or nation.signers[client],
        SigningTime(created, valid_for),
        algorithm=algorithm,
        soap_version=soap_version,
    )


def decide_request(
    raw: bytes,
    rules: Rules,
    now: datetime,
    report: Callable[[Exception], None],
    attachments: tuple[Attachment, ...] = (),
) -> Decision:
    """The hub's decision about a request, made here."""
    return decide_request_in(WIRE, raw, rules, now, report, attachments)
