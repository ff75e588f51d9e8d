"""Ask the national business registry about enterprises and dossiers, over its REST service.

The agency answers in JSON with the field names that the hub's schema has too; the adapter checks
what a schema cannot, asks, and writes the answer as XML in the order of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from lxml import etree

from adapters.business_registry import documents
from adapters.business_registry.answers import write_answer
from bus.kit.agency_http import AgencyHttp
from bus.kit.clock import Deadline
from bus.kit.contract import (
    Adapter,
    AdapterSettings,
    Answer,
    PayloadRejected,
    Query,
)
from bus.kit.identifiers import EnterpriseCode, IdentifierInvalid
from bus.kit.rest_agency import ClientCredentials, RestAgency

PATH = "apiCSDLDKDN/1.0"
SPAN_DAYS_MAX = 5
"""danhSachHoSo answers for at most so many days (domain fact 5.1)."""

DOSSIERS_KEY_DEFAULT = "Data"
"""GAP: no public source names the list of dossiers in the answer; the setting does."""


class BusinessRegistryAdapter(Adapter):
    """The business registry as an agency of the hub."""

    def __init__(self, settings: AdapterSettings) -> None:
        super().__init__(settings)
        self._http = AgencyHttp(authority_file=settings.get("authority_file", ""))
        self._agency = RestAgency(
            base_url=f"{settings['url'].rstrip('/')}/{PATH}",
            credentials=ClientCredentials(
                settings["token_url"], settings["client_id"], settings["client_secret"]
            ),
            http=self._http,
        )
        self._dossiers_key = settings.get("dossiers_key") or DOSSIERS_KEY_DEFAULT

    def answer(self, query: Query) -> Answer:
        service = query.service.service_code
        if service == documents.SERVICE:
            return documents.submit_documents(query, self._agency)
        if service not in _CHECKS:
            raise PayloadRejected(f"{service} is no service of this agency")
        asked = {etree.QName(child).localname: child.text or "" for child in query.element()}
        _CHECKS[service](asked)
        given = self._agency.get(
            service,
            asked,
            headers={"X-Request-ID": query.idempotency_key},
            deadline=Deadline.after(query.timeout_seconds),
        )
        return Answer(write_answer(service, given, dossiers_key=self._dossiers_key))

    def close(self) -> None:
        self._http.close()


def _check_enterprise_code(asked: Mapping[str, str]) -> None:
    try:
        EnterpriseCode.parse(asked["msdn"])
    except IdentifierInvalid as error:
        raise PayloadRejected(public_detail=f"msdn: {error}") from None


def _check_span(asked: Mapping[str, str]) -> None:
    try:
        first = datetime.strptime(asked["from_date"], "%d/%m/%Y")  # noqa: DTZ007 - days, no zone
        last = datetime.strptime(asked["to_date"], "%d/%m/%Y")  # noqa: DTZ007
    except ValueError:
        raise PayloadRejected(public_detail="no day of the calendar") from None
    # Both days count: from the 1st to the 5th is five days.
    if not timedelta(0) <= last - first < timedelta(days=SPAN_DAYS_MAX):
        raise PayloadRejected(
            public_detail=f"from_date to to_date must be 1 to {SPAN_DAYS_MAX} days"
        )


def _check_hours(asked: Mapping[str, str]) -> None:
    if asked["from_ts"] > asked["to_ts"]:
        raise PayloadRejected(public_detail="from_ts lies after to_ts")


def _check_nothing(asked: Mapping[str, str]) -> None:
    """The schema says all there is to say."""


_CHECKS: Mapping[str, Callable[[Mapping[str, str]], None]] = MappingProxyType(
    {
        "chiTietDoanhNghiep": _check_enterprise_code,
        "danhSachHoSoTrongNgay": _check_hours,
        "danhSachHoSo": _check_span,
        "tinhTrangHoSo": _check_nothing,
    }
)
"""The calls that ask, and what a schema cannot check of each."""
