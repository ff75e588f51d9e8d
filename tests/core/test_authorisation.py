"""No grant, no passage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bus.core import errors
from bus.core.authorisation import AuthorisedMessage, authorise
from bus.core.identifiers import ServiceId
from bus.core.nation import Nation
from bus.core.verification import verify
from bus.protocols.soap_xroad.parse import parse
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    DISABLED_SERVICE,
    LOOKUP,
    NOTICE,
    NOW,
    SAMPLE,
    SmallNation,
    request,
)


def authorised(raw: bytes, nation: SmallNation, changed: Nation | None = None) -> AuthorisedMessage:
    rules = nation.rules
    proved = verify(parse(raw, rules.nation.limits), rules.nation, rules.trust, NOW)
    return authorise(proved, changed or rules.nation)


def body_for(service: ServiceId) -> bytes:
    return SAMPLE.replace(b"TraCuuThongTinCongDan", service.service_code.encode())


def test_a_grant_opens_its_service_and_tells_the_purpose(nation: SmallNation) -> None:
    message = authorised(request(nation), nation)

    assert message.service.id == LOOKUP
    assert message.grant.client == CLIENT
    assert message.grant.purpose.startswith("Giải quyết thủ tục hành chính")


def test_a_client_without_grant_is_refused(nation: SmallNation) -> None:
    raw = request(nation, client=CLIENT_WITHOUT_GRANT)

    with pytest.raises(errors.AccessDenied, match="VN/GOV/G03/tuyensinh has no grant"):
        authorised(raw, nation)


def test_a_grant_for_one_subsystem_is_none_for_the_member_or_its_siblings(
    nation: SmallNation,
) -> None:
    grants = {key: grant for key, grant in nation.rules.nation.grants.items() if key[0] != CLIENT}

    with pytest.raises(errors.AccessDenied):
        authorised(request(nation), nation, replace(nation.rules.nation, grants=grants))


@pytest.mark.parametrize(
    ("service", "error", "reason"),
    [
        ("VN/GOV/Z99/dancu/TraCuu/v1", errors.RecipientUnknown, "VN/GOV/Z99 is not registered"),
        ("VN/GOV/G01/khac/TraCuu/v1", errors.ServiceUnknown, "not registered"),
        ("VN/GOV/G01/dancu/TraCuu/v1", errors.ServiceUnknown, "not registered"),
        ("VN/GOV/G01/dancu/TraCuuThongTinCongDan/v2", errors.ServiceUnknown, "not registered"),
    ],
)
def test_what_is_not_registered_is_named(
    nation: SmallNation, service: str, error: type[errors.BusError], reason: str
) -> None:
    asked = ServiceId.parse(service)

    with pytest.raises(error, match=reason):
        authorised(request(nation, service=asked, body=body_for(asked)), nation)


def test_without_version_the_only_version_is_meant(nation: SmallNation) -> None:
    message = authorised(request(nation, service=replace(LOOKUP, service_version="")), nation)

    assert message.service.id == LOOKUP


def test_without_version_two_versions_are_one_too_many(nation: SmallNation) -> None:
    known = nation.rules.nation
    second = replace(LOOKUP, service_version="v2")
    services = {**known.services, second: replace(known.services[LOOKUP], id=second)}

    with pytest.raises(errors.ServiceUnknown, match="2 versions fit"):
        authorised(
            request(nation, service=replace(LOOKUP, service_version="")),
            nation,
            replace(known, services=services),
        )


def test_a_service_that_is_switched_off_tells_the_notice(nation: SmallNation) -> None:
    raw = request(nation, service=DISABLED_SERVICE, body=body_for(DISABLED_SERVICE))

    with pytest.raises(errors.ServiceDisabled, match=NOTICE) as caught:
        authorised(raw, nation)

    assert caught.value.public_detail == NOTICE


def test_who_may_not_ask_does_not_learn_that_a_service_is_switched_off(
    nation: SmallNation,
) -> None:
    raw = request(
        nation,
        client=CLIENT_WITHOUT_GRANT,
        service=DISABLED_SERVICE,
        body=body_for(DISABLED_SERVICE),
    )

    with pytest.raises(errors.AccessDenied):
        authorised(raw, nation)
