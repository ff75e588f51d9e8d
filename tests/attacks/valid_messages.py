"""Valid messages that foreign stacks signed once, and the nation under which they are valid."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from signing.keys import Signer, load_certificate, load_private_key, make_signer
from tests.nation import NOW, SmallNation, make_small_nation

FOLDER = Path(__file__).with_name("valid")
KEYS = FOLDER / "keys"
CAPTURED_AT = NOW
"""The moment that the stacks were told it is."""


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
    """The small nation of the tests under the authority of the corpus."""
    for name, path in (("authority.key", "authority/ca.key"), ("authority.crt", "trust/ca.crt")):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(KEYS / f"EXAMPLE-ONLY-{name}", target)
    return make_small_nation(folder)


def corpus_signer(name: str) -> Signer:
    """A signer whose key is in the repository: `h41-rsa`, `h41-p256` or `h26-rsa`."""
    key = load_private_key((KEYS / f"EXAMPLE-ONLY-{name}.key").read_bytes())
    certificate = load_certificate((KEYS / f"EXAMPLE-ONLY-{name}.crt").read_bytes())
    return make_signer(key, certificate)
