"""Name the exit codes of every command, and tell errors on stderr with the right one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from bus.cli.shown import one_line, tell
from bus.core.errors import ConfigurationError, LogCorrupt, LogUnavailable

DONE = 0
FOUND = 1
"""Done, and something was found: a fault, a finding, a problem."""
COULD_NOT = 2
"""The command could not do its work, or was not told what it needs."""
LOG_UNFIT = 3
"""The message log cannot be written, or is damaged: the hub does not start on it."""

EXIT_CODES = "Exit codes: 0 done; 1 something was found; 2 could not, or bad configuration."
SERVE_EXIT_CODES = (
    "Exit codes: 0 ended as told; 1 another hub took over its log; 2 bad configuration; "
    "3 the message log cannot be written or is damaged."
)


def fail(message: str, *, code: int = COULD_NOT, has_lines: bool = False) -> NoReturn:
    """Say why on stderr, in a line unless it has more, and end with the code."""
    tell(message if has_lines else one_line(message), err=True)
    sys.exit(code)


@contextmanager
def reporting_errors() -> Iterator[None]:
    """Tell the errors that every command shares; anything else is a mistake of ours."""
    try:
        yield
    except ConfigurationError as error:
        for problem in error.problems:
            tell(one_line(str(problem)), err=True)
        sys.exit(COULD_NOT)
    except LogUnavailable as error:
        fail(f"The message log cannot be used: {error.detail}", code=LOG_UNFIT)
    except LogCorrupt as error:
        advice = "`lienthong log verify` tells where, unless an old copy was put back."
        fail(f"The message log is damaged: {error.detail}. {advice}", code=LOG_UNFIT)
