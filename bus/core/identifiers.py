"""Name members, subsystems and services the way X-Road does.

Sources: X-Road Message Protocol 4.0 (PR-MESS) §2.1 for the identifiers and their alphabet;
QCVN 102:2016 and Decision 20/2020/QĐ-TTg for the two forms of an organ code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

IDENTIFIER_PART = re.compile(r"[A-Za-z0-9'()+,\-.=?]{1,64}\Z")
"""One part of an identifier: the strict X-Road alphabet, bounded."""

ORGAN_CODE_2016 = re.compile(r"\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}\Z")
"""QCVN 102:2016: `000.00.13.H41`, the province stands at the right."""

ORGAN_CODE_2020 = re.compile(r"[A-Y]\d{2}(\.\d{1,3})*\Z")
"""Decision 20/2020/QĐ-TTg Art. 4: `H41.5.3`, the province stands at the left, 35 at most."""

MESSAGE_ID_CHARACTERS_MAX = 128


class IdentifierInvalid(ValueError):
    """A text that should name a member, subsystem or service does not have that form."""


def _parts(text: str, count: int, shape: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != count:
        raise IdentifierInvalid(f"{text!r}: expected {shape}")
    for part in parts:
        if not IDENTIFIER_PART.match(part):
            raise IdentifierInvalid(
                f"{text!r}: part {part!r} must be 1 to 64 characters of A-Z a-z 0-9 '()+,-.=?"
            )
    return parts


@dataclass(frozen=True, slots=True, order=True)
class MemberId:
    """An agency: `VN/GOV/G01`."""

    instance: str
    member_class: str
    member_code: str

    @classmethod
    def parse(cls, text: str) -> MemberId:
        """Read `instance/class/code`; raise IdentifierInvalid."""
        return cls(*_parts(text, 3, "instance/class/code"))

    def __str__(self) -> str:
        return f"{self.instance}/{self.member_class}/{self.member_code}"


@dataclass(frozen=True, slots=True, order=True)
class SubsystemId:
    """A system of an agency, with rights of its own: `VN/GOV/H41/motcua`."""

    member: MemberId
    subsystem_code: str
    """Empty where a message names the member itself (objectType MEMBER)."""

    @classmethod
    def parse(cls, text: str) -> SubsystemId:
        """Read `instance/class/code/subsystem`; raise IdentifierInvalid."""
        parts = _parts(text, 4, "instance/class/code/subsystem")
        return cls(MemberId(*parts[:3]), parts[3])

    def __str__(self) -> str:
        return f"{self.member}/{self.subsystem_code}" if self.subsystem_code else str(self.member)


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """What is asked for: `VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1`."""

    provider: SubsystemId
    service_code: str
    service_version: str
    """Empty where a message names no version: the only version there is, is meant."""

    @classmethod
    def parse(cls, text: str) -> ServiceId:
        """Read `instance/class/code/subsystem/service/version`; raise IdentifierInvalid."""
        parts = _parts(text, 6, "instance/class/code/subsystem/service/version")
        return cls(SubsystemId(MemberId(*parts[:3]), parts[3]), parts[4], parts[5])

    def __str__(self) -> str:
        unversioned = f"{self.provider}/{self.service_code}"
        return f"{unversioned}/{self.service_version}" if self.service_version else unversioned
