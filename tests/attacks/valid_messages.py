"""Valid messages that foreign stacks signed once, and the nation under which they are valid."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from bus.judging.rules import read_rules
from tests.attacks.authorities import SECOND_ROOT, authorities, intermediates
from tests.attacks.keys import FOLDER, key_file
from tests.nation import SmallNation, make_small_nation

NAMED_CERTIFICATES = ("h41-rsa", "h41-p256")
"""Of senders that name theirs in messages without sending it."""


@dataclass(frozen=True, slots=True)
class ValidMessage:
    """A message as a foreign stack sends it: signed, whole, and accepted as of its moment."""

    name: str
    stack: str
    version: str
    how: str
    moment: datetime
    raw: bytes = field(repr=False)


def valid_messages() -> dict[str, ValidMessage]:
    """Every captured message by name, as the manifest lists them."""
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    return {
        entry["name"]: ValidMessage(
            entry["name"],
            entry["stack"],
            entry["version"],
            entry["how"],
            datetime.fromisoformat(entry["moment"]),
            (FOLDER / entry["file"]).read_bytes(),
        )
        for entry in manifest["messages"]
    }


def corpus_nation(folder: Path) -> SmallNation:
    """The small nation of the tests under the authority of the corpus, and the ones beside it."""
    for name, path in (("authority.key", "authority/ca.key"), ("authority.crt", "trust/ca.crt")):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(key_file(name), target)
    nation = make_small_nation(folder)
    trust = nation.settings.trust
    second_root = folder / "trust" / "second-root.crt"
    second_root.write_bytes(authorities()[SECOND_ROOT].certificate.public_bytes(Encoding.PEM))
    between = folder / "trust" / "between.crt"
    between.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in intermediates()))
    settings = replace(
        nation.settings,
        trust=replace(
            trust,
            anchors=(*trust.anchors, second_root),
            intermediates=(*trust.intermediates, between),
            certificates=tuple(key_file(f"{name}.crt") for name in NAMED_CERTIFICATES),
        ),
    )
    return replace(nation, settings=settings, rules=read_rules(settings).rules)
