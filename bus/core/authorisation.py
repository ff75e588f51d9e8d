"""Decide whether a verified sender may use a service. No grant, no passage."""

from __future__ import annotations

from dataclasses import dataclass

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.mailbox_services import find_mailbox_service, is_mailbox_service, mailbox_grant
from bus.core.metaservices import find_metaservice, is_metaservice, metaservice_grant
from bus.core.registry import Grant, MemberRegistry, Service
from bus.core.verification import VerifiedEnvelope
from signing.quick_init import quick_init


@quick_init
@dataclass(frozen=True, slots=True)
class AuthorisedMessage:
    """A message whose sender holds a grant for the service. Made by `authorise` only."""

    verified: VerifiedEnvelope
    service: Service
    grant: Grant


def authorise(verified: VerifiedEnvelope, registry: MemberRegistry) -> AuthorisedMessage:
    """Find the service and the sender's grant for it.

    Raises SecurityServerInvalid, RecipientUnknown, RouteSuspended, ServiceUnknown, AccessDenied,
    ServiceDisabled.
    """
    _check_security_server(verified, registry)
    asked = verified.envelope.service
    provider = registry.members.get(asked.provider.member)
    if provider is None:
        raise errors.RecipientUnknown(f"member {asked.provider.member} is not registered")
    if provider.maintenance and asked.provider != registry.hub:
        raise errors.RouteSuspended(public_detail=provider.maintenance)
    service = find_service(asked, registry)
    grant = find_grant(verified.envelope.client, service, registry)
    if grant is None:
        raise errors.AccessDenied(f"{verified.envelope.client} has no grant for {service.id}")
    if not service.is_enabled:
        raise errors.ServiceDisabled(public_detail=service.notice)
    return AuthorisedMessage(verified, service, grant)


def find_grant(client: SubsystemId, service: Service, registry: MemberRegistry) -> Grant | None:
    """The right of a client to a service; None: it has none. Metaservices are for everybody, and
    so is everybody's own mailbox."""
    if is_metaservice(service):
        return metaservice_grant(client, service)
    if is_mailbox_service(service):
        return mailbox_grant(client, service)
    return registry.grants.get((client, service.id))


def _check_security_server(verified: VerifiedEnvelope, registry: MemberRegistry) -> None:
    """This hub is the one server there is: its member, and the code of its subsystem."""
    asked = verified.envelope.security_server
    if asked is None:
        return
    hub = registry.hub
    if (asked.member, asked.server_code) != (hub.member, hub.subsystem_code):
        raise errors.SecurityServerInvalid(f"security server {asked}; this hub is {hub}")


def find_service(asked: ServiceId, registry: MemberRegistry) -> Service:
    """The service that is asked for. Raises ServiceUnknown."""
    known = registry.services.get(asked) or find_metaservice(asked, registry)
    known = known or find_mailbox_service(asked, registry)
    if known is not None:
        return known
    candidates = [
        service
        for service in registry.services.values()
        if (service.id.provider, service.id.service_code) == (asked.provider, asked.service_code)
    ]
    # A request without a version means the only one there is.
    if asked.service_version or len(candidates) != 1:
        count = 0 if asked.service_version else len(candidates)
        versions = f"{count} versions fit" if count else "it is not registered"
        raise errors.ServiceUnknown(f"service {asked}: {versions}")
    return candidates[0]
