"""Values of deliveries say what they should."""

from __future__ import annotations

from bus.core.deliveries import DeliveryState, RecipientCounts


def test_a_dead_letter_is_not_pending_and_all_else_is() -> None:
    counts = dict.fromkeys(DeliveryState, 1)
    assert RecipientCounts(counts).pending == len(DeliveryState) - 1
    assert RecipientCounts({DeliveryState.WAITING: 3}).pending == 3
    assert RecipientCounts({DeliveryState.DEAD: 3}).pending == 0
