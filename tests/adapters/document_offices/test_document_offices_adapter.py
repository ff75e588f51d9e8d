"""Documents reach the document systems of provinces as edXML, and are found there again."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from lxml import etree

from adapters.document_offices.adapter import DocumentOfficesAdapter
from adapters.document_offices.edxml import EDXML, document_id, write_edxml
from bus.kit.contract import (
    AccountRefused,
    Delivered,
    Disposition,
    PayloadRejected,
    RecipientUnavailable,
    Rejected,
    Retry,
    Submission,
    attachment_of_bytes,
)
from bus.kit.simulator import CLOSED_PATH
from tests.adapters.running_agencies import MANIFESTS, RunningAgency, submission

SERVICE = "VN/GOV/G22/vanban/PhatHanhVanBan/v1"
NGHE_AN, HUE = "VN/GOV/H41/vanban", "VN/GOV/H57/vanban"
SAMPLE = MANIFESTS["document_offices"].services[0].sample.read_bytes()
FILE = (
    '<vb:Attachment xmlns:vb="urn:lienthong:van-ban:1.0"><vb:AttachmentName>Công văn.pdf'
    "</vb:AttachmentName><vb:NoiDung>%s</vb:NoiDung></vb:Attachment></vb:PhatHanhVanBan>"
)
INCLUDED = '<x:Include xmlns:x="http://www.w3.org/2004/08/xop/include" href="cid:tep-1"/>'


@pytest.fixture
def offices(running_agency: Callable[[str], RunningAgency]) -> RunningAgency:
    return running_agency("document_offices")


@pytest.fixture
def adapter(offices: RunningAgency) -> Iterator[DocumentOfficesAdapter]:
    adapter = DocumentOfficesAdapter(offices.settings)
    yield adapter
    adapter.close()


def document(name: str, recipient: str = NGHE_AN) -> Submission:
    return submission(SERVICE, recipient, SAMPLE.replace(b"2026/09/01,4321", name.encode()))


def number(said: Disposition | None) -> str:
    assert isinstance(said, Delivered)
    assert said.element is not None
    return said.element[0].text or ""


def registered(offices: RunningAgency, name: str) -> list[dict[str, str]]:
    return [one for one in json.loads(offices.post("/_register")) if name in one["senderDocId"]]


def test_each_province_registers_the_document_in_its_own_register(
    offices: RunningAgency, adapter: DocumentOfficesAdapter
) -> None:
    adapter.deliver(document("each"))
    adapter.deliver(document("each", HUE))

    entries = registered(offices, "each")
    assert [one["office"] for one in entries] == ["H41", "H57"]
    assert [one["to"] for one in entries] == ["000.00.00.H41", "000.00.00.H57"]
    assert entries[0]["subject"] == "V/v kết nối, liên thông phần mềm quản lý văn bản"


def test_a_document_that_comes_twice_is_registered_twice_unless_it_is_asked_for(
    offices: RunningAgency, adapter: DocumentOfficesAdapter
) -> None:
    one = document("twice")
    assert adapter.find(one) is None

    first = number(adapter.deliver(one))

    assert number(adapter.find(one)) == first
    assert adapter.find(replace(one, recipient=document("twice", HUE).recipient)) is None
    assert number(adapter.deliver(one)) != first
    assert len(registered(offices, "twice")) == 2


def test_one_that_is_closed_is_tried_again_and_the_others_are_open(
    offices: RunningAgency, adapter: DocumentOfficesAdapter
) -> None:
    offices.post(CLOSED_PATH, {"office": "H41", "closed": True})
    try:
        with pytest.raises(RecipientUnavailable):
            adapter.deliver(document("closed"))
        with pytest.raises(RecipientUnavailable):
            adapter.probe(document("closed").recipient, 5.0)
        assert number(adapter.deliver(document("closed", HUE))).startswith("H57-")
    finally:
        offices.post(CLOSED_PATH, {"office": "H41", "closed": False})

    assert number(adapter.deliver(document("closed"))).startswith("H41-")


def test_a_refusal_for_good_is_told_with_its_code(
    offices: RunningAgency, adapter: DocumentOfficesAdapter
) -> None:
    with offices.fault("refuse"):
        assert adapter.deliver(document("refused")) == Rejected("23", "Đơn vị nhận đã bị khóa")


def test_an_account_that_is_not_known_is_the_hubs_trouble(offices: RunningAgency) -> None:
    adapter = DocumentOfficesAdapter({**offices.settings, "secret_key": "khác"})

    with pytest.raises(AccountRefused):
        adapter.deliver(document("account"))
    with pytest.raises(RecipientUnavailable):
        adapter.find(document("account"))
    adapter.close()


@pytest.mark.parametrize("mode", ["down", "garbage"])
def test_one_in_trouble_is_tried_again(
    mode: str, offices: RunningAgency, adapter: DocumentOfficesAdapter
) -> None:
    with offices.fault(mode), pytest.raises(RecipientUnavailable):
        adapter.deliver(document(mode))


def test_an_error_that_is_not_known_to_be_for_good_is_tried_again(
    adapter: DocumentOfficesAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        DocumentOfficesAdapter, "_said", lambda *_: {"ErrorCode": 20, "ErrorDesc": "bận"}
    )

    assert adapter.deliver(document("busy")) == Retry(reason="error 20")


def test_another_service_is_not_carried(adapter: DocumentOfficesAdapter) -> None:
    stranger = submission(SERVICE.replace("PhatHanh", "ThuHoi"), NGHE_AN, SAMPLE)

    for call in (adapter.deliver, adapter.find):
        with pytest.raises(PayloadRejected):
            call(stranger)


# --- edXML -------------------------------------------------------------------------------------


def with_file(content: str) -> bytes:
    return SAMPLE.replace(b"</vb:PhatHanhVanBan>", (FILE % content).encode())


@pytest.mark.parametrize("is_beside", [False, True])
def test_a_file_goes_along_zipped_wherever_its_content_stands(is_beside: bool) -> None:
    content = b"%PDF-1.7 n\xe1\xbb\x99i dung"
    text = INCLUDED if is_beside else base64.b64encode(content).decode()
    one = submission(SERVICE, NGHE_AN, with_file(text))
    if is_beside:
        file = attachment_of_bytes(content, content_id="tep-1", media_type="application/pdf")
        one = replace(one, attachments=(file,))

    written = write_edxml(one)

    encoded = etree.fromstring(written).findtext(f".//{{{EDXML}}}ContentTransferEncoded", "")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(encoded))) as archive:
        assert archive.namelist() == ["Công văn.pdf"]
        assert archive.read("Công văn.pdf") == content
    assert write_edxml(one) == written


def test_the_header_has_the_order_of_the_axis() -> None:
    one = submission(SERVICE, HUE, SAMPLE)

    header = etree.fromstring(write_edxml(one)).find(f".//{{{EDXML}}}MessageHeader")

    assert header is not None
    assert [etree.QName(child).localname for child in header] == [
        "From",
        "To",
        "DocumentId",
        "Code",
        "PromulgationInfo",
        "DocumentType",
        "Subject",
        "Content",
        "SignerInfo",
        "OtherInfo",
        "SteeringType",
    ]
    assert header.findtext(f"{{{EDXML}}}DocumentId") == document_id(one.element())
    assert header.findtext(f"{{{EDXML}}}To/{{{EDXML}}}OrganId") == "000.00.00.H57"


def test_content_that_is_no_base64_is_refused() -> None:
    with pytest.raises(PayloadRejected):
        write_edxml(submission(SERVICE, NGHE_AN, with_file("%%%=a")))
