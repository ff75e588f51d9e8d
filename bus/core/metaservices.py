"""Know the services that X-Road gives to every provider: what it offers, and how to ask for it.

Source: X-Road Service Metadata Protocol (PR-META) §2. Every registered client may use them, without
a grant; they answer under the provider's signature and are recorded like any query.
"""

from __future__ import annotations

from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import AttachmentRule, Grant, MemberRegistry, Mode, Service

NAMESPACE = "http://x-road.eu/xsd/xroad.xsd"
LIST_METHODS = "listMethods"
ALLOWED_METHODS = "allowedMethods"
GET_WSDL = "getWsdl"
METASERVICE_ADAPTER = "hub.metaservices"
"""Answers them; no folder below adapters/ can have this name."""
RESERVED_SERVICE_CODES = frozenset(
    {
        "listClients",
        LIST_METHODS,
        ALLOWED_METHODS,
        GET_WSDL,
        "getOpenAPI",
        "getSecurityServerMetrics",
        "getSecurityServerOperationalData",
        "getSecurityServerHealthData",
    }
)
"""No service may be called so."""
WSDL_BYTES_MAX = 16 * 1024 * 1024
_WSDL_RULE = AttachmentRule(count_max=1, bytes_max=WSDL_BYTES_MAX, types=frozenset({"text/xml"}))
_TIMEOUT_SECONDS = 10.0
_TITLES = {
    LIST_METHODS: "The services of a provider",
    ALLOWED_METHODS: "The services of a provider that the client may use",
    GET_WSDL: "The WSDL of a service",
}


def find_metaservice(asked: ServiceId, registry: MemberRegistry) -> Service | None:
    """The metaservice that is asked for; None: it is none, or the provider offers nothing.

    A subsystem without services answers nothing, so the hub holds no key to answer for it.
    """
    if asked.service_code not in _TITLES or not services_of(asked.provider, registry):
        return None
    is_wsdl = asked.service_code == GET_WSDL
    return Service(
        id=asked,
        title=_TITLES[asked.service_code],
        adapter=METASERVICE_ADAPTER,
        schema="",
        mode=Mode.QUERY,
        timeout_seconds=_TIMEOUT_SECONDS,
        answer_attachments=_WSDL_RULE if is_wsdl else None,
    )


def is_metaservice(service: Service) -> bool:
    """Whether the hub itself answers."""
    return service.adapter == METASERVICE_ADAPTER


def metaservice_grant(client: SubsystemId, service: Service) -> Grant:
    """The right that every registered client has."""
    return Grant(client, service.id, purpose=service.title, legal_basis="PR-META §2")


def services_of(provider: SubsystemId, registry: MemberRegistry) -> list[Service]:
    """What a provider offers, in the order of their names."""
    return sorted(
        (service for service in registry.services.values() if service.id.provider == provider),
        key=lambda service: service.id,
    )


def allowed_services(
    provider: SubsystemId, client: SubsystemId, registry: MemberRegistry
) -> list[Service]:
    """What of it a client has a grant for."""
    return [
        service
        for service in services_of(provider, registry)
        if (client, service.id) in registry.grants
    ]
