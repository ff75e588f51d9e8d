"""What tests share: one small nation a session."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.nation import SmallNation, make_small_nation

# How long an example takes says how busy the machine is: limits of a test are for what hangs.
settings.register_profile("lienthong", deadline=None)
settings.load_profile("lienthong")


@pytest.fixture(scope="session")
def nation(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return make_small_nation(tmp_path_factory.mktemp("small-nation"))
