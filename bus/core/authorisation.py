"""Decide whether a verified sender may use a service. No grant, no passage."""

from __future__ import annotations

from dataclasses import dataclass

from bus.core import errors
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.metaservices import find_metaservice, is_metaservice, metaservice_grant
from bus.core.registry import Grant, Nation, Service
from bus.core.verification import VerifiedEnvelope


@dataclass(frozen=True, slots=True)
class AuthorisedMessage:
    """A message whose sender holds a grant for the service. Made by `authorise` only."""

    verified: VerifiedEnvelope
    service: Service
    grant: Grant


def authorise(verified: VerifiedEnvelope, nation: Nation) -> AuthorisedMessage:
    """Find the service and the sender's grant for it.

    Raises SecurityServerInvalid, RecipientUnknown, RouteSuspended, ServiceUnknown, AccessDenied,
    ServiceDisabled.
    """
    _check_security_server(verified, nation)
    asked = verified.envelope.service
    provider = nation.members.get(asked.provider.member)
    if provider is None:
        raise errors.RecipientUnknown(f"member {asked.provider.member} is not registered")
    if provider.maintenance:
        raise errors.RouteSuspended(public_detail=provider.maintenance)
    service = find_service(asked, nation)
    grant = find_grant(verified.envelope.client, service, nation)
    if grant is None:
        raise errors.AccessDenied(f"{verified.envelope.client} has no grant for {service.id}")
    if not service.is_enabled:
        raise errors.ServiceDisabled(public_detail=service.notice)
    return AuthorisedMessage(verified, service, grant)


def find_grant(client: SubsystemId, service: Service, nation: Nation) -> Grant | None:
    """The right of a client to a service; None: it has none. Metaservices are for everybody."""
    if is_metaservice(service):
        return metaservice_grant(client, service)
    return nation.grants.get((client, service.id))


def _check_security_server(verified: VerifiedEnvelope, nation: Nation) -> None:
    """This hub is the one server there is: its member, and the code of its subsystem."""
    asked = verified.envelope.security_server
    if asked is None:
        return
    hub = nation.hub
    if (asked.member, asked.server_code) != (hub.member, hub.subsystem_code):
        raise errors.SecurityServerInvalid(f"security server {asked}; this hub is {hub}")


def find_service(asked: ServiceId, nation: Nation) -> Service:
    """The service that is asked for. Raises ServiceUnknown."""
    known = nation.services.get(asked) or find_metaservice(asked, nation)
    if known is not None:
        return known
    candidates = [
        service
        for service in nation.services.values()
        if (service.id.provider, service.id.service_code) == (asked.provider, asked.service_code)
    ]
    # A request without a version means the only one there is.
    if asked.service_version or len(candidates) != 1:
        count = 0 if asked.service_version else len(candidates)
        versions = f"{count} versions fit" if count else "it is not registered"
        raise errors.ServiceUnknown(f"service {asked}: {versions}")
    return candidates[0]
