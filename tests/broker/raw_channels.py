"""Channels of pika that no broker stands behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class RawChannel:
    """As much of a channel of pika as is used to hand in."""

    def __init__(self, *, is_refusing: bool = False) -> None:
        self._is_refusing = is_refusing
        self._number = 0
        self._closed: Callable[..., None] = lambda *_: None
        self._confirm: Callable[[Any], None] = lambda _: None

    def add_on_close_callback(self, callback: Callable[..., None]) -> None:
        self._closed = callback

    def add_on_return_callback(self, _: Callable[..., None]) -> None:
        """Nothing is returned."""

    def confirm_delivery(
        self, confirm: Callable[[Any], None], callback: Callable[[Any], None]
    ) -> None:
        self._confirm = confirm
        callback(None)

    def basic_publish(self, _exchange: str, key: str, *_: Any, **__: Any) -> None:
        self._number += 1
        is_refused = self._is_refusing and key == "full"
        name = "Basic.Nack" if is_refused else "Basic.Ack"
        method = SimpleNamespace(NAME=name, delivery_tag=self._number, multiple=False)
        asyncio.get_running_loop().call_soon(self._confirm, SimpleNamespace(method=method))

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self._closed, self, OSError())
