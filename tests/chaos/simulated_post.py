"""Messages of a simulation: signed and judged once, for every seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.core.decision import Accepted
from bus.core.request_decision import decide_whole
from bus.protocols.soap_xroad.wire import SOAP_XROAD
from tests.chaos.simulated_plan import MESSAGES_MAX
from tests.nation import NOW, SmallNation, request

CASES = ("", "case-1", "case-2")


@dataclass(frozen=True, slots=True)
class Post:
    """Messages that were signed and judged once, for every run."""

    nation: SmallNation
    folder: Path
    raw: Mapping[str, bytes]
    decided: Mapping[str, Accepted]
    """By message id."""

    @staticmethod
    def prepare(nation: SmallNation, folder: Path) -> Post:
        raw, decided = {}, {}
        signer = nation.client_signers["ed25519"]
        for case in CASES:
            for number in range(MESSAGES_MAX):
                name = f"sim-{case or 'none'}-{number}"
                raw[name] = request(nation, name, signer=signer, issue=case)
                made = decide_whole(SOAP_XROAD, raw[name], nation.rules, NOW)
                assert isinstance(made, Accepted)
                decided[name] = made
        return Post(nation, folder, raw, decided)
