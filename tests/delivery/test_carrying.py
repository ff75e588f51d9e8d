"""Which adapters carry what, who signs for it, and which method an adapter has to have."""

from __future__ import annotations

import pytest

from bus.core.identifiers import MemberId
from bus.core.registry import MemberRegistry
from bus.delivery.carrying import (
    adapters_named,
    adapters_of,
    services_carried,
    signing_members,
    what_adapter_lacks,
)
from bus.kit.contract import Adapter, Answer, Delivered, Disposition, Query, Submission, overrides
from bus.settings.routes import parse_registry

ROUTES = """\
instance: VN
hub: VN/GOV/G22/hub
members:
  - {id: VN/GOV/G22, name: A, subsystems: [hub, van]}
  - {id: VN/GOV/H14, name: B, subsystems: [mot]}
  - {id: VN/GOV/H26, name: C, subsystems: [mot, van]}
services:
  - {id: VN/GOV/G22/van/hoi/v1, title: a, adapter: asked, schema: a.xsd, mode: query,
     timeout_seconds: 1}
  - {id: VN/GOV/H26/mot/nop/v1, title: a, schema: a.xsd, mode: submission, timeout_seconds: 1,
     repeats: asked}
  - {id: VN/GOV/G22/van/bao/v1, title: a, schema: a.xsd, mode: submission, timeout_seconds: 1,
     recipients: subscribers}
grants: []
recipients:
  - {subsystem: VN/GOV/H26/mot, adapter: desk}
  - {subsystem: VN/GOV/H26/van, adapter: office}
  - {subsystem: VN/GOV/H14/mot, delivery: mailbox}
subscriptions:
  - {event: VN/GOV/G22/van/bao/v1, subscribers: [VN/GOV/H26/van, VN/GOV/H14/mot], purpose: p,
     legal_basis: l}
"""


class OnlyAnswers(Adapter):
    def answer(self, query: Query) -> Answer:
        return Answer(query.element())


class OnlyDelivers(Adapter):
    def deliver(self, submission: Submission) -> Disposition:
        return Delivered()


class Remembers(OnlyDelivers):
    def find(self, submission: Submission) -> Delivered | None:
        return None


@pytest.fixture(scope="module")
def registry() -> MemberRegistry:
    return parse_registry(ROUTES.encode(), file="routes.yaml")


def carried(adapter: str, registry: MemberRegistry) -> list[str]:
    return [service.id.service_code for service in services_carried(adapter, registry)]


def test_adapters_are_named_by_services_and_by_recipients(registry: MemberRegistry) -> None:
    assert adapters_named(registry) == {"asked", "desk", "office"}
    assert carried("asked", registry) == ["hoi"]
    assert carried("desk", registry) == ["nop"]
    assert carried("office", registry) == ["bao"]
    assert [adapters_of(one, registry) for one in registry.services.values()] == [
        {"asked"},
        {"desk"},
        {"office"},
    ]


def test_who_fetches_its_messages_signs_for_itself(registry: MemberRegistry) -> None:
    assert signing_members(registry) == {
        MemberId.parse("VN/GOV/G22"),
        MemberId.parse("VN/GOV/H26"),
    }


@pytest.mark.parametrize(
    ("name", "adapter", "missing"),
    [
        ("asked", OnlyAnswers, []),
        ("asked", Remembers, ["answer"]),
        ("office", OnlyDelivers, []),
        ("office", OnlyAnswers, ["deliver"]),
        ("desk", OnlyDelivers, ["find"]),
        ("desk", OnlyAnswers, ["deliver", "find"]),
        ("desk", Remembers, []),
        ("nobody", Adapter, []),
    ],
)
def test_an_adapter_has_what_its_services_need(
    name: str, adapter: type[Adapter], missing: list[str], registry: MemberRegistry
) -> None:
    told = [message for _, message in what_adapter_lacks(adapter, name, registry)]

    assert told == [
        f"the adapter {name} has no method {method}, which this service needs" for method in missing
    ]


@pytest.mark.parametrize("method", ["answer", "deliver", "find", "probe"])
def test_what_an_adapter_does_not_carry_is_a_mistake_of_the_hub(method: str) -> None:
    assert not overrides(Adapter, method)
    call = getattr(Adapter({}), method)

    with pytest.raises(NotImplementedError, match="Adapter"):
        call(*[None] * (2 if method == "probe" else 1))
