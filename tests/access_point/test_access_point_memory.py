"""Attachments pass an access point piece by piece."""

from __future__ import annotations

import http.client
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bus.kit.contract import Answer, Query, attachment_of_file
from bus.protocols.mime.write import RelatedMessage, write_related
from bus.sandbox.leased_ports import free_port
from tests.access_point.running_access_point import plain_request, served_hub, write_settings
from tests.access_point.test_killed_access_point import process
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import answer_well
from tests.nation import make_small_nation

MIB = 1024 * 1024
ATTACHMENT_BYTES = 48 * MIB
GROWTH_BYTES_MAX = 20 * MIB


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever held. proc(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def post(port: int, message: RelatedMessage) -> tuple[int, int]:
    """Status and size of the reply to a message that is sent and read piece by piece."""
    with closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=HANG_SECONDS_MAX)
    ) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Type", message.content_type)
        connection.putheader("Content-Length", str(len(message)))
        connection.endheaders()
        for piece in message:
            connection.send(piece)
        reply = connection.getresponse()
        count = 0
        while piece := reply.read(MIB):
            count += len(piece)
        return reply.status, count


def test_a_large_attachment_goes_there_and_back_and_is_never_in_memory(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    nation = make_small_nation(tmp_path / "nation", now=now)
    (tmp_path / "scan").write_bytes(bytes(ATTACHMENT_BYTES))
    scan = attachment_of_file(tmp_path / "scan", content_id="scan-1", media_type="image/tiff")
    port = free_port()

    def answer_with_the_same(query: Query) -> Answer:
        return Answer(answer_well(query).element, query.attachments)

    with served_hub(nation, tmp_path / "hub") as hub:
        hub.clock.now = now
        hub.agency.script = answer_with_the_same
        listen = {"host": "127.0.0.1", "port": port}
        settings = write_settings(nation, tmp_path / "point", hub.url, listen=listen)
        with process(settings) as running:
            at_rest = peak_bytes(running.pid)
            status, count = post(port, write_related(plain_request("large-1"), [scan]))
            grown = peak_bytes(running.pid) - at_rest

    assert status == 200
    assert count > ATTACHMENT_BYTES
    assert grown < GROWTH_BYTES_MAX
