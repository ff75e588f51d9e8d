"""Name members, subsystems and services the way X-Road does.

Sources: X-Road Message Protocol 4.0 (PR-MESS) §2.1 for the identifiers and their alphabet;
QCVN 102:2016 and Decision 20/2020/QĐ-TTg for the two forms of an organ code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

IDENTIFIER_PART = re.compile(r"[A-Za-z0-9'()+,\-.=?]{1,64}\Z")
"""One part of an identifier: the strict X-Road alphabet, bounded."""

ORGAN_CODE_2016 = re.compile(r"\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2}\Z")
"""QCVN 102:2016: `000.00.13.H41`, the province stands at the right."""

ORGAN_CODE_2020 = re.compile(r"([A-Y]\d{2}(\.\d{1,3})*|\d{10}(-\d{3})?)\Z")
"""Decision 20/2020/QĐ-TTg Art. 4: `H41.5.3`, the province stands at the left, 35 at most; Art. 5:
an enterprise's is its registration code, with three digits more for a dependent unit."""

MESSAGE_ID_CHARACTERS_MAX = 128
_MAY_BE_EMPTY = frozenset({3, 5})
IDENTIFIERS_KEPT_MAX = 4096
"""Identifiers of subsystems, and of services, that are kept ready."""


class IdentifierInvalid(ValueError):
    """A text that should name a member, subsystem or service does not have that form."""


_NONE: frozenset[int] = frozenset()


def _parts(text: str, count: int, shape: str, *, may_be_empty: frozenset[int] = _NONE) -> list[str]:
    parts = text.split("/")
    if len(parts) != count:
        raise IdentifierInvalid(f"{text!r}: expected {shape}")
    for place, part in enumerate(parts):
        if not IDENTIFIER_PART.match(part) and (part or place not in may_be_empty):
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
    _text: str = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    """Both made once: identifiers are looked up and written at every stage of a message."""

    @classmethod
    def parse(cls, text: str) -> MemberId:
        """Read `instance/class/code`; raise IdentifierInvalid."""
        return cls(*_parts(text, 3, "instance/class/code"))

    def __post_init__(self) -> None:
        text = f"{self.instance}/{self.member_class}/{self.member_code}"
        object.__setattr__(self, "_text", text)
        object.__setattr__(
            self, "_hash", hash((self.instance, self.member_class, self.member_code))
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class SubsystemId:
    """A system of an agency, with rights of its own: `VN/GOV/H41/motcua`."""

    member: MemberId
    subsystem_code: str
    """Empty where a message names the member itself (objectType MEMBER)."""
    _text: str = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    """Both made once: identifiers are looked up and written at every stage of a message."""

    @classmethod
    def parse(cls, text: str) -> SubsystemId:
        """Read `instance/class/code/subsystem`; raise IdentifierInvalid.

        `instance/class/code` is the member itself, as a client or as a provider.
        """
        if text.count("/") == 2:
            return subsystem_id(*_parts(text, 3, "instance/class/code/subsystem"), "")
        return subsystem_id(*_parts(text, 4, "instance/class/code/subsystem"))

    def __post_init__(self) -> None:
        text = f"{self.member}/{self.subsystem_code}" if self.subsystem_code else str(self.member)
        object.__setattr__(self, "_text", text)
        object.__setattr__(self, "_hash", hash((self.member, self.subsystem_code)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True, order=True)
class ServiceId:
    """What is asked for: `VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1`."""

    provider: SubsystemId
    service_code: str
    service_version: str
    """Empty where a message names no version: the only version there is, is meant."""
    _text: str = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)
    """Both made once: identifiers are looked up and written at every stage of a message."""

    @classmethod
    def parse(cls, text: str) -> ServiceId:
        """Read `instance/class/code/subsystem/service/version`; raise IdentifierInvalid.

        Subsystem and version may be empty: a service of the member itself, or one without
        versions, as `EE/BUSINESS/producer//getState/`.
        """
        shape = "instance/class/code/subsystem/service/version"
        return service_id(*_parts(text, 6, shape, may_be_empty=_MAY_BE_EMPTY))

    def __post_init__(self) -> None:
        unversioned = f"{self.provider}/{self.service_code}"
        text = f"{unversioned}/{self.service_version}" if self.service_version else unversioned
        object.__setattr__(self, "_text", text)
        object.__setattr__(
            self, "_hash", hash((self.provider, self.service_code, self.service_version))
        )

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class SecurityServerId:
    """A server of an agency, as the header block securityServer names it."""

    member: MemberId
    server_code: str

    def __str__(self) -> str:
        return f"{self.member}/{self.server_code}"


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def subsystem_id(
    instance: str, member_class: str, member_code: str, subsystem_code: str
) -> SubsystemId:
    """The subsystem with these parts, made once: a hub meets the same few all day."""
    return SubsystemId(MemberId(instance, member_class, member_code), subsystem_code)


@lru_cache(maxsize=IDENTIFIERS_KEPT_MAX)
def service_id(
    instance: str,
    member_class: str,
    member_code: str,
    subsystem_code: str,
    service_code: str,
    service_version: str,
) -> ServiceId:
    """The service with these parts, made once."""
    provider = subsystem_id(instance, member_class, member_code, subsystem_code)
    return ServiceId(provider, service_code, service_version)
