"""Describe the services of a nation from its rules: titles, WSDL, the list of clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bus.core.authorisation import find_service
from bus.core.envelope import SoapVersion
from bus.core.errors import ServiceUnknown
from bus.core.identifiers import IdentifierInvalid, ServiceId
from bus.core.mailbox_services import MAILBOX_SCHEMA, is_mailbox_service, mailbox_services
from bus.core.metaservices import is_metaservice
from bus.core.pipeline import Rules
from bus.core.registry import Service
from bus.core.schema_kinds import SchemaPart
from bus.protocols.soap_xroad.metaservices import write_clients_json, write_clients_xml
from bus.protocols.soap_xroad.wsdl import write_wsdl
from bus.settings.payload_schemas import CompiledSchema, read_schema

_HEADER_SCHEMAS = (
    "xroad/4.0/identifiers.xsd",
    "xroad/4.0/xroad.xsd",
    "lienthong/1.0/message.xsd",
)


class ServiceDescriptions:
    """What a hub tells about its nation. Made of its rules, once."""

    def __init__(self, rules: Rules, *, schemas: Path, public_url: str) -> None:
        """Raises ConfigurationError: a schema of the header blocks is not there."""
        self._rules = rules
        self._public_url = public_url
        self._header_schemas = [read_schema(schemas / path) for path in _HEADER_SCHEMAS]
        schema = read_schema(schemas / MAILBOX_SCHEMA)
        self._mailbox_schema = SchemaPart(schema, schema.get("targetNamespace", ""))
        registered = rules.registry.services.values()
        mailbox = mailbox_services(rules.registry)
        self._by_name = {str(service.id): service for service in (*mailbox, *registered)}

    def titles(self) -> Mapping[str, str]:
        """Titles by service id."""
        return {name: service.title for name, service in self._by_name.items()}

    def wsdl_named(self, name: str, *, is_soap_1_2: bool = False) -> bytes | None:
        """The WSDL of a service by its id, to be called at this hub; None: there is none."""
        service = self._by_name.get(name) or self._by_parts(name)
        if service is None:
            return None
        location = f"{self._public_url}/services/{service.id}"
        version = SoapVersion.SOAP_1_2 if is_soap_1_2 else SoapVersion.SOAP_1_1
        return self.wsdl(service, location, version)

    def wsdl(
        self, service: Service, location: str, version: SoapVersion = SoapVersion.SOAP_1_1
    ) -> bytes:
        """The WSDL of a service that is called at `location`."""
        parts: Sequence[SchemaPart] = (self._mailbox_schema,)
        if not is_mailbox_service(service):
            schema = self._rules.schemas[service.id]
            assert isinstance(schema, CompiledSchema)
            parts = schema.files.parts
        return write_wsdl(service, location, parts, self._header_schemas, version)

    def clients(self, instance: str, *, is_json: bool) -> bytes | None:
        """Every member and subsystem; None: the instance is another one."""
        registry = self._rules.registry
        if instance not in ("", registry.instance):
            return None
        return write_clients_json(registry) if is_json else write_clients_xml(registry)

    def _by_parts(self, name: str) -> Service | None:
        try:
            service = find_service(ServiceId.parse(name), self._rules.registry)
        except (IdentifierInvalid, ServiceUnknown):
            return None
        return None if is_metaservice(service) else service
