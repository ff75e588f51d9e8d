"""A disk without room for attachments: told for a while, nothing half done, and room helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bus.core.log.leaf import Event
from bus.log.files import ATTACHMENTS
from bus.protocols.mime.write import write_related
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from tests.hub.running_hub import RunningHub, opened
from tests.hub.sending_attachments import (
    audit,
    nation_with_attachments,
    pdf,
    post,
    proved,
    send,
    signed,
)
from tests.hub.small_disks import mounted
from tests.nation import SmallNation

DISK_BYTES = 4 * 1024 * 1024
LARGE = [pdf(bytes(6 * 1024 * 1024))]
SMALL = [pdf(bytes(1024 * 1024))]


@pytest.fixture
def taking(nation: SmallNation, tmp_path: Path) -> SmallNation:
    return nation_with_attachments(nation, tmp_path)


def test_a_spool_on_a_full_disk_refuses_for_a_while(taking: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> None:
        soap = signed(on_disk, LARGE)
        reply = await post(running, write_related(soap, LARGE))
        told = proved(running, reply, soap, LARGE)
        assert isinstance(told, VerifiedFault)
        assert (reply.status, told.fault.code) == (503, "attachment.spool-unavailable")
        assert running.hub.spool.bytes_in_use == 0
        found = await send(running, signed(on_disk, SMALL, "m-2"), SMALL)
        assert isinstance(found, VerifiedAnswer)
        running.agency.asked.clear()  # whoever holds an attachment holds its file

    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs") as disk:
        on_disk = replace(taking, settings=replace(taking.settings, spool=disk / "spool"))
        with opened(on_disk, tmp_path) as hub:
            hub.tell(story)
    assert audit(on_disk, tmp_path / "log") == []


def test_a_log_without_room_for_attachments_takes_no_message_with_them(
    taking: SmallNation, tmp_path: Path
) -> None:
    async def story(running: RunningHub) -> None:
        told = await send(running, signed(taking, LARGE), LARGE)
        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.receipt) == ("log.unavailable", None)
        assert not running.agency.asked
        # Nothing half done is left, and what has room passes, under the same id even.
        assert [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()] == []
        found = await send(running, signed(taking, SMALL), SMALL)
        assert isinstance(found, VerifiedAnswer)
        assert [leaf.event for leaf in running.leaves()[-2:]] == [Event.RECEIVED, Event.OUTCOME]

    folder = tmp_path / "log"
    folder.mkdir()
    stored = folder / ATTACHMENTS
    with mounted(stored, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"):
        with opened(taking, tmp_path) as hub:
            hub.tell(story)
        assert audit(taking, folder) == []
