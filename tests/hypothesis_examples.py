"""Bound how many examples properties are tried with, whatever each of them asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def bound_examples(items: Iterable[pytest.Item], max_examples: int, **more: Any) -> None:
    """No more examples than that for each; `more` are further settings of hypothesis."""
    for item in items:
        function = getattr(item, "obj", None)
        function = getattr(function, "__func__", function)
        chosen = getattr(function, "_hypothesis_internal_use_settings", None)
        if chosen is not None:
            function._hypothesis_internal_use_settings = settings(  # type: ignore[union-attr]
                chosen, max_examples=min(max_examples, chosen.max_examples), **more
            )
