"""Hold what the acts of the demo share: who plays, on which nation, and where it is printed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from bus.client.hub_client import HubClient
from bus.core.identifiers import ServiceId
from bus.core.registry import MemberRegistry
from bus.core.xml import parse_xml
from bus.kit.manifest import CITIZEN, RELATIVE
from bus.kit.shown_facts import ShownFact
from bus.sandbox.demo_cast import Cast
from bus.sandbox.demo_pages import DemoPages
from bus.sandbox.description import SandboxDescription
from bus.sandbox.sandbox_data import Story


class DemoFailed(Exception):
    """Something in the story did not come out as it must; the text says what."""


@dataclass(slots=True)
class Stage:
    """What the acts share."""

    pages: DemoPages
    registry: MemberRegistry
    described: SandboxDescription
    told: Story
    cast: Cast
    office: HubClient
    first_outcome: int = 0
    """Entry of the first answer."""

    @property
    def organ(self) -> str:
        """How the office's agency calls itself in its own numbers."""
        member = self.registry.members[self.cast.office.member]
        return member.organ_code or member.id.member_code

    @property
    def dossiers(self) -> str:
        """What the numbers of its dossiers begin with."""
        return self.registry.members[self.cast.office.member].organ_code_2016 or self.organ

    def sample(self, service: ServiceId) -> etree._Element:
        """The request of a service that the sandbox's data answer."""
        described = next(one for one in self.described.services if one.id == str(service))
        raw = Path(described.sample_request).read_bytes()
        return parse_xml(raw, bytes_max=len(raw))


def check_facts(
    told: Story, service: ServiceId, shown: tuple[ShownFact, ...], element: etree._Element
) -> None:
    """Raises DemoFailed: a fact that is shown is not what its manifest expects of the sample."""
    for fact in shown:
        expected = fact.expected.replace(CITIZEN, told.full_name)
        expected = expected.replace(RELATIVE, told.relative_name)
        if expected and fact.raw(element) != expected:
            raise DemoFailed(f"{service}: {fact.path} is not what was expected")


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """What it gives tells the seconds that the block took, once it has ended."""
    began = time.perf_counter()
    ended: list[float] = []
    yield lambda: ended[0]
    ended.append(time.perf_counter() - began)
