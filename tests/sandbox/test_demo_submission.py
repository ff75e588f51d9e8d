"""The demo goes on only if an audit accounts for every delivery that it showed."""

from __future__ import annotations

import pytest

from bus.audit.checks.conservation import DeliveryAccounts, DeliveryClass
from bus.core.identifiers import ServiceId, SubsystemId
from bus.kit.shown_facts import ShownFact
from bus.sandbox.demo_cast import DocumentPlayed
from bus.sandbox.demo_stage import DemoFailed
from bus.sandbox.demo_submission import check_accounts

FIRST, SECOND, THIRD = (SubsystemId.parse(f"VN/GOV/H0{one}/vanban") for one in (1, 2, 3))
PLAYED = DocumentPlayed(
    ServiceId.parse("VN/GOV/G22/vanban/Gui/v1"),
    (ShownFact("Số", "number"),),
    SubsystemId.parse("VN/GOV/G22/vanban"),
    "offices",
    FIRST,
    (FIRST, SECOND),
    (THIRD,),
)


def accounts(*kinds: DeliveryClass) -> DeliveryAccounts:
    """One submission whose deliveries came to these."""
    counted = DeliveryAccounts(submissions=1)
    for recipient, kind in zip((FIRST, SECOND, THIRD), kinds, strict=False):
        counted.add(str(recipient), kind, 1)
    return counted


DELIVERED, PENDING = DeliveryClass.DELIVERED, DeliveryClass.PENDING


def test_what_was_brought_and_what_was_fetched_is_delivered() -> None:
    told = list(check_accounts(PLAYED, accounts(DELIVERED, DELIVERED, DELIVERED), reports=3))

    assert told[0] == (
        "deliveries: 3 accepted = 3 delivered + 0 refused + 0 dead-lettered + 0 expired + 0 pending"
    )
    assert told[1].startswith("3 words of recipients")


@pytest.mark.parametrize(
    "kinds",
    [
        (DELIVERED, DELIVERED, PENDING),
        (DELIVERED, PENDING, PENDING),
        (DELIVERED, DELIVERED),
        (DELIVERED, DeliveryClass.DEAD, PENDING),
        (),
    ],
)
def test_a_delivery_that_is_not_accounted_for_ends_the_demo(
    kinds: tuple[DeliveryClass, ...],
) -> None:
    with pytest.raises(DemoFailed, match="does not account for every delivery"):
        list(check_accounts(PLAYED, accounts(*kinds), reports=3))


def test_a_recipient_whose_word_was_not_proved_ends_the_demo() -> None:
    with pytest.raises(DemoFailed, match="proved 2 words of 3 recipients"):
        list(check_accounts(PLAYED, accounts(DELIVERED, DELIVERED, DELIVERED), reports=2))


def test_where_no_document_was_played_nothing_is_told() -> None:
    assert list(check_accounts(None, DeliveryAccounts(), reports=0)) == []
