"""What the tests of the corpus share: its nation, and the valid messages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.attacks.valid_messages import ValidMessage, corpus_nation, valid_messages
from tests.nation import SmallNation


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    """The nation under whose authority the captured messages were signed."""
    return corpus_nation(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def valid() -> Mapping[str, ValidMessage]:
    return valid_messages()
