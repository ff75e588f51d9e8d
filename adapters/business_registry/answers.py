"""Write the business registry's JSON as an answer of the hub's schema."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from lxml import etree

from adapters.business_registry.fields import DOSSIER, ENTERPRISE_GROUPS
from bus.kit.contract import RecipientUnavailable
from bus.kit.rest_agency import JsonObject, refuse

NAMESPACE = "urn:lienthong:dang-ky-doanh-nghiep:1.0"


def write_answer(service: str, given: JsonObject, *, dossiers_key: str) -> etree._Element:
    """The answer element of a service, its fields in the order of the schema.

    Raises RecipientRefused (Status 0, with the agency's own words), RecipientUnavailable (what
    was given is no answer of this agency). Whether fields are missing or have the wrong form is
    for the hub's validation to say.
    """
    _check_status(given)
    element = etree.Element(_name(f"{service}Response"), nsmap={"dk": NAMESPACE})
    if service == "chiTietDoanhNghiep":
        _write_enterprise(element, given)
        return element
    if service != "tinhTrangHoSo":
        _write(element, "DataCount", given.get("DataCount", 0))
    for dossier in _objects(given, dossiers_key):
        _write_group(element, "HoSo", dossier, DOSSIER)
    return element


def _check_status(given: JsonObject) -> None:
    """Status 1 is an answer, 0 is a refusal with the agency's own words; else it is neither."""
    status = given.get("Status")
    if status in (0, "0"):
        raise refuse(str(given.get("Message") or ""))
    if status not in (1, "1"):
        raise RecipientUnavailable("the agency's answer has no Status")


def _write_enterprise(element: etree._Element, given: JsonObject) -> None:
    for group, fields in ENTERPRISE_GROUPS.items():
        for found in _objects(given, group):
            _write_group(element, group, found, fields)


def _write_group(
    parent: etree._Element, group: str, found: JsonObject, fields: Sequence[str]
) -> None:
    element = etree.SubElement(parent, _name(group))
    for name in fields:
        # The agency writes what it does not know as null or as an empty text.
        if found.get(name) not in (None, ""):
            _write(element, name, found[name])


def _objects(given: JsonObject, key: str) -> list[JsonObject]:
    """The objects under a key: a list of them, one alone, or none."""
    value = given.get(key)
    if value is None:
        return []
    found: list[JsonObject] = []
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, dict):
            raise RecipientUnavailable(f"{key} holds something else than objects")
        found.append(one)
    return found


def _write(parent: etree._Element, name: str, value: object) -> None:
    """Write a JSON value as an element; raise RecipientUnavailable if XML cannot hold it."""
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise RecipientUnavailable(f"{name} is neither text nor number")
    # Never 1E+10, which xs:decimal does not know.
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    try:
        etree.SubElement(parent, _name(name)).text = text
    except ValueError as error:  # lxml: control characters, lone surrogates
        raise RecipientUnavailable(f"{name} holds what XML cannot") from error


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"
