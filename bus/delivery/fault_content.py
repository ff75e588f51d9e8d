"""Carry an agency's own fault over a broker: as a SOAP fault, read within the bounds of one."""

from __future__ import annotations

from bus.core.envelope import SoapVersion
from bus.core.errors import BusError, ServiceFault
from bus.core.xml import parse_xml
from bus.kit.soap_reply import FAULT_DETAIL_BYTES_MAX, service_fault
from bus.protocols.soap_xroad.names import SOAP_NAMES
from bus.protocols.soap_xroad.write import escape

FAULT_BYTES_MAX = FAULT_DETAIL_BYTES_MAX + 16 * 1024
"""Beside its detail a fault has a few sentences."""
_SOAP = SOAP_NAMES[SoapVersion.SOAP_1_1]


class FaultUnreadable(ValueError):
    """These bytes are no fault."""


def write_service_fault(error: ServiceFault) -> bytes:
    """A fault as it travels beside a report."""
    return (
        f'<soap:Fault xmlns:soap="{_SOAP.version}">'
        f"<faultcode>{_text(error.subject)}</faultcode>"
        f"<faultstring>{_text(error.fault_string)}</faultstring>"
        f"<faultactor>{_text(error.actor)}</faultactor>"
        f"<detail>{error.detail_content.decode()}</detail></soap:Fault>"
    ).encode()


def read_service_fault(content: bytes) -> ServiceFault:
    """What `write_service_fault` wrote, within the bounds of a fault that an agency sends.

    Raises FaultUnreadable.
    """
    try:
        fault = parse_xml(content, bytes_max=FAULT_BYTES_MAX)
    except BusError as error:
        raise FaultUnreadable("it cannot be read") from error
    if fault.tag != _SOAP.fault:
        raise FaultUnreadable("it is no SOAP fault")
    return service_fault(fault, _SOAP)


def _text(text: str) -> str:
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))
