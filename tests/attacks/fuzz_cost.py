"""Look for XML that costs its reader more than its bytes are worth: `make fuzz`.

    python -m tests.attacks.fuzz_cost --seconds 120

Hypothesis builds a piece of XML, which is repeated with new names until it is large, and put
somewhere into a message, an answer or an agency's reply. Processor time is compared with what the
parser alone needs for as many bytes in the same run, so that a slow or a busy machine tells the
same; memory with the bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from lxml import etree

from bus.core.errors import BusError
from bus.core.pipeline import decide
from bus.http.client import AgencyReply
from bus.kit.soap_agency import read_soap_reply
from bus.protocols.soap_xroad.parse import parse
from bus.protocols.soap_xroad.read_answer import AnswerRejected, read_answer
from bus.protocols.soap_xroad.verify_answer import verify_recorded
from tests.attacks.fuzz import SignedAnswers, signed_answers
from tests.attacks.shapes import CONTENTS, PLACES, Shape, numbered, source_of
from tests.attacks.source import Edit, at_end, with_attribute
from tests.attacks.valid_messages import corpus_nation, valid_messages
from tests.nation import NOW, SmallNation

TIMES_PARSE_MAX = 40
"""Processor time, by that of the parser for as many bytes of small elements."""
SECONDS_FLOOR = 0.25
"""Below this nothing is told by comparing."""
MEMORY_PER_BYTE_MAX = 128
"""An element is four bytes at least, and takes some hundred."""
MEMORY_FLOOR = 48 * 1024 * 1024
SIZES = (30_000, 300_000, 1_000_000)
_PLAIN = b"<a b='c'/>"
_PEAK_RESET = "5"
"""Written to clear_refs, it makes the peak what is held now: proc(5)."""


# --- what is made ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grown:
    """A piece that is repeated at a place of a message."""

    piece: bytes = field(repr=True)
    """A `#` in it is another name each time."""
    place: str
    size: int

    def edit(self, raw: bytes) -> Edit:
        content = numbered(self.piece)(self.size)
        source = source_of(raw)
        span = PLACES[self.place](source)
        if self.piece.startswith(b" "):
            return with_attribute(source, span, content)
        return at_end(span, b"<a>%s</a>" % content)


_NAME = st.sampled_from([b"a", b"#", b"b:#", b"b:a"])
_VALUE = st.sampled_from([b"", b"#", b"urn:#", b"&lt;&#9;", b"a b c", b"QUJD" * 8])
_ATTRIBUTE = st.builds(
    b" %s='%s'".__mod__,
    st.tuples(
        st.sampled_from([b"#", b"Id", b"ID", b"xml:id", b"xmlns", b"xmlns:#", b"xmlns:b"]), _VALUE
    ),
)
_TEXT = st.sampled_from(
    [
        b"t",
        b"&amp;",
        b"&#13;",
        b"\n",
        b"<![CDATA[x]]>",
        b"<!--x-->",
        b"<?x?>",
        b"=",
        b"\xe1\xba\xbf",
    ]
)


def _element(content: bytes, name: bytes, attributes: list[bytes]) -> bytes:
    declared = b" xmlns:b='urn:b'" if name.startswith(b"b:") else b""
    own = b"".join(dict.fromkeys(attributes))
    if b"xmlns:b=" in own:
        declared = b""
    return b"<%s%s%s>%s</%s>" % (name, declared, own, content, name)


_PIECES = st.recursive(
    _TEXT,
    lambda inner: st.builds(
        _element,
        st.lists(inner, max_size=3).map(b"".join),
        _NAME,
        st.lists(_ATTRIBUTE, max_size=4, unique_by=lambda one: one.partition(b"=")[0]),
    ),
    max_leaves=6,
)
_IN_A_TAG = st.sampled_from([b" #=''", b" xmlns:#='b'", b" xmlns:#='#'", b" xml:#='&lt;'"])
GROWN = st.builds(Grown, _PIECES | _IN_A_TAG, st.sampled_from(list(PLACES)), st.sampled_from(SIZES))
KINDS = st.builds(Shape, st.sampled_from(list(CONTENTS)), st.sampled_from(list(PLACES)))


# --- what it may cost --------------------------------------------------------------------------


def parse_seconds(size: int) -> float:
    """What the parser alone takes for so many bytes, now and here."""
    raw = b"<a>%s</a>" % (_PLAIN * (size // len(_PLAIN)))
    start = time.thread_time()
    etree.fromstring(raw, etree.XMLParser())
    return time.thread_time() - start


@contextlib.contextmanager
def bounded(size: int) -> Any:
    """Fails if what is done within takes more time or memory than so many bytes are worth."""
    before = _held()
    # What other tests left in this process is not what the bytes cost: no collector looks at it.
    gc.freeze()
    try:
        start = time.thread_time()
        yield
        seconds = time.thread_time() - start
    finally:
        gc.unfreeze()
    grown = _peak() - before
    most = max(SECONDS_FLOOR, TIMES_PARSE_MAX * parse_seconds(size))
    assert seconds <= most, f"{seconds:.2f} s of processor time for {size} bytes"
    memory = max(MEMORY_FLOOR, MEMORY_PER_BYTE_MAX * size)
    assert grown <= memory, f"{grown} bytes of memory for {size} bytes"


def _held() -> int:
    """What is held; from now on the peak is counted from there."""
    with contextlib.suppress(OSError):  # elsewhere than on Linux, or where it is forbidden
        Path("/proc/self/clear_refs").write_text(_PEAK_RESET, encoding="ascii")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(key: str) -> int:
    file = Path("/proc/self/status")
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)


# --- the doors ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Doors:
    """Everything that reads what a stranger, an agency or a folder brings."""

    nation: SmallNation
    request: bytes
    answers: SignedAnswers

    def requests(self, *edits: Callable[[bytes], Edit]) -> None:
        """The hub and the access point: a message whose sender is not proved."""
        raw = self._with(self.request, edits)
        with bounded(len(raw)):
            decide(raw, parse, self.nation.rules, NOW)

    def answered(self, *edits: Callable[[bytes], Edit]) -> None:
        """A sender, an access point and an audit: an answer of which nobody knows whose it is."""
        raw = self._with(self.request, edits)
        with bounded(len(raw)), contextlib.suppress(AnswerRejected):
            read_answer(raw)
            verify_recorded(raw, self.answers.asked, self.answers.known, NOW)

    def replies(self, *edits: Callable[[bytes], Edit]) -> None:
        """The adapter of a SOAP service: what an agency replies."""
        raw = self._with(self.request, edits)
        with bounded(len(raw)), contextlib.suppress(BusError):
            read_soap_reply(AgencyReply(200, raw, "text/xml"))

    @staticmethod
    def _with(raw: bytes, edits: tuple[Callable[[bytes], Edit], ...]) -> bytes:
        return source_of(raw).edited(*(edit(raw) for edit in edits))


def doors(nation: SmallNation) -> Doors:
    """The doors of a nation under the authority of the corpus."""
    request = next(
        one.raw for one in valid_messages().values() if b"BinarySecurityToken" in one.raw
    )
    decide(request, parse, nation.rules, NOW)  # what is compiled once is no cost of a message
    return Doors(nation, request, signed_answers(nation, request))


def hold(place: Doors, grown: Grown) -> None:
    """Nothing that is made so costs too much at any door."""
    for door in (place.requests, place.answered, place.replies):
        door(grown.edit)


def main() -> int:
    """Fuzz for a time; 1 if something cost too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="For how long.")
    end = time.monotonic() + parser.parse_args().seconds
    rounds = 0
    with tempfile.TemporaryDirectory() as folder:
        place = doors(corpus_nation(Path(folder)))

        @settings(
            max_examples=100,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(GROWN)
        def fuzz(grown: Grown) -> None:
            if time.monotonic() < end:
                hold(place, grown)

        while time.monotonic() < end:
            try:
                seed(time.time_ns())(fuzz)()
            except AssertionError as error:
                print(f"NOT HELD: {error}", *getattr(error, "__notes__", ()), file=sys.stderr)
                return 1
            rounds += 100
    print(f"cost: {rounds} shapes, none of which cost too much")
    return 0


if __name__ == "__main__":
    sys.exit(main())
