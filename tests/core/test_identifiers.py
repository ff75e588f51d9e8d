"""Identifiers have one form, and say themselves as they were read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.core.identifiers import (
    IdentifierInvalid,
    MemberId,
    SecurityServerId,
    ServiceId,
    SubsystemId,
)

PART = st.text("ABCxyz019'()+,-.=?", min_size=1, max_size=64)


@given(parts=st.lists(PART, min_size=6, max_size=6))
def test_an_identifier_reads_what_it_writes(parts: list[str]) -> None:
    for kind, count in ((MemberId, 3), (SubsystemId, 4), (ServiceId, 6)):
        text = "/".join(parts[:count])
        assert str(kind.parse(text)) == text


@pytest.mark.parametrize("kind", [MemberId, SubsystemId, ServiceId])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "VN",
        "VN/GOV",
        "VN/GOV/G01/a/b/c/d",
        "VN//G01",
        "VN/GOV/G01/",
        "VN/GOV/Nghệ",
        "VN/GOV/G01\n",
        "VN/GOV/" + "G" * 65,
        "VN/GOV/G 1/a/b/c",
    ],
)
def test_what_has_another_form_is_refused(
    kind: type[MemberId | SubsystemId | ServiceId], text: str
) -> None:
    with pytest.raises(IdentifierInvalid):
        kind.parse(text)


def test_a_member_that_is_named_itself_has_no_subsystem() -> None:
    member = MemberId.parse("VN/GOV/H41")

    assert str(SubsystemId(member, "")) == "VN/GOV/H41"


def test_a_service_without_version_is_written_without_one() -> None:
    service = ServiceId(SubsystemId.parse("VN/GOV/G01/dancu"), "TraCuu", "")

    assert str(service) == "VN/GOV/G01/dancu/TraCuu"


def test_a_member_that_asks_itself_is_a_client_of_three_parts() -> None:
    assert SubsystemId.parse("EE/BUSINESS/consumer") == SubsystemId(
        MemberId.parse("EE/BUSINESS/consumer"), ""
    )


def test_a_service_may_be_one_of_the_member_itself_and_without_versions() -> None:
    service = ServiceId.parse("EE/BUSINESS/producer//getState/")

    assert (service.provider.subsystem_code, service.service_version) == ("", "")
    assert str(service) == "EE/BUSINESS/producer/getState"
    assert ServiceId.parse("EE/BUSINESS/producer/s/getState/v1").service_version == "v1"


@pytest.mark.parametrize("text", ["EE/BUSINESS//s/getState/", "EE/BUSINESS/p///v1", "//p/s/c/v"])
def test_no_other_part_of_a_service_may_be_empty(text: str) -> None:
    with pytest.raises(IdentifierInvalid):
        ServiceId.parse(text)


def test_a_security_server_says_its_member_and_its_code() -> None:
    assert str(SecurityServerId(MemberId.parse("VN/GOV/G22"), "s1")) == "VN/GOV/G22/s1"
