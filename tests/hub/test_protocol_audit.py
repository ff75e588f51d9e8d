"""What the protocol can carry is recorded so that every decision about it can be made again."""

from __future__ import annotations

from pathlib import Path

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.core.envelope import SoapVersion
from bus.core.identifiers import ServiceId
from bus.kit.contract import Answer, Query, ServiceFault
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.names import SOAP11
from signing.signed_note import SigningKey
from tests.hub.running_hub import RunningHub, in_hub
from tests.nation import CLIENT, CLIENT_WITHOUT_GRANT, SmallNation, request

XROAD = "http://x-road.eu/xsd/xroad.xsd"
SOAP_1_2 = SoapVersion.SOAP_1_2
TYPE_1_2 = b"application/soap+xml; charset=utf-8"


def refuse(query: Query) -> Answer:
    raise ServiceFault("NoSuchYear", "words", detail_content=b"<a></a>")


def metaservice(nation: SmallNation, code: str, content: str = "") -> bytes:
    body = f'<x:{code} xmlns:x="{XROAD}">{content}</x:{code}>'.encode()
    service = ServiceId.parse(f"VN/GOV/G01/dancu/{code}/")
    return request(nation, f"meta-{code}-{len(content)}", service=service, body=body)


def test_an_auditor_finds_every_decision_as_it_was_made(
    nation: SmallNation, tmp_path: Path
) -> None:
    wanted = "<x:serviceCode>TraCuuThongTinCongDan</x:serviceCode>"

    async def story(running: RunningHub) -> int:
        for raw in (
            metaservice(nation, "listMethods"),
            metaservice(nation, "allowedMethods"),
            metaservice(nation, "getWsdl", wanted),
            metaservice(nation, "getWsdl"),
            request(nation, "unsigned").replace(b"wsse:Security", b"wsse:Insecurity"),
            request(nation).replace(SOAP11.encode(), b"urn:soap"),
            b'<s:Envelope xmlns:s="%s"><s:Body><s:Fault/></s:Body></s:Envelope>' % SOAP11.encode(),
        ):
            await running.post(raw)
        for number, client in enumerate((CLIENT, CLIENT_WITHOUT_GRANT)):
            raw = request(nation, f"soap12-{number}", client=client, soap_version=SOAP_1_2)
            await running.post(raw, content_type=TYPE_1_2)
        running.agency.script = refuse
        for version, content_type in ((SoapVersion.SOAP_1_1, b"text/xml"), (SOAP_1_2, TYPE_1_2)):
            raw = request(nation, f"refused-{content_type.decode()}", soap_version=version)
            await running.post(raw, content_type=content_type)
        return len(running.leaves())

    entries = in_hub(nation, tmp_path, story)

    log = nation.settings.log
    keys = AuditKeys(
        SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key,
        read_symmetric_key(log.read_key),
    )
    audit = audit_log(tmp_path / "log", keys)
    assert audit.report.findings == []
    assert audit.report.entries == entries + 1  # the hub's last word, that it stopped
    assert audit.replay is not None
