"""How long a test waits for what must happen.

The limit is there for what hangs, and for nothing else: on a machine that others use, everything
may take many times as long as on one that is idle. Whether something is fast, a benchmark says;
whether it comes before something else, a test tells by what it sees and not by a watch.
"""

from __future__ import annotations

HANG_SECONDS_MAX = 300.0
"""Less than a test may take at all (`timeout` in pyproject.toml), so that it can say what hung."""
