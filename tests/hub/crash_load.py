"""Load for a hub that dies under it: who was answered, who was not, and what the log says."""

from __future__ import annotations

import asyncio
import contextlib
import re
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bus.audit.checks.entry_checks import LogReport
from bus.audit.folder import verify_log
from bus.bench.signed_requests import http_request
from bus.core.exchange_leaves import DELIVERED
from bus.core.log.findings import Finding
from bus.core.log.leaf import Event, Leaf
from bus.core.log.merkle import hash_leaf
from bus.core.ports.message_log import StoredEntry
from bus.settings.hub import HubSettings
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.killed_hub import OPENING

CONNECTIONS = 16
_PROGRAM = Path(__file__).with_name("killed_hub.py")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"<xrd:id [^>]*>([^<]+)</xrd:id>")


@dataclass(frozen=True, slots=True)
class Message:
    """A signed request."""

    id: str
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that was read to its last byte."""

    message: Message
    status: int
    body: bytes = field(repr=False)


@dataclass(slots=True)
class Found:
    """What a load saw until its hub died, or its messages were used up."""

    told: list[Told] = field(default_factory=list)
    unanswered: list[Message] = field(default_factory=list)
    """Sent, at least in part; no whole answer came."""


class HubProcess:
    """A hub in a process of its own. Owns the process."""

    def __init__(
        self, settings: HubSettings, asked_file: Path, *, has_judge_process: bool = False
    ) -> None:
        beside = ["beside"] if has_judge_process else []
        self._process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(settings.file), str(asked_file), *beside],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == OPENING

    @property
    def process_id(self) -> int:
        return self._process.pid

    def port(self) -> int:
        """Wait until it takes requests."""
        return int(self._line())

    def kill(self) -> None:
        """SIGKILL, to this process alone."""
        self._process.kill()

    def stop(self) -> None:
        """End it as an operator does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(HANG_SECONDS_MAX) == 0

    def release(self) -> None:
        """Leave no process and no pipe behind, whatever happened."""
        self._process.kill()
        self._process.wait(HANG_SECONDS_MAX)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], HANG_SECONDS_MAX)
        assert ready, "the hub said nothing"
        line = self._process.stdout.readline()
        assert line, "the hub died; its errors stand above"
        return line.strip()


@contextlib.contextmanager
def hub_process(
    settings: HubSettings, asked_file: Path, *, has_judge_process: bool = False
) -> Iterator[HubProcess]:
    """A hub that lives at most as long as the block."""
    hub = HubProcess(settings, asked_file, has_judge_process=has_judge_process)
    try:
        yield hub
    finally:
        hub.release()


def load(
    port: int,
    messages: Iterator[Message],
    *,
    at_answer: int = 0,
    then: Callable[[], None] = lambda: None,
    after_seconds: float = 0.0,
) -> Found:
    """Send until the hub is gone or there are no more; call `then` a moment after an answer."""

    async def run() -> Found:
        found = Found()
        async with asyncio.timeout(HANG_SECONDS_MAX):
            clients = (_ask(port, messages, found, answered) for _ in range(CONNECTIONS))
            await asyncio.gather(*clients)
        return found

    def answered(count: int) -> None:
        if count == at_answer:
            asyncio.get_running_loop().call_later(after_seconds, then)

    return asyncio.run(run())


async def _ask(
    port: int, messages: Iterator[Message], found: Found, answered: Callable[[int], None]
) -> None:
    """One keep-alive connection in a closed loop."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return
    for message in messages:
        try:
            writer.write(http_request(message.raw))
            told = await _read_answer(reader, message)
        except (ConnectionError, asyncio.IncompleteReadError):
            found.unanswered.append(message)
            break
        found.told.append(told)
        answered(len(found.told))
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader, message: Message) -> Told:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    assert length is not None, head
    body = await reader.readexactly(int(length[1]))
    return Told(message, int(head[9:12]), body)


@dataclass(slots=True)
class LogWitness:
    """What the log of a dead hub says, read while it is verified."""

    report: LogReport = field(default_factory=LogReport)
    leaf_hashes: list[bytes] = field(default_factory=list, repr=False)
    received: Counter[str] = field(default_factory=Counter)
    """Received entries by message id."""
    delivered: Counter[str] = field(default_factory=Counter)
    """Delivered outcomes by message id."""
    open_ids: dict[int, str] = field(default_factory=dict)
    """Received entries without an outcome."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """Of outcomes."""
    pairs: dict[int, int] = field(default_factory=dict)
    """Index of each received entry that has an outcome, to that of the outcome."""
    last_start: int = 0
    last_received: int = 0
    _ids: dict[int, str] = field(default_factory=dict)

    def examine(self, entry: StoredEntry, leaf: Leaf, raw: bytes | None) -> list[Finding]:
        """Take note of one entry."""
        self.leaf_hashes.append(hash_leaf(entry.leaf))
        if leaf.event is Event.STARTED:
            self.last_start = entry.index
        if leaf.event is Event.RECEIVED:
            assert raw is not None
            found = _MESSAGE_ID.search(raw)
            assert found is not None
            self.last_received = entry.index
            self._ids[entry.index] = self.open_ids[entry.index] = found[1].decode()
            self.received[found[1].decode()] += 1
        if leaf.event is Event.OUTCOME:
            assert leaf.continues is not None
            assert leaf.verdict is not None
            self.open_ids.pop(leaf.continues)
            self.pairs[leaf.continues] = entry.index
            self.verdicts[leaf.verdict] += 1
            self.delivered[self._ids[leaf.continues]] += leaf.verdict == DELIVERED
        return []


def witness_log(settings: HubSettings) -> LogWitness:
    """Verify the whole log with every key, and tell what it says."""
    witness = LogWitness()
    key = SigningKey(settings.log.origin, read_ed25519_key(settings.log.signing_key))
    witness.report = verify_log(
        settings.log.folder,
        checkpoint_key=key.verifying_key,
        read_key=read_symmetric_key(settings.log.read_key),
        examine=witness.examine,
    )
    return witness
