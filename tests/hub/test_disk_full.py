"""A real disk without room: nothing leaves the hub, nothing is lost, and room lets it go on."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import open_log_reader, verify_log
from bus.core import errors
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.leaf import Event, read_leaf
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.hub.running_hub import HttpReply, RunningHub, in_hub
from tests.hub.small_disks import DISK_BYTES, made_image, mounted
from tests.nation import SAMPLE, SmallNation, request

ROOM_BYTES = 4 * 1024 * 1024
"""What is free when a story begins."""
BLANKS = (100, 3_000, 90_000)
"""Small, middle and large messages, by turns: a full disk may have room for one and not another."""
REFUSED_MIN = 12
MESSAGES_MAX = 2_000


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "ext4":
        options = ["-o", "loop", str(made_image(tmp_path / "image"))]
    else:
        options = ["-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs"]
    with mounted(tmp_path / "disk", *options) as folder:
        yield folder


class Ballast:
    """A file that takes the room on a disk, and gives it back."""

    def __init__(self, disk: Path) -> None:
        self._file = disk / "ballast"

    def leave(self, free_bytes: int) -> None:
        """Take all the room but so much."""
        stat = os.statvfs(self._file.parent)
        taken_bytes = stat.f_bavail * stat.f_frsize - free_bytes
        with self._file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, taken_bytes)

    def take_rest(self) -> None:
        """Take the last byte of room."""
        with self._file.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def go(self) -> None:
        self._file.unlink()


def messages(nation: SmallNation) -> Iterator[bytes]:
    for number in range(MESSAGES_MAX):
        blanks = b"\n" * BLANKS[number % len(BLANKS)]
        body = SAMPLE.replace(b"\n  <p:Ma", blanks + b"<p:Ma", 1)
        yield request(nation, f"m-{number}", body=body)


async def post_until_full(
    running: RunningHub, nation: SmallNation
) -> tuple[dict[bytes, HttpReply], list[bytes]]:
    """Who was answered, and who was refused, until the disk has refused some."""
    answered: dict[bytes, HttpReply] = {}
    refused: list[bytes] = []
    for raw in messages(nation):
        reply = await running.post(raw)
        told = running.proved(reply, raw)
        if isinstance(told, VerifiedAnswer):
            answered[raw] = reply
        else:
            assert isinstance(told, VerifiedFault)
            assert (told.fault.code, told.receipt) == (errors.LogUnavailable.code, None)
            assert (reply.status, told.fault.is_retryable) == (503, True)
            refused.append(raw)
        if len(refused) == REFUSED_MIN:
            return answered, refused
    raise AssertionError("the disk was never full")


def verified(nation: SmallNation, disk: Path) -> LogReport:
    log = nation.settings.log
    key = SigningKey(log.origin, read_ed25519_key(log.signing_key))
    return verify_log(
        disk / "log",
        checkpoint_key=key.verifying_key,
        read_key=read_symmetric_key(log.read_key),
    )


def test_on_a_full_disk_nothing_leaves_and_room_lets_the_hub_go_on(
    nation: SmallNation, disk: Path
) -> None:
    ballast = Ballast(disk)

    async def story(running: RunningHub) -> int:
        ballast.leave(ROOM_BYTES)
        answered, refused = await post_until_full(running, nation)
        assert answered
        received = sum(leaf.event is Event.RECEIVED for leaf in running.leaves())
        # Whatever an agency was asked stands in the log, also where no room was left for more.
        assert len(running.agency.asked) == received >= len(answered)

        ballast.go()
        for raw in refused:
            assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        for raw, reply in answered.items():
            assert await running.post(raw) == reply
        asked = Counter(query.message_id for query in running.agency.asked)
        assert set(asked.values()) <= {1, 2}
        return len(answered) + len(refused)

    told = in_hub(nation, disk, story)

    report = verified(nation, disk)
    assert report.findings == []
    assert report.pending == 0
    assert report.events[Event.STOPPED] == 1
    assert report.signed_size == report.entries
    assert told == delivered(disk)


def test_a_hub_that_ends_on_a_full_disk_starts_again_when_there_is_room(
    nation: SmallNation, disk: Path
) -> None:
    ballast = Ballast(disk)
    answered: dict[bytes, HttpReply] = {}
    refused: list[bytes] = []

    async def fill(running: RunningHub) -> None:
        nonlocal answered, refused
        ballast.leave(ROOM_BYTES)
        answered, refused = await post_until_full(running, nation)

    async def go_on(running: RunningHub) -> None:
        for raw in refused:
            assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        for raw, reply in answered.items():
            assert await running.post(raw) == reply

    in_hub(nation, disk, fill)
    assert verified(nation, disk).findings == []
    ballast.take_rest()
    with pytest.raises(errors.LogUnavailable):
        in_hub(nation, disk, go_on)
    assert verified(nation, disk).findings == []
    ballast.go()
    in_hub(nation, disk, go_on)

    report = verified(nation, disk)
    assert report.findings == []
    assert report.pending == 0
    assert len(answered) + len(refused) == delivered(disk)


def delivered(disk: Path) -> int:
    """How many messages the log calls delivered."""
    with open_log_reader(disk / "log") as reader:
        return sum(read_leaf(entry.leaf).verdict == DELIVERED for entry in reader.entries())
