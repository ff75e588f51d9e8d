"""A service that an agency wrote with fastapi-xroad-soap answers through the kit's X-Road base."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lxml import etree

from bus.core import errors
from bus.core.identifiers import ServiceId
from bus.http.spool import open_spool
from bus.kit.agency_http import AgencyHttp
from bus.kit.clock import Deadline
from bus.kit.contract import Answer, Attachment, Query, attachment_of_bytes
from bus.kit.xroad_agency import XRoadAgency, XRoadForm
from bus.sandbox.leased_ports import free_port
from tests.hang_limits import HANG_SECONDS_MAX
from tests.interop.foreign_stacks import fastapi_xroad_soap_python
from tests.interop.judges import JOIN
from tests.nation import CLIENT

pytestmark = pytest.mark.interop

EXAMPLE = JOIN / "fastapi-xroad-soap"
NAMESPACE = "urn:example:hotich:1"
FORM = XRoadForm(
    header_order=("userId", "protocolVersion", "id", "service", "client"),
    soap_action="{service_code}",
    namespace="",
)
"""As docs/join.md tells it: no `issue`, an action by name, elements without namespace."""


@pytest.fixture(scope="module")
def python() -> Path:
    return fastapi_xroad_soap_python()


@pytest.fixture(scope="module")
def agency(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[XRoadAgency]:
    """The agency's service, running, and the hub's way to it."""
    folder = tmp_path_factory.mktemp("provider")
    with provider(python, folder / "said.txt") as address:
        http = AgencyHttp(spool=open_spool(folder / "spool", bytes_max=1 << 20))
        yield XRoadAgency(address=f"{address}/hotich", http=http, form=FORM)
        http.close()


@contextmanager
def provider(python: Path, said: Path) -> Iterator[str]:
    port = free_port()
    with said.open("wb") as output:
        process = subprocess.Popen(
            [python, EXAMPLE / "provider.py", "--port", str(port)], stdout=output, stderr=output
        )
        try:
            await_door(port, process, said)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(HANG_SECONDS_MAX)


def await_door(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + HANG_SECONDS_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        else:
            return


def query(code: str, content: str, *papers: bytes) -> Query:
    """A question to the service, with PDF files beside it."""
    return Query(
        service=ServiceId.parse(f"VN/GOV/G15/hotich/{code}/v1"),
        client=CLIENT,
        message_id="m-1",
        idempotency_key="key-1",
        user_id="VN0117",
        issue="H41-2026-1",
        purpose="test",
        payload=f'<t:{code} xmlns:t="{NAMESPACE}">{content}</t:{code}>'.encode(),
        timeout_seconds=5.0,
        attachments=tuple(pdf(place, paper) for place, paper in enumerate(papers)),
    )


def pdf(place: int, content: bytes) -> Attachment:
    """A paper; its id ends as a file name does, for the service looks at that."""
    return attachment_of_bytes(
        content, content_id=f"paper-{place}@example.pdf", media_type="application/pdf"
    )


def ask(agency: XRoadAgency, asked: Query) -> Answer:
    return agency.call(asked, deadline=Deadline.after(asked.timeout_seconds))


def test_it_answers_in_the_namespace_of_the_hubs_schema(agency: XRoadAgency) -> None:
    answer = ask(agency, query("TraCuuKhaiSinh", "<t:So>12</t:So>"))

    expected = (
        f'<a:TraCuuKhaiSinhResponse xmlns:a="{NAMESPACE}"><a:Ten>Nguyễn An</a:Ten>'
        "<a:NoiDangKy>Phường Cửa Lò</a:NoiDangKy></a:TraCuuKhaiSinhResponse>"
    )
    assert told(etree.fromstring(expected)) == told(answer.element)


def told(element: etree._Element) -> list[tuple[object, str | None]]:
    return [(one.tag, one.text) for one in element.iter()]


def test_its_fault_goes_on_in_its_own_words(agency: XRoadAgency) -> None:
    with pytest.raises(errors.ServiceFault) as caught:
        ask(agency, query("TraCuuKhaiSinh", "<t:So>99</t:So>"))

    assert "No such entry" in str(vars(caught.value))


def test_what_does_not_follow_its_model_is_its_fault_too(agency: XRoadAgency) -> None:
    with pytest.raises(errors.ServiceFault):
        ask(agency, query("TraCuuKhaiSinh", "<t:Khac>12</t:Khac>"))


def test_a_paper_goes_there_and_comes_back(agency: XRoadAgency) -> None:
    paper = b"%PDF-1.7\r\n\x00\xff" + bytes(range(256)) * 40

    answer = ask(agency, query("NopGiayTo", "<t:TepTin>cid:paper-0@example.pdf</t:TepTin>", paper))

    assert str(len(paper)) == answer.element.findtext(f"{{{NAMESPACE}}}KichThuoc")
    (copy,) = answer.attachments
    # It travelled in base64, and is what it was.
    assert dict(copy.headers)["Content-Transfer-Encoding"] == "binary"
    assert paper == b"".join(copy.chunks())
    assert f"cid:{copy.content_id}" == answer.element.findtext(f"{{{NAMESPACE}}}BanSao")
