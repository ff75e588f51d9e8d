"""Hand in files through an access point, with zeep, which sends no attachments by itself.

    python zeep_attachments.py --access-point http://127.0.0.1:8081 --client VN/GOV/H41/motcua \\
        --service VN/GOV/G12/dkdn/nopTaiLieu/v1 --journal 39-26-0000123 de-nghi.pdf dieu-le.pdf

`AttachingTransport` is the part to copy; it needs zeep alone. The receipt that comes back is an
attachment too: it is printed. Ends with 1 if the hub or the agency says no.
"""

from __future__ import annotations

import argparse
import mimetypes
import sys
import uuid
from pathlib import Path
from typing import Any

import zeep

PARTS = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
LT = {"lt": "urn:lienthong:message:1.0"}
ROOT_ID = "soap-part"


class AttachingTransport(zeep.Transport):
    """Sends the files that it was given beside the next message: SOAP with Attachments."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._parts: list[tuple[str, str, bytes]] = []

    def attach(self, content: bytes, media_type: str) -> str:
        """Take a file along; give what the message has to name it by."""
        content_id = f"{uuid.uuid4()}@example"
        self._parts.append((content_id, media_type, content))
        return f"cid:{content_id}"

    def post(self, address: str, message: bytes, headers: dict[str, str]) -> Any:
        """Post a message, and the files beside it."""
        if not self._parts:
            return super().post(address, message, headers)
        boundary = uuid.uuid4().hex
        parts = [(ROOT_ID, "text/xml; charset=UTF-8", message), *self._parts]
        self._parts = []
        lines = []
        for content_id, media_type, content in parts:
            head = f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-ID: <{content_id}>\r\n"
            lines += [head.encode(), b"\r\n", content, b"\r\n"]
        related = f'multipart/related; type="text/xml"; start="<{ROOT_ID}>"; boundary="{boundary}"'
        whole = b"".join((*lines, f"--{boundary}--\r\n".encode()))
        return super().post(address, whole, {**headers, "Content-Type": related})


def main() -> int:
    parser = argparse.ArgumentParser(description="Hand in files of a dossier.")
    for name in ("access-point", "client", "service", "journal"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()

    transport = AttachingTransport()
    client = zeep.Client(
        f"{arguments.access_point}/services/{arguments.service}?wsdl", transport=transport
    )
    documents = [
        {"Ten": file.name, "TepDinhKem": transport.attach(file.read_bytes(), _media_type(file))}
        for file in arguments.files
    ]
    names = (*PARTS, "serviceCode", "serviceVersion")
    service = dict(zip(names, arguments.service.split("/"), strict=True))
    asking = dict(zip(PARTS, arguments.client.split("/"), strict=True))
    headers = {
        "client": {**asking, "objectType": "SUBSYSTEM"},
        "service": {**service, "objectType": "SERVICE"},
        "id": str(uuid.uuid4()),
        "protocolVersion": "4.0",
    }
    operation = client.service[service["serviceCode"]]
    try:
        answer = operation(in_journal_no=arguments.journal, TaiLieu=documents, _soapheaders=headers)
    except zeep.exceptions.Fault as fault:
        code = fault.detail.findtext("lt:error/lt:code", "", LT)
        print(f"{code}: {fault.message}", file=sys.stderr)
        return 1
    told = answer.root.body  # an answer with attachments is a MessagePack around the usual one
    for document in told.TaiLieuDaNhan:
        print(f"{document.SoByte} bytes taken: {document.Ten}")
    receipt = answer.get_by_content_id(f"<{told.BienNhan.removeprefix('cid:')}>")
    print(receipt.content.decode())
    return 0


def _media_type(file: Path) -> str:
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"


if __name__ == "__main__":
    sys.exit(main())
