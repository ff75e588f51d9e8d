"""What programs under load say of themselves."""

from __future__ import annotations

import json
import subprocess
import sys

HELD_BYTES = 300 * 1024 * 1024


def test_a_program_tells_its_own_memory_and_not_that_of_who_started_it() -> None:
    held = b"x" * HELD_BYTES

    said = subprocess.run(
        [sys.executable, "-c", "from bus.bench.programs import say_last_words; say_last_words()"],
        capture_output=True,
        check=True,
    )

    assert 1_000_000 < json.loads(said.stdout)["rss_bytes_max"] < len(held)
