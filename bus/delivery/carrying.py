"""Say which services an adapter has to carry by the routes, and what it lacks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bus.core.identifiers import MemberId, ServiceId, SubsystemId
from bus.core.registry import MemberRegistry, RecipientRule, Repeats, Service
from bus.kit.contract import Adapter, overrides


def adapters_named(registry: MemberRegistry) -> set[str]:
    """Every adapter that carries a service or reaches a recipient."""
    named = {service.adapter for service in registry.services.values()}
    return {*named, *registry.recipients.values()} - {""}


def adapters_here(registry: MemberRegistry, elsewhere: Collection[str]) -> set[str]:
    """Every adapter that the hub itself needs: those that are not `elsewhere`."""
    return adapters_named(registry) - set(elsewhere)


def signing_members(registry: MemberRegistry, elsewhere: Collection[str] = ()) -> set[MemberId]:
    """Who needs a key here: who answers for a service, and to whom an adapter brings something,
    unless it is `elsewhere`."""
    answering = {
        service.id.provider.member
        for service in registry.services.values()
        if not _is_done_elsewhere(service, registry, elsewhere)
    }
    return answering | {
        one.member
        for one, adapter in registry.recipients.items()
        if adapter and adapter not in elsewhere
    }


def _is_done_elsewhere(
    service: Service, registry: MemberRegistry, elsewhere: Collection[str]
) -> bool:
    adapters = adapters_of(service, registry)
    return bool(adapters) and adapters <= set(elsewhere)


def services_carried(adapter: str, registry: MemberRegistry) -> Iterator[Service]:
    """The services whose messages an adapter gets."""
    for service in registry.services.values():
        if adapter in adapters_of(service, registry):
            yield service


def adapters_of(service: Service, registry: MemberRegistry) -> set[str]:
    """Every adapter that messages to a service may go to."""
    rule = service.submission.recipients if service.submission else RecipientRule.PROVIDER
    if rule is RecipientRule.PROVIDER:
        return {service.adapter or registry.recipients[service.id.provider]} - {""}
    return {registry.recipients[one] for one in registry.subscriptions[service.id]} - {""}


def adapter_reaching(recipient: str, service: str, registry: MemberRegistry) -> str:
    """The adapter that brings messages to a service to one of its recipients, by the routes of
    today; empty: there is none."""
    known = registry.services.get(ServiceId.parse(service))
    if known is not None and str(known.id.provider) == recipient and known.adapter:
        return known.adapter
    return registry.recipients.get(SubsystemId.parse(recipient), "")


def recipients_elsewhere(registry: MemberRegistry, elsewhere: Collection[str]) -> frozenset[str]:
    """Subsystems that adapters whose workers are elsewhere reach."""
    providers = {
        str(one.id.provider) for one in registry.services.values() if one.adapter in elsewhere
    }
    return frozenset(
        providers
        | {str(one) for one, adapter in registry.recipients.items() if adapter in elsewhere}
    )


def what_adapter_lacks(
    adapter: type[Adapter], name: str, registry: MemberRegistry
) -> Iterator[tuple[Service, str]]:
    """The first service for which a method is missing, and a sentence that says so."""
    lacking: set[str] = set()
    for service in services_carried(name, registry):
        for method in _methods_for(service):
            if method not in lacking and not overrides(adapter, method):
                lacking.add(method)
                yield (
                    service,
                    f"the adapter {name} has no method {method}, which this service needs",
                )


def _methods_for(service: Service) -> Iterator[str]:
    if service.submission is None:
        yield "answer"
        return
    yield "deliver"
    if service.submission.repeats is Repeats.ASKED:
        yield "find"
