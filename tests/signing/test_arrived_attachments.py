"""An attachment is what arrived, wherever its bytes lie."""

from __future__ import annotations

from dataclasses import replace

from tests.signing.wss.handmade import attachment

PDF = b"%PDF-1.7"


def test_what_arrived_alike_is_alike_wherever_it_lies() -> None:
    one = attachment(PDF)

    assert one == replace(one, chunks=lambda: iter([PDF]))
    assert one != attachment(PDF, "a2@example.vn")
    assert one != attachment(PDF, media_type="text/plain")
    assert one != attachment(PDF + b" ")
