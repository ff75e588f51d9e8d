"""What tests share: one small nation a session."""

from __future__ import annotations

import pytest

from tests.nation import SmallNation, make_small_nation


@pytest.fixture(scope="session")
def nation(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_small_nation(tmp_path_factory.mktemp("small-nation"))
