"""Attachments of 100 MB pass in bounded memory, and a kill in the midst of one loses nothing."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from time import monotonic, sleep

import pytest

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.client.hub_client import FaultReceived, HubClient, HubUnreachable, KnownHub
from bus.http.spool import Spool
from bus.kit.contract import attachment_of_file
from bus.log.files import ATTACHMENTS
from bus.protocols.mime.write import write_related
from bus.settings.service_form import TIMEOUT_SECONDS_MAX
from bus.trust.key_store import read_symmetric_key
from signing.attachments import Attachment
from signing.policy import DIGEST_SHA256
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.crash_load import HubProcess, hub_process
from tests.hub.remembering_sender import made_sender
from tests.hub.sending_attachments import allow_attachments
from tests.nation import CLIENT, LOOKUP, SmallNation, payload

MEBIBYTE = 1024 * 1024
LARGE_BYTES = 100 * MEBIBYTE
GROWTH_BYTES_MAX = 64 * MEBIBYTE
AT_ONCE = 3

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallNation, KnownHub]:
    sender = made_sender(tmp_path_factory.mktemp("large") / "nation")
    routes = sender.nation.settings.routes
    rule = "\n    attachments: {}\n    answer_attachments: {}"
    slow = allow_attachments(routes.read_text(), rule).replace(
        "limits:\n", f"limits:\n  request_read_seconds_max: {HANG_SECONDS_MAX:.0f}\n"
    )
    routes.write_text(
        slow.replace("timeout_seconds: 10", f"timeout_seconds: {TIMEOUT_SECONDS_MAX}")
    )
    return sender.nation, sender.known


@pytest.fixture
def hub(sending: tuple[SmallNation, KnownHub], tmp_path: Path) -> Iterator[HubProcess]:
    with hub_process(sending[0].settings, tmp_path / "asked") as one:
        yield one


@pytest.fixture(scope="module")
def large_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("content") / "large"
    piece = os.urandom(MEBIBYTE)
    with path.open("wb") as file:
        for number in range(LARGE_BYTES // MEBIBYTE):
            file.write(piece[number:] + piece[:number])
    return path


def client_of(sending: tuple[SmallNation, KnownHub], port: int, spool: Path) -> HubClient:
    nation, known = sending
    return HubClient(
        f"http://127.0.0.1:{port}/",
        nation.signers[CLIENT],
        CLIENT,
        known,
        spool=Spool(spool, bytes_max=2**40),
        answer_seconds_max=HANG_SECONDS_MAX,
    )


def part(path: Path) -> Attachment:
    return attachment_of_file(path, content_id="large@x", media_type="application/pdf")


def there_and_back(client: HubClient, path: Path) -> None:
    """Send a file and get it back beside the answer, proved."""
    sent = part(path)
    (back,) = client.call(LOOKUP, payload(), attachments=(sent,)).attachments
    digest = hashlib.sha256()
    for chunk in back.chunks():
        digest.update(chunk)
    assert digest.digest() == sent.digests[DIGEST_SHA256]


def memory_bytes(process_id: int, name: str) -> int:
    """`VmRSS`: what a process holds now; `VmHWM`: the most that it held."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def test_large_attachments_at_once_grow_the_hub_by_little(
    sending: tuple[SmallNation, KnownHub], hub: HubProcess, large_file: Path, tmp_path: Path
) -> None:
    client = client_of(sending, hub.port(), tmp_path / "client")
    small = tmp_path / "small"
    small.write_bytes(os.urandom(MEBIBYTE))
    there_and_back(client, small)
    Path(f"/proc/{hub.process_id}/clear_refs").write_text("5")  # the peak begins anew
    before = memory_bytes(hub.process_id, "VmRSS")

    began = monotonic()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = [threads.submit(there_and_back, client, large_file) for _ in range(AT_ONCE)]
        for one in done:
            one.result()

    grown = memory_bytes(hub.process_id, "VmHWM") - before
    print(
        f"{AT_ONCE} times {LARGE_BYTES} bytes there and back in {monotonic() - began:.1f} s: "
        f"the hub grew by {grown / MEBIBYTE:.1f} MiB"
    )
    assert grown < GROWTH_BYTES_MAX
    client.close()
    hub.stop()


def test_a_kill_in_the_midst_of_an_upload_leaves_a_log_in_order(
    sending: tuple[SmallNation, KnownHub], large_file: Path, tmp_path: Path
) -> None:
    nation, _ = sending
    folder = nation.settings.log.folder
    for moment in range(4):
        with hub_process(nation.settings, tmp_path / "asked") as hub:
            client = client_of(sending, hub.port(), tmp_path / "client")
            before = len(_files(folder))
            killer = threading.Thread(target=_kill_when, args=(hub, folder, moment, before))
            killer.start()
            with pytest.raises((HubUnreachable, FaultReceived)):
                _send_for_ever(client, large_file)
            killer.join()
            client.close()
        with hub_process(nation.settings, tmp_path / "asked") as hub:
            hub.port()
            hub.stop()
        keys = AuditKeys(read_key=read_symmetric_key(nation.settings.log.read_key))
        report = audit_log(folder, keys).report
        assert report.findings == []
        assert report.pending == 0
        assert not [one for one in _files(folder) if one.suffix]
        assert list(nation.settings.spool.iterdir()) == []


def _send_for_ever(client: HubClient, path: Path) -> None:
    while True:
        there_and_back(client, path)


def _files(folder: Path) -> list[Path]:
    return [one for one in (folder / ATTACHMENTS).rglob("*") if one.is_file()]


def _kill_when(hub: HubProcess, folder: Path, moment: int, before: int) -> None:
    """Kill while it spools, while it seals, when it has sealed, or while it answers."""
    deadline = monotonic() + HANG_SECONDS_MAX
    reached: Callable[[], bool] = (
        lambda: _spooled_bytes(hub) > LARGE_BYTES // 4,
        lambda: any(one.suffix == ".new" for one in _files(folder)),
        lambda: len([one for one in _files(folder) if one.suffix != ".new"]) > before,
        lambda: len([one for one in _files(folder) if not one.suffix]) > before + 1,
    )[moment]
    while monotonic() < deadline and not reached():
        sleep(0.001)
    hub.kill()


def _spooled_bytes(hub: HubProcess) -> int:
    """Bytes in files without a name that the hub holds open."""
    total = 0
    for link in Path(f"/proc/{hub.process_id}/fd").iterdir():
        try:
            name = str(link.readlink())
            if "/spool/" in name and "(deleted)" in name:
                total += link.stat().st_size
        except OSError:
            continue
    return total


def test_a_sender_that_says_nothing_holds_no_memory_and_no_spool(
    sending: tuple[SmallNation, KnownHub], hub: HubProcess, large_file: Path, tmp_path: Path
) -> None:
    port = hub.port()
    client = client_of(sending, port, tmp_path / "client")
    sent = part(large_file)
    message = write_related(client.sign(LOOKUP, payload(), attachments=(sent,)), [sent])
    head = (
        f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(message)}\r\n"
        f"Content-Type: {message.content_type}\r\n\r\n"
    )
    deadline = monotonic() + HANG_SECONDS_MAX
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(head.encode() + b"".join(islice(message, 12)))
        while _spooled_bytes(hub) == 0 and monotonic() < deadline:
            sleep(0.01)
        assert _spooled_bytes(hub) > 0
    while _spooled_bytes(hub) and monotonic() < deadline:
        sleep(0.01)

    assert _spooled_bytes(hub) == 0
    client.close()
    hub.stop()
