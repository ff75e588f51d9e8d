"""What one-stop systems did with dossiers reaches the portal, once each and in words of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree

from adapters.public_service_portal.adapter import NAMESPACE, PublicServicePortalAdapter
from bus.kit.contract import (
    AccountRefused,
    AdapterSettings,
    Delivered,
    PayloadRejected,
    RecipientUnavailable,
    Rejected,
)
from tests.adapters.running_agencies import MANIFESTS, RunningAgency, submission

SERVICE = "VN/GOV/G22/dichvucong/CapNhatTienDoHoSoMC/v1"
PORTAL = "VN/GOV/G22/dichvucong"
SAMPLE = MANIFESTS["public_service_portal"].services[0].sample.read_bytes()


@pytest.fixture
def portal(running_agency: Callable[[str], RunningAgency]) -> RunningAgency:
    return running_agency("public_service_portal")


@pytest.fixture
def adapter(portal: RunningAgency) -> Iterator[PublicServicePortalAdapter]:
    adapter = PublicServicePortalAdapter(portal.settings)
    yield adapter
    adapter.close()


def step(key: str, *, state: str = "2") -> Any:
    payload = SAMPLE.replace(b"TrangThai>2<", b"TrangThai>%s<" % state.encode())
    return submission(SERVICE, PORTAL, payload, key=key)


def taken(portal: RunningAgency, key: str) -> list[dict[str, str]]:
    return [one for one in json.loads(portal.post("/_taken")) if one["key"] == key]


def said(result: object) -> dict[str, str]:
    assert isinstance(result, Delivered)
    assert result.element is not None
    return {etree.QName(one).localname: one.text or "" for one in result.element}


def test_a_step_arrives_with_every_field(
    portal: RunningAgency, adapter: PublicServicePortalAdapter
) -> None:
    result = adapter.deliver(step("k-whole"))

    assert said(result)["MaHoSo"] == "000.00.00.H41-260901-0001"
    (one,) = taken(portal, "k-whole")
    sent = {etree.QName(child).localname: child.text for child in etree.fromstring(SAMPLE)}
    assert one == {"key": "k-whole", **sent}


def test_a_copy_has_no_second_effect_and_gets_the_first_answer(
    portal: RunningAgency, adapter: PublicServicePortalAdapter
) -> None:
    first = adapter.deliver(step("k-twice"))
    second = adapter.deliver(step("k-twice"))
    other = adapter.deliver(step("k-other", state="4"))

    assert said(first) == said(second)
    assert said(other)["result"] != said(first)["result"]
    assert len(taken(portal, "k-twice")) == 1


def test_a_session_that_ended_is_replaced(
    portal: RunningAgency, adapter: PublicServicePortalAdapter
) -> None:
    adapter.deliver(step("k-before"))
    portal.post("/_forget_sessions")

    assert said(adapter.deliver(step("k-after")))["error_code"] == "00"


def test_what_the_portal_refuses_is_refused_with_its_code_and_words(
    portal: RunningAgency, adapter: PublicServicePortalAdapter
) -> None:
    with portal.fault("refuse"):
        result = adapter.deliver(step("k-refused"))

    assert result == Rejected("03", "Hồ sơ không thuộc đơn vị")
    assert taken(portal, "k-refused") == []


@pytest.mark.parametrize("mode", ["down", "garbage"])
def test_a_portal_in_trouble_is_tried_again(
    mode: str, portal: RunningAgency, adapter: PublicServicePortalAdapter
) -> None:
    with portal.fault(mode), pytest.raises(RecipientUnavailable):
        adapter.deliver(step(f"k-{mode}"))


def test_an_account_that_is_not_known_is_the_hubs_trouble(portal: RunningAgency) -> None:
    settings: AdapterSettings = {**portal.settings, "password": "khác"}
    adapter = PublicServicePortalAdapter(settings)

    with pytest.raises(AccountRefused):
        adapter.deliver(step("k-account"))
    adapter.close()


def test_another_service_is_not_carried(adapter: PublicServicePortalAdapter) -> None:
    with pytest.raises(PayloadRejected):
        adapter.deliver(submission(SERVICE.replace("Nhat", "nhat"), PORTAL, SAMPLE))


def test_an_answer_says_the_dossier_in_the_schemas_namespace(
    adapter: PublicServicePortalAdapter,
) -> None:
    result = adapter.deliver(step("k-namespace"))

    assert isinstance(result, Delivered)
    assert result.element is not None
    assert result.element.tag == f"{{{NAMESPACE}}}CapNhatTienDoHoSoMCResponse"
