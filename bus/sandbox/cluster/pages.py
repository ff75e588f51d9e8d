"""Show how a cluster fares, for people: a line for each strike, then accounts and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from bus.audit.checks.conservation import DeliveryClass, equation
from bus.sandbox.cluster.checking import CheckedLog, ClusterVerdict
from bus.sandbox.cluster.story import ClusterProgress, ClusterStory, ClusterWatcher
from bus.sandbox.cluster.striking import StrikeEvent

_SHOWN_MAX = 20
"""So many lost messages or findings are named."""


class ClusterPages:
    """Prints while it happens, and what came of it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.events: list[StrikeEvent] = []
        self._status: Status | None = None

    @contextmanager
    def watching(self) -> Iterator[ClusterWatcher]:
        """Whom to tell what happens; on a terminal a line below says how far it is."""
        if self._console.is_terminal:
            with self._console.status("") as self._status:
                yield ClusterWatcher(self._say, self._event, self._progress)
        else:
            yield ClusterWatcher(self._say, self._event, self._progress)
        self._status = None

    def _say(self, what: str) -> None:
        self._console.print(Text(f"  {what}", style="cyan"))

    def _event(self, event: StrikeEvent) -> None:
        self.events.append(event)
        line = Table.grid(padding=(0, 2))
        line.add_column(justify="right", min_width=9, style="dim")
        line.add_column(overflow="fold")
        line.add_row(f"{event.seconds:.1f} s", Text(event.what))
        self._console.print(line)

    def _progress(self, progress: ClusterProgress) -> None:
        if self._status is None:
            return
        text = f"{progress.sent:,} sent, {progress.told:,} accepted or answered"
        if progress.under_way is not None:
            text += f", {progress.under_way:,} deliveries to be made"
        self._status.update(text)

    def verdict(self, story: ClusterStory) -> None:
        """Accounts for each recipient, then each log, then whether anything was lost."""
        told, verdict = story.told, story.verdict
        self._console.print(_accounts(verdict))
        for log in verdict.logs:
            self._console.print(_log_panel(log))
        lines = [
            f"{told.sent:,} sent: {len(told.accepted):,} accepted, {len(told.answered):,} answered",
            f"bytes were sent again {told.again:,} times, until a hub told what became of them",
            f"{len(verdict.lost):,} lost",
            f"{len(verdict.closed_twice):,} closed twice, {verdict.unclosed:,} left open",
            *verdict.lost[:_SHOWN_MAX],
            *verdict.closed_twice[:_SHOWN_MAX],
        ]
        if verdict.untold:
            lines.append(f"{verdict.untold:,} stand in a log though nobody was told")
        lines += [f"{count:,} were refused: {code}" for code, count in told.refused.items()]
        title = "Nothing was lost" if verdict.is_sound else "Something is wrong"
        style = "green" if verdict.is_sound else "red"
        body = Text("\n".join(lines))
        self._console.print(Panel(body, title=title, title_align="left", border_style=style))


def _accounts(verdict: ClusterVerdict) -> Table:
    table = Table(title="Deliveries of all logs", title_justify="left")
    table.add_column("recipient")
    kinds = [kind for kind in DeliveryClass if any(c[kind] for c in verdict.by_recipient.values())]
    for kind in kinds:
        table.add_column(kind.value, justify="right")
    for recipient, counts in verdict.by_recipient.items():
        table.add_row(Text(recipient), *(f"{counts[kind]:,}" for kind in kinds))
    return table


def _log_panel(log: CheckedLog) -> Panel:
    body = "\n".join(
        [
            f"{log.entries:,} entries, root {log.root[:32]}…, begun {log.starts:,} times",
            equation(log.accounts.totals),
            *(log.findings[:_SHOWN_MAX] or ("nothing was found: the log is sound",)),
        ]
    )
    style = "red" if log.findings else "green"
    title = f"lienthong log verify  ·  {log.origin}"
    return Panel(Text(body), title=title, title_align="left", border_style=style)


def story_as_json(story: ClusterStory, events: list[StrikeEvent]) -> dict[str, Any]:
    """The same for programs."""
    told, verdict = story.told, story.verdict
    return {
        "seconds": round(story.seconds, 1),
        "is_sound": verdict.is_sound,
        "sent": told.sent,
        "accepted": len(told.accepted),
        "answered": len(told.answered),
        "sent_again": told.again,
        "told_by_other_hub": told.told_by_other,
        "refused": dict(told.refused),
        "lost": list(verdict.lost),
        "closed_twice": list(verdict.closed_twice),
        "left_open": verdict.unclosed,
        "untold": verdict.untold,
        "recipients": {name: _by_kind(one) for name, one in verdict.by_recipient.items()},
        "logs": [
            {
                "origin": log.origin,
                "entries": log.entries,
                "root": log.root,
                "starts": log.starts,
                "deliveries": _by_kind(log.accounts.totals),
                "findings": list(log.findings),
            }
            for log in verdict.logs
        ],
        "events": [{"seconds": round(one.seconds, 1), "what": one.what} for one in events],
    }


def _by_kind(counts: Counter[DeliveryClass]) -> dict[str, int]:
    return {kind.value: counts[kind] for kind in DeliveryClass}
