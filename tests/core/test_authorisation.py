"""No grant, no passage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bus.core import errors
from bus.core.authorisation import AuthorisedMessage, authorise
from bus.core.identifiers import MemberId, SecurityServerId, ServiceId, SubsystemId
from bus.core.mailbox_services import MAILBOX_ADAPTER, MAILBOX_CODES
from bus.core.metaservices import METASERVICE_ADAPTER, NAMESPACE
from bus.core.registry import MemberRegistry
from bus.core.verification import verify
from bus.protocols.soap_xroad.parse import parse
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    DISABLED_SERVICE,
    HUB,
    LOOKUP,
    NOTICE,
    NOW,
    SAMPLE,
    SmallNation,
    request,
)


def authorised(
    raw: bytes, nation: SmallNation, changed: MemberRegistry | None = None
) -> AuthorisedMessage:
    rules = nation.rules
    proved = verify(parse(raw, rules.registry.limits), rules.registry, rules.trust, NOW)
    return authorise(proved, changed or rules.registry)


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
    grants = {key: grant for key, grant in nation.rules.registry.grants.items() if key[0] != CLIENT}

    with pytest.raises(errors.AccessDenied):
        authorised(request(nation), nation, replace(nation.rules.registry, grants=grants))


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
    known = nation.rules.registry
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


# --- the server, the provider --------------------------------------------------------------------


def naming_server(nation: SmallNation, member: str, code: str) -> AuthorisedMessage:
    rules = nation.rules
    proved = verify(parse(request(nation), rules.registry.limits), rules.registry, rules.trust, NOW)
    server = SecurityServerId(MemberId.parse(member), code)
    return authorise(
        replace(proved, envelope=replace(proved.envelope, security_server=server)), rules.registry
    )


def test_a_request_may_name_this_hub_as_its_security_server(nation: SmallNation) -> None:
    hub = nation.rules.registry.hub

    message = naming_server(nation, str(hub.member), hub.subsystem_code)

    assert message.service.id == LOOKUP


@pytest.mark.parametrize(
    ("member", "code"), [("VN/GOV/G22", "khac"), ("VN/GOV/G01", "truclienthong")]
)
def test_a_request_for_another_security_server_is_refused(
    nation: SmallNation, member: str, code: str
) -> None:
    with pytest.raises(errors.SecurityServerInvalid, match=f"{member}/{code}"):
        naming_server(nation, member, code)


def test_while_an_agency_rests_its_notice_is_told(nation: SmallNation) -> None:
    members = dict(nation.rules.registry.members)
    provider = LOOKUP.provider.member
    members[provider] = replace(members[provider], maintenance="Bảo trì đến 18 giờ")

    with pytest.raises(errors.RouteSuspended) as caught:
        authorised(request(nation), nation, replace(nation.rules.registry, members=members))

    assert caught.value.public_detail == "Bảo trì đến 18 giờ"


# --- metaservices --------------------------------------------------------------------------------


def metaservice_request(nation: SmallNation, service: str, client: SubsystemId = CLIENT) -> bytes:
    asked = ServiceId.parse(service)
    body = f'<x:{asked.service_code} xmlns:x="{NAMESPACE}"/>'.encode()
    return request(nation, client=client, service=asked, body=body)


@pytest.mark.parametrize("code", ["listMethods", "allowedMethods", "getWsdl"])
@pytest.mark.parametrize("client", [CLIENT, CLIENT_WITHOUT_GRANT])
def test_every_registered_client_may_use_the_metaservices_of_a_provider(
    nation: SmallNation, code: str, client: SubsystemId
) -> None:
    for version in ("", "v9"):
        service = f"VN/GOV/G01/dancu/{code}/{version}"

        message = authorised(metaservice_request(nation, service, client), nation)

        assert (message.service.id, message.service.adapter) == (
            ServiceId.parse(service),
            METASERVICE_ADAPTER,
        )
        assert (message.grant.client, message.grant.service) == (client, message.service.id)


@pytest.mark.parametrize("code", sorted(MAILBOX_CODES))
@pytest.mark.parametrize("client", [CLIENT, CLIENT_WITHOUT_GRANT])
def test_every_registered_client_may_use_its_own_mailbox_at_the_hub(
    nation: SmallNation, code: str, client: SubsystemId
) -> None:
    raw = metaservice_request(nation, f"{HUB}/{code}/", client)
    members = dict(nation.rules.registry.members)
    members[HUB.member] = replace(members[HUB.member], maintenance="Bảo trì đến 18 giờ")

    for registry in (None, replace(nation.rules.registry, members=members)):
        message = authorised(raw, nation, registry) if registry else authorised(raw, nation)

        assert message.service.adapter == MAILBOX_ADAPTER
        assert (message.grant.client, message.grant.service) == (client, message.service.id)


@pytest.mark.parametrize("service", ["VN/GOV/H41/motcua/listMessages/", f"{HUB}/listMessages/v1"])
def test_the_hub_alone_has_mailboxes_without_a_version(nation: SmallNation, service: str) -> None:
    with pytest.raises(errors.ServiceUnknown):
        authorised(metaservice_request(nation, service), nation)


@pytest.mark.parametrize(
    "service", ["VN/GOV/H41/motcua/listMethods/", "VN/GOV/G01/dancu/listClients/"]
)
def test_where_nothing_is_offered_there_are_no_metaservices(
    nation: SmallNation, service: str
) -> None:
    with pytest.raises(errors.ServiceUnknown):
        authorised(metaservice_request(nation, service), nation)


def test_a_version_that_there_is_not_is_unknown(nation: SmallNation) -> None:
    with pytest.raises(errors.ServiceUnknown, match="not registered"):
        authorised(request(nation, service=replace(LOOKUP, service_version="v9")), nation)
