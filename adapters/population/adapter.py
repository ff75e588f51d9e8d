"""Ask the national population database about a citizen, over its SOAP 1.1 service.

The agency's form differs from the hub's: it wants MaTichHop (set here, never by a sender), names
in upper case, and gives its answers unwrapped. Everything marked GAP is an assumption, because no
official description is public; each can be set.
"""

from __future__ import annotations

import hashlib
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from lxml import etree

from bus.kit.agency_http import AgencyHttp
from bus.kit.clock import Deadline, epoch_milliseconds
from bus.kit.contract import (
    Adapter,
    AdapterSettings,
    Answer,
    PayloadRejected,
    Query,
    RecipientUnavailable,
    SettingRefused,
)
from bus.kit.identifiers import IdentifierInvalid, PersonalNumber
from bus.kit.schema_files import schema_file
from bus.kit.soap_agency import SoapAgency, wrapped

NAMESPACE = "http://dancuquocgia.bca"
_BINDING = f"{{{NAMESPACE}}}DanCuBinding"
_HANDED_ON = ("MaYeuCau", "MaDVC", "MaCanBo", "SoDinhDanh", "SoCMND")

ANSWER_ELEMENT = MappingProxyType(
    {
        "TraCuuThongTinCongDan": "CongdanCollection",
        "XacThucThongTinCongDan": "KetQuaXacThuc",
        "XacMinhThongTinNhanThan": "KetQuaXacMinh",
    }
)
"""What the agency answers to each operation; the hub's answer wraps it."""

_MA_TICH_HOP = MappingProxyType(
    {
        # GAP: 037 and 003 were seen with these operations; 033 was seen with two meanings.
        "TraCuuThongTinCongDan": ("ma_tich_hop_tra_cuu", "037"),
        "XacThucThongTinCongDan": ("ma_tich_hop_xac_thuc", "003"),
        "XacMinhThongTinNhanThan": ("ma_tich_hop_xac_minh", "033"),
    }
)
"""Setting and default of the integration code of each operation."""


_OFFICE_FIELDS = MappingProxyType(
    {"MaDonVi": "ma_don_vi", "TaiKhoan": "tai_khoan", "SoDienThoai": "so_dien_thoai"}
)
"""Fields that some clients of the agency send too, and their settings."""


class PopulationAdapter(Adapter):
    """The population database as an agency of the hub."""

    def __init__(
        self, settings: AdapterSettings, *, clock: Callable[[], int] = epoch_milliseconds
    ) -> None:
        super().__init__(settings)
        self._clock = clock
        self._name_form = _name_form(settings.get("name_form") or "upper")
        self._http = AgencyHttp(authority_file=settings.get("authority_file", ""))
        self._agency = SoapAgency(
            wsdl=schema_file("dancu/agency/dancuquocgia.wsdl"),
            binding=_BINDING,
            address=settings["url"],
            http=self._http,
        )

    def answer(self, query: Query) -> Answer:
        operation = query.service.service_code
        if operation not in ANSWER_ELEMENT:
            raise PayloadRejected(f"{operation} is no service of this agency")
        fields = self._fields(operation, query.element())
        given = self._agency.call(
            operation,
            fields,
            headers=self._headers(),
            deadline=Deadline.after(query.timeout_seconds),
        )
        if given.tag != _name(ANSWER_ELEMENT[operation]):
            raise RecipientUnavailable("the agency's answer belongs to another question")
        return Answer(wrapped(given, _name(f"{operation}Response"), "dc"))

    def close(self) -> None:
        self._http.close()

    def _fields(self, operation: str, request: etree._Element) -> Mapping[str, object]:
        """The request in the agency's words; raise PayloadRejected where it has none."""
        asked = {etree.QName(child).localname: child for child in request}
        fields: dict[str, object] = {name: asked[name].text for name in _HANDED_ON if name in asked}
        setting, default = _MA_TICH_HOP[operation]
        fields["MaTichHop"] = self.settings.get(setting) or default
        for field, setting in _OFFICE_FIELDS.items():
            if self.settings.get(setting):
                fields[field] = self.settings[setting]
        fields["HoVaTen"] = self._name_form(asked["HoVaTen"].text or "")
        birth = asked["NgayThangNamSinh"][0]
        fields["NgayThangNamSinh"] = {etree.QName(birth).localname: birth.text}
        _check_birth(birth)
        if "SoDinhDanh" in asked:
            _check_personal_number(asked["SoDinhDanh"].text or "", birth)
        return fields

    def _headers(self) -> dict[str, str]:
        """The caller's proof: Timestamp and Authorization, domain fact 4.3."""
        timestamp = str(self._clock())
        username = self.settings["username"]
        proof = hashlib.sha256(
            f"{self.settings['url']}{username}{timestamp}{self.settings['secret']}".encode()
        ).hexdigest()
        headers = {
            "Timestamp": timestamp,
            "Authorization": f"Basic {b64encode(f'{username}:{proof}'.encode()).decode('ascii')}",
        }
        for header, setting in (("X-Road-Client", "x_road_client"), ("ApiKey", "api_key")):
            if self.settings.get(setting):
                headers[header] = self.settings[setting]
        return headers


def _name(local: str) -> str:
    return f"{{{NAMESPACE}}}{local}"


def _check_birth(birth: etree._Element) -> None:
    # The schema knows the form yyyyMMdd, not the calendar.
    if etree.QName(birth).localname != "NgayThangNam":
        return
    try:
        datetime.strptime(birth.text or "", "%Y%m%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise PayloadRejected(public_detail="NgayThangNam is no day of the calendar") from None


def _check_personal_number(text: str, birth: etree._Element) -> None:
    try:
        PersonalNumber.parse(text).check_birth(int((birth.text or "")[:4]))
    except IdentifierInvalid as error:
        raise PayloadRejected(public_detail=f"SoDinhDanh: {error}") from None


def upper_name(name: str) -> str:
    """Upper case, composed letters, single spaces: `NGUYỄN VĂN AN`."""
    return " ".join(unicodedata.normalize("NFC", name).upper().split())


def plain_name(name: str) -> str:
    """Upper case without accents and spaces, as one client sends it: `NGUYENVANAN`."""
    letters = unicodedata.normalize("NFD", upper_name(name).replace("Đ", "D"))
    return "".join(letter for letter in letters if letter.isalnum())


NAME_FORMS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {"upper": upper_name, "plain": plain_name}
)
"""How HoVaTen may be sent; the setting name_form chooses. GAP: which one the agency wants."""


def _name_form(chosen: str) -> Callable[[str], str]:
    if chosen not in NAME_FORMS:
        raise SettingRefused(chosen, f"expected one of {', '.join(NAME_FORMS)}")
    return NAME_FORMS[chosen]
