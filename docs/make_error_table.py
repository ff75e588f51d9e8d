"""Write the table of docs/errors.md from the classes that the hub raises.

Run `python docs/make_error_table.py`; a test fails while the file is not up to date.
"""

from __future__ import annotations

import re
from pathlib import Path

from bus.core.errors import BusError, Recovery, all_errors
from bus.core.faults import UNVERIFIED_CODE, UNVERIFIED_REASON, UNVERIFIED_XROAD
from bus.core.registry import FaultSpelling
from bus.protocols.soap_xroad.faults import spell

PAGE = Path(__file__).with_name("errors.md")

_BLOCK = re.compile(r"(<!-- table errors -->\n).*?(<!-- end -->)", re.DOTALL)
_AGAIN = {
    Recovery.NEVER: "no",
    Recovery.LATER: "yes, the same bytes",
    Recovery.OPERATOR: "when an operator has acted",
}


def with_table(page: str) -> str:
    """The page with its table written anew."""
    return _BLOCK.sub(lambda block: block[1] + table() + block[2], page)


def table() -> str:
    """Every error, in the order of definition."""
    lines = [
        "| code | what it says | whose fault | send again? | X-Road to 7.7 | X-Road from 7.8 |",
        "|---|---|---|---|---|---|",
        _row(UNVERIFIED_CODE, UNVERIFIED_REASON, "sender", "no", UNVERIFIED_XROAD),
    ]
    lines.extend(_row_of(error) for error in all_errors())
    return "\n".join(lines) + "\n"


def _row_of(error: type[BusError]) -> str:
    reason = error.public_reason if error.reveals else f"{error.public_reason} †"
    return _row(error.code, reason, error.blame.value, _AGAIN[error.recovery], error.xroad)


def _row(code: str, reason: str, blame: str, again: str, xroad: str) -> str:
    snake = spell(xroad, FaultSpelling.SNAKE)
    return f"| `{code}` | {reason} | {blame} | {again} | `{xroad}` | `{snake}` |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
