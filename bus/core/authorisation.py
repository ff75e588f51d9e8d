"""Decide whether a verified sender may use a service. No grant, no passage."""

from __future__ import annotations

from dataclasses import dataclass

from bus.core import errors
from bus.core.identifiers import ServiceId
from bus.core.nation import Grant, Nation, Service
from bus.core.verification import VerifiedEnvelope


@dataclass(frozen=True, slots=True)
class AuthorisedMessage:
    """A message whose sender holds a grant for the service. Made by `authorise` only."""

    verified: VerifiedEnvelope
    service: Service
    grant: Grant


def authorise(verified: VerifiedEnvelope, nation: Nation) -> AuthorisedMessage:
    """Find the service and the sender's grant for it.

    Raises SecurityServerInvalid, RecipientUnknown, ServiceUnknown, AccessDenied, ServiceDisabled.
    """
    _check_security_server(verified, nation)
    asked = verified.envelope.service
    if asked.provider.member not in nation.members:
        raise errors.RecipientUnknown(f"member {asked.provider.member} is not registered")
    service = _find_service(asked, nation)
    grant = nation.grants.get((verified.envelope.client, service.id))
    if grant is None:
        raise errors.AccessDenied(f"{verified.envelope.client} has no grant for {service.id}")
    if not service.is_enabled:
        raise errors.ServiceDisabled(public_detail=service.notice)
    return AuthorisedMessage(verified, service, grant)


def _check_security_server(verified: VerifiedEnvelope, nation: Nation) -> None:
    """This hub is the one server there is: its member, and the code of its subsystem."""
    asked = verified.envelope.security_server
    if asked is None:
        return
    hub = nation.hub
    if (asked.member, asked.server_code) != (hub.member, hub.subsystem_code):
        raise errors.SecurityServerInvalid(f"security server {asked}; this hub is {hub}")


def _find_service(asked: ServiceId, nation: Nation) -> Service:
    if asked.service_version:
        candidates = [asked] if asked in nation.services else []
    else:
        candidates = [
            known
            for known in nation.services
            if known.provider == asked.provider and known.service_code == asked.service_code
        ]
    if len(candidates) != 1:
        versions = f"{len(candidates)} versions fit" if candidates else "it is not registered"
        raise errors.ServiceUnknown(f"service {asked}: {versions}")
    return nation.services[candidates[0]]
