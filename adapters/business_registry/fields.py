"""The fields of the business registry, group by group, in the order of dkdn.xsd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

MAIN_INFORMATION = (
    "ENTERPRISE_ID",
    "ENTERPRISE_GDT_CODE",
    "IMP_BUSINESS_CODE",
    "ENTERPRISE_TYPE_ID",
    "ENTERPRISE_TYPE_NAME",
    "NAME",
    "SHORT_NAME",
    "NAME_F",
    "FOUNDING_DATE",
    "LAST_AMEND_DATE",
    "NUMBER_CHANGES",
    "ENTERPRISE_STATUS",
    "LEGAL_NAMES",
    "CAPITAL_AMOUNT",
)
ADDRESS = (
    "CityID",
    "CityName",
    "DistrictID",
    "DistrictName",
    "WardID",
    "WardName",
    "StreetNumber",
    "AddressFullText",
)
DOSSIER = (
    "IN_JOURNAL_NO",
    "DOCUMENT_TYPE",
    "ENTERPRISE_CODE",
    "SITE_ID",
    "RECEIPT_DATE",
    "PLAN_DATE",
    "PROCESS_STATUS",
    "PROCESSED_DATE",
    "REGISTRATION_DATE",
    "SUPPLEMENT_DATE",
    "SUBMISSION_TYPE",
    "CONTACT_FULL_NAME",
    "CONTACT_ADDRESS",
    "CONTACT_ID_NO",
    "CONTACT_PHONE",
    "CONTACT_EMAIL",
)
ENTERPRISE_GROUPS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "MainInformation": MAIN_INFORMATION,
        "HOAdress": ADDRESS,
        "BusinessActivity": ("CODE", "NAME", "IS_MAIN"),
        "Member": ("MEMBER_NAME", "AMOUNT", "RATIO_PERCENT", "COUNTRY"),
        "Representatives": ("FULL_NAME",),
    }
)
