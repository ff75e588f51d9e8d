"""Verify a log in a process of its own, as an auditor does beside a running hub.

Within the hub's own process closing any file of the log would drop SQLite's locks (POSIX).
"""

import subprocess
import sys
from pathlib import Path

from bus.audit.folder import verify_log
from tests.hang_limits import HANG_SECONDS_MAX
from tests.log.log_stories import READ_KEY


def findings_elsewhere(folder: Path) -> list[str]:
    """What a verifier in another process finds."""
    command = [sys.executable, "-m", "tests.audit.verify_elsewhere", str(folder)]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=HANG_SECONDS_MAX,
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    for finding in verify_log(Path(sys.argv[1]), read_key=READ_KEY).findings:
        sys.stdout.write(f"{finding}\n")
