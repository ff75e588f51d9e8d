"""What foreign stacks send is accepted as it was captured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import pytest

from bus.core.pipeline import decide
from bus.core.routing import RoutedMessage
from bus.protocols.soap_xroad.parse import parse
from tests.attacks.cases import Stage
from tests.attacks.keys import FOLDER
from tests.attacks.valid_messages import ValidMessage, valid_messages
from tests.nation import CLIENT, LOOKUP, SmallNation

NAMES = sorted(valid_messages())


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_message_is_accepted_as_of_its_moment(
    name: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    message = valid[name]

    result = decide(message.raw, parse, corpus.rules, message.moment)

    assert isinstance(result, RoutedMessage), result
    verified = result.valid.authorised.verified
    assert (verified.envelope.client, verified.envelope.service) == (CLIENT, LOOKUP)
    assert CLIENT.member == verified.sender


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["h41-rsa", "h41-p256"])
def test_a_message_that_is_signed_anew_with_nothing_wrong_is_accepted(
    name: str, key: str, corpus: SmallNation, valid: Mapping[str, ValidMessage]
) -> None:
    stage = Stage(corpus, valid[name], valid)

    result = decide(stage.signed(hand=stage.hand(key)), parse, corpus.rules, valid[name].moment)

    assert isinstance(result, RoutedMessage), result


def test_at_least_four_stacks_were_captured_each_in_a_file_that_nobody_touched(
    valid: Mapping[str, ValidMessage],
) -> None:
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))

    assert len({message.stack for message in valid.values()}) >= 4
    for entry in manifest["messages"]:
        found = hashlib.sha256((FOLDER / entry["file"]).read_bytes()).hexdigest()
        assert entry["sha256"] == found, entry["name"]
    assert {one.name for one in FOLDER.glob("*.xml")} == {
        entry["file"] for entry in manifest["messages"]
    }
