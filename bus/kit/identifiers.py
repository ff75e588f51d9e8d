"""Numbers of citizens and enterprises, for adapters."""

from __future__ import annotations

from bus.core.citizen_identifiers import (
    BIRTH_PROVINCES,
    EnterpriseCode,
    OldIdentityNumber,
    PersonalNumber,
    Sex,
)
from bus.core.identifiers import IdentifierInvalid

__all__ = [
    "BIRTH_PROVINCES",
    "EnterpriseCode",
    "IdentifierInvalid",
    "OldIdentityNumber",
    "PersonalNumber",
    "Sex",
]
