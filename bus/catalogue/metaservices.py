"""Answer X-Road's metaservices from the rules of the hub, as an adapter answers for an agency."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from bus.catalogue.service_descriptions import ServiceDescriptions
from bus.core.authorisation import find_service
from bus.core.errors import ServiceUnknown
from bus.core.identifiers import ServiceId
from bus.core.metaservices import (
    ALLOWED_METHODS,
    GET_WSDL,
    LIST_METHODS,
    allowed_services,
    services_of,
)
from bus.core.registry import MemberRegistry, Service
from bus.kit.contract import Answer, Query, attachment_of_bytes
from bus.protocols.soap_xroad.metaservices import (
    read_wsdl_request,
    write_methods,
    write_wsdl_answer,
)

ENDPOINT = "http://example.org/xroad-endpoint"
"""Stands in a WSDL for the address, which its reader knows better. PR-META §3.3."""
Made = TypeVar("Made")
_WSDL_TYPE = "text/xml; charset=UTF-8"


class MetaserviceCalls:
    """Answers at once, from memory."""

    def __init__(self, registry: MemberRegistry, descriptions: ServiceDescriptions) -> None:
        self._registry = registry
        self._descriptions = descriptions
        self._answers: dict[str, Callable[[Query], Answer]] = {
            LIST_METHODS: self._list_methods,
            ALLOWED_METHODS: self._allowed_methods,
            GET_WSDL: self._get_wsdl,
        }

    def place(self) -> AbstractContextManager[None]:
        """There is always room: nobody is waited for."""
        return nullcontext()

    async def call(self, query: Query, finish: Callable[[Answer], Made]) -> Made:
        """What `finish` makes of the answer. Raises MetaserviceRequestInvalid, ServiceUnknown."""
        answer = self._answers[query.service.service_code](query)
        return await asyncio.to_thread(finish, answer) if answer.attachments else finish(answer)

    def _list_methods(self, query: Query) -> Answer:
        offered = services_of(query.service.provider, self._registry)
        return Answer(write_methods(LIST_METHODS, offered))

    def _allowed_methods(self, query: Query) -> Answer:
        allowed = allowed_services(query.service.provider, query.client, self._registry)
        return Answer(write_methods(ALLOWED_METHODS, allowed))

    def _get_wsdl(self, query: Query) -> Answer:
        request = read_wsdl_request(query.element())
        service = self._described(query, request.service_code, request.service_version)
        wsdl = self._descriptions.wsdl(service, ENDPOINT)
        beside = attachment_of_bytes(wsdl, content_id="wsdl", media_type=_WSDL_TYPE)
        return Answer(write_wsdl_answer(request), (beside,))

    def _described(self, query: Query, code: str, version: str) -> Service:
        service = find_service(ServiceId(query.service.provider, code, version), self._registry)
        if service.id not in self._registry.services:
            raise ServiceUnknown(f"service {service.id} is a metaservice")
        return service
