"""Write the lists of docs/security.md: the checks from the modules, the attacks from the corpus.

Run `python docs/make_security_tables.py`; a test fails while the file is not up to date.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("security.md")

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # the corpus is part of the tests, which are not installed

from tests.attacks.cases import NEW, SAME, Group  # noqa: E402
from tests.attacks.corpus import GROUPS  # noqa: E402

_CHECKS = re.compile(r"(<!-- checks ([\w.]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_ATTACKS = re.compile(r"(<!-- attacks -->\n).*?(<!-- end -->)", re.DOTALL)
_NUMBERED = re.compile(r"^ ?\((\d+)\) (.*?)(?=^ ?\(\d+\) |^\S|^$|\Z)", re.MULTILINE | re.DOTALL)


def with_tables(page: str) -> str:
    """The page with every list written anew."""
    page = _CHECKS.sub(lambda block: block[1] + checks(block[2]) + block[3], page)
    return _ATTACKS.sub(lambda block: block[1] + attacks() + block[2], page)


def checks(module: str) -> str:
    """The numbered checks of a module, as its docstring lists them."""
    found = _NUMBERED.findall(importlib.import_module(module).__doc__ or "")
    if not found:
        raise LookupError(f"{module} lists no checks")
    return "".join(f"{number}. {' '.join(text.split())}\n" for number, text in found)


def attacks() -> str:
    """Every class of attacks: how many there are, by what they are refused, an example."""
    lines = [
        "| class | cases | refused with | for instance | source |",
        "|---|---|---|---|---|",
        *(_row(group) for group in GROUPS),
    ]
    total = sum(len(group.cases) for group in GROUPS)
    return "\n".join(lines) + f"\n\n{total} cases in all.\n"


def _row(group: Group) -> str:
    codes = Counter(case.expected for case in group.cases)
    told = ", ".join(
        f"`{code}` {count}" for code, count in codes.most_common() if code not in (SAME, NEW)
    )
    harmless = codes[SAME] + codes[NEW]
    if harmless:
        told += f"; {harmless} change nothing and pass"
    example = group.cases[0].name
    cells = (group.name, str(len(group.cases)), told, example, group.source)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
