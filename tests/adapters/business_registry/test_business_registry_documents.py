"""Documents of a dossier reach the simulated business registry, however they travelled."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from lxml import etree

import schemas
from adapters.business_registry.adapter import BusinessRegistryAdapter
from bus.core.attachments import for_schema
from bus.kit.contract import Answer, RecipientRefused, attachment_of_bytes
from tests.adapters.running_agencies import RunningAgency, query, sample_requests

NAMESPACE = "urn:lienthong:dang-ky-doanh-nghiep:1.0"
SERVICE = "VN/GOV/G12/dkdn/nopTaiLieu/v1"
SCHEMA = etree.XMLSchema(etree.parse(schemas.FOLDER / "dkdn/1.0/dkdn.xsd"))
DOCUMENTS = (
    attachment_of_bytes(b"%PDF-1.7" + bytes(2_000_000), content_id="a@x", media_type="a/pdf"),
    attachment_of_bytes(b"second", content_id="b", media_type="text/plain"),
)


def journal_number(data_dir: Path) -> str:
    """Of a dossier that the registry has."""
    asked = etree.fromstring(sample_requests(data_dir)[SERVICE])
    return str(asked.findtext(f"{{{NAMESPACE}}}in_journal_no"))


def submission(journal_number: str, *contents: str) -> bytes:
    documents = "".join(
        f"<d:TaiLieu><d:Ten>Tài liệu {number}</d:Ten>{content}</d:TaiLieu>"
        for number, content in enumerate(contents)
    )
    return (
        f'<d:nopTaiLieu xmlns:d="{NAMESPACE}" xmlns:x="http://www.w3.org/2004/08/xop/include">'
        f"<d:in_journal_no>{journal_number}</d:in_journal_no>{documents}</d:nopTaiLieu>"
    ).encode()


def submit(registry: BusinessRegistryAdapter, payload: bytes) -> Answer:
    SCHEMA.assertValid(for_schema(etree.fromstring(payload)))
    asked = replace(query(SERVICE, payload, timeout_seconds=20.0), attachments=DOCUMENTS)
    answer = registry.answer(asked)
    SCHEMA.assertValid(etree.fromstring(etree.tostring(answer.element)))
    return answer


def test_a_document_arrives_whole_by_mtom_by_reference_and_in_the_body(
    registry: BusinessRegistryAdapter, data_dir: Path
) -> None:
    number = journal_number(data_dir)
    inline = base64.b64encode(b"inline").decode()
    payload = submission(
        number,
        '<d:NoiDung><x:Include href="cid:a%40x"/></d:NoiDung>',
        "<d:TepDinhKem>cid:b</d:TepDinhKem>",
        f"<d:NoiDung>{inline}</d:NoiDung>",
    )

    answer = submit(registry, payload)

    contents = [b"".join(one.chunks()) for one in DOCUMENTS] + [b"inline"]
    told = [one.text for one in answer.element.iter(f"{{{NAMESPACE}}}SHA256")]
    assert told == [hashlib.sha256(content).hexdigest() for content in contents]
    sizes = [one.text for one in answer.element.iter(f"{{{NAMESPACE}}}SoByte")]
    assert sizes == [str(len(content)) for content in contents]
    (receipt,) = answer.attachments
    assert answer.element.findtext(f"{{{NAMESPACE}}}BienNhan") == f"cid:{receipt.content_id}"
    assert number in b"".join(receipt.chunks()).decode()


def test_a_dossier_that_is_not_there_takes_no_documents(registry: BusinessRegistryAdapter) -> None:
    payload = submission("KHONG-CO", "<d:TepDinhKem>cid:b</d:TepDinhKem>")

    with pytest.raises(RecipientRefused, match="refused"):
        submit(registry, payload)


def test_a_document_is_sent_again_when_its_token_has_ended(
    registry: BusinessRegistryAdapter, registry_agency: RunningAgency, data_dir: Path
) -> None:
    payload = submission(journal_number(data_dir), "<d:TepDinhKem>cid:a@x</d:TepDinhKem>")
    submit(registry, payload)
    with urlopen(f"{registry_agency.address}/_forget_tokens") as reply:
        assert reply.status == 200

    answer = submit(registry, payload)

    content = b"".join(DOCUMENTS[0].chunks())
    told = answer.element.findtext(f"{{{NAMESPACE}}}TaiLieuDaNhan/{{{NAMESPACE}}}SHA256")
    assert told == hashlib.sha256(content).hexdigest()
