"""What values show of themselves, in a log or a traceback, is neither payload nor key."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import signing

HIDDEN: dict[str, set[str]] = {
    "Attachment": {"headers", "digests", "chunks"},
    "CanonicalPart": {"canonical", "reference"},
    "CanonicalParts": {"canonical", "references"},
    "Covered": {"elements"},
    "Evidence": {"der"},
    "Good": {"evidence"},
    "InlinedPart": {"pieces"},
    "KeyFile": {"private_key"},
    "Link": {"der", "issuer_der", "issuer_name"},
    "NamedCertificate": {"der", "names", "public_key"},
    "Revoked": {"evidence"},
    "Signer": {"private_key", "certificate", "certificate_der", "chain", "sign"},
    "SigningKey": {"private_key", "key_id"},
    "ValidatedCertificate": {"der", "public_key"},
    "_Known": {"said", "policy", "info"},
}


def values() -> Iterator[Any]:
    for module in pkgutil.walk_packages(signing.__path__, "signing."):
        for one in vars(importlib.import_module(module.name)).values():
            if isinstance(one, type) and is_dataclass(one) and one.__module__ == module.name:
                yield one


def test_each_value_hides_what_others_wrote_and_what_is_secret() -> None:
    hidden = {
        one.__name__: {each.name for each in fields(one) if not each.repr} for one in values()
    }

    assert {name: names for name, names in hidden.items() if names} == HIDDEN
