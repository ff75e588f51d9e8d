"""Print the demo for people: chapters, exchanges, refusals, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import MemberRegistry

WIDTH_MAX = 100
_LABEL_WIDTH = 13
_NAMED_MAX = 4
"""So many recipients of one kind are named; of more, the codes of their members."""


@dataclass(frozen=True, slots=True)
class ExchangePage:
    """One exchange as it is shown."""

    number: int
    client: SubsystemId
    service: ServiceId
    message_id: str
    seconds: float
    proofs: Sequence[str]
    facts: Mapping[str, str]
    """What the answer says, by Vietnamese label."""


@dataclass(frozen=True, slots=True)
class SubmissionPage:
    """One submission as it is shown: accepted, not yet delivered."""

    client: SubsystemId
    service: ServiceId
    message_id: str
    seconds: float
    recipients_count: int
    proofs: Sequence[str]
    facts: Mapping[str, str]
    """What is submitted, by Vietnamese label."""


@dataclass(frozen=True, slots=True)
class RefusalPage:
    """One refusal as it is shown."""

    title: str
    client: SubsystemId
    service: ServiceId
    code: str
    reason: str
    seconds: float
    proofs: Sequence[str]


class DemoPages:
    """Prints the story. Knows names and titles from routes.yaml."""

    def __init__(self, console: Console, registry: MemberRegistry) -> None:
        self._console = console
        self._registry = registry

    def chapter(self, title: str, paragraph: str) -> None:
        """A heading, and what happens under it."""
        self._console.print()
        self._console.print(Rule(Text(title, style="bold"), align="left", style="cyan"))
        self.say(paragraph)

    def say(self, paragraph: str) -> None:
        """A part of the story."""
        self._console.print(Padding(Text(paragraph), (0, 2), expand=False))

    def remark(self, paragraph: str) -> None:
        """What a page that was shown means."""
        self._console.print()
        self.say(paragraph)

    def exchange(self, page: ExchangePage) -> None:
        """A question and its answer, proved."""
        service = self._registry.services[page.service]
        grant = self._registry.grants[(page.client, page.service)]
        rows = [
            ("asks", self._who(page.client)),
            ("answers", self._who(page.service.provider)),
            ("may ask for", Text(grant.purpose)),
            ("message", _timed(page.message_id, page.seconds)),
            ("proved", _proofs(page.proofs)),
        ]
        answer = _grid([(label, Text(fact)) for label, fact in page.facts.items()], width=22)
        self._panel(
            f"{page.number}  {service.title}  ·  {service.id.service_code}",
            Group(_grid(rows), Rule(style="dim"), answer),
            style="green",
        )

    def submission(self, page: SubmissionPage) -> None:
        """What was accepted, and who promises to deliver it to whom."""
        service = self._registry.services[page.service]
        grant = self._registry.grants[(page.client, page.service)]
        rows = [
            ("submits", self._who(page.client)),
            ("to", Text(f"{page.recipients_count} subscribers")),
            ("may for", Text(grant.purpose)),
            ("message", _timed(page.message_id, page.seconds)),
            ("proved", _proofs(page.proofs)),
        ]
        facts = _grid([(label, Text(fact)) for label, fact in page.facts.items()], width=22)
        self._panel(
            f"{service.title}  ·  {service.id.service_code}",
            Group(_grid(rows), Rule(style="dim"), facts),
            style="green",
        )

    def deliveries(self, title: str, groups: Mapping[str, Sequence[SubsystemId]]) -> None:
        """What became of each recipient, by what became of it; few of them with their names."""
        rows = [
            (f"{len(recipients)} {label}", self._recipients(recipients))
            for label, recipients in groups.items()
            if recipients
        ]
        self._panel(title, _grid(rows, width=22), style="green")

    def _recipients(self, recipients: Sequence[SubsystemId]) -> Text:
        if len(recipients) > _NAMED_MAX:
            return Text(" ".join(one.member.member_code for one in recipients))
        return Text("\n").join(self._who(one) for one in recipients)

    def refusal(self, page: RefusalPage) -> None:
        """A question that got no further than the hub."""
        service = self._registry.services[page.service]
        rows = [
            ("asks", self._who(page.client)),
            ("asks for", Text(f"{service.title}  ·  {service.id}")),
            ("refused", Text.assemble((page.code, "bold red"), f"  {page.seconds * 1000:.0f} ms")),
            ("says", Text(page.reason)),
            ("proved", _proofs(page.proofs)),
        ]
        self._panel(page.title, _grid(rows), style="red")

    def findings(self, title: str, lines: Sequence[str], *, is_sound: bool) -> None:
        """What an auditor's program says."""
        body = Text("\n".join(lines))
        self._panel(title, body, style="green" if is_sound else "red")

    def _who(self, subsystem: SubsystemId) -> Text:
        name = self._registry.members[subsystem.member].name
        return Text.assemble((name, "bold"), f"  {subsystem}")

    def _panel(self, title: str, body: Group | Table | Text, *, style: str) -> None:
        heading = Text(title, style="bold")
        panel = Panel(body, title=heading, title_align="left", border_style=style)
        self._console.print(Padding(panel, (1, 2, 0, 2)))


def _grid(rows: Sequence[tuple[str, Text]], *, width: int = _LABEL_WIDTH) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(style="dim", min_width=width)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, text)
    return grid


def _timed(message_id: str, seconds: float) -> Text:
    return Text.assemble(message_id, "  ", (f"{seconds * 1000:.0f} ms", "bold"))


def _proofs(proofs: Sequence[str]) -> Text:
    return Text("\n").join(Text.assemble(("✓ ", "green"), (proof, "")) for proof in proofs)


def demo_console() -> Console:
    """A console of at most the width that reads well; plain where there is no terminal."""
    console = Console(highlight=False, emoji=False)
    if console.width > WIDTH_MAX or not console.is_terminal:
        console = Console(width=WIDTH_MAX, highlight=False, emoji=False)
    return console
