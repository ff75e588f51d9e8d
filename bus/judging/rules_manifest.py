"""The text that names every other text of the rules: written to the log, and read back."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bus.core.errors import LogCorrupt
from bus.core.pipeline import Rules
from bus.core.registry import MemberRegistry
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import parse_registry
from signing.pki.certificates import TrustStore

MANIFEST_ALONE = 1
"""The form of a manifest whose schemas are one file each."""
MANIFEST_OF_SETS = 2
"""The form of one whose schemas include or import further files, all of them under `schemas`."""
ReadText = Callable[[bytes], bytes]


def restore_rules(digest: bytes, read_text: ReadText) -> Rules:
    """The rules that `digest` names, compiled anew from texts.

    The text of that digest is the manifest that `bus.hub` writes: it names every other one.
    Raises LogCorrupt: a text is missing, was changed, or does not have its form.
    """
    manifest: dict[str, Any] = json.loads(_text(digest, read_text))
    registry = parse_registry(
        _text(bytes.fromhex(manifest["routes"]), read_text), file="routes.yaml"
    )
    compiled = _compile(manifest, registry, read_text)
    # Logs from before certificates could be known beforehand name none.
    anchors, intermediates, certificates = (
        [base64.b64decode(one, validate=True) for one in named]
        for named in (
            manifest["anchors"],
            manifest["intermediates"],
            manifest.get("certificates", []),
        )
    )
    return Rules(
        registry=registry,
        trust=TrustStore(anchors, intermediates, certificates),
        schemas={known: compiled[service.schema] for known, service in registry.services.items()},
        digest=digest,
        revocation=_revocation_policy(manifest.get("revocation")),
    )


def _revocation_policy(values: dict[str, Any] | None) -> RevocationPolicy:
    if values is None:  # written before revocation was asked of certificates
        return RevocationPolicy(RevocationCheck.NONE)
    return RevocationPolicy(RevocationCheck(values["check"]), int(values["grace_seconds"]))


def _text(digest: bytes, read_text: ReadText) -> bytes:
    text = read_text(digest)
    if hashlib.sha256(text).digest() != digest:
        raise LogCorrupt(f"the text {digest.hex()} was changed")
    return text


def _compile(
    manifest: dict[str, Any], registry: MemberRegistry, read_text: ReadText
) -> dict[str, CompiledSchema]:
    """The schemas of all services, from texts alone: nothing is read from the disk."""
    digests = manifest["schemas"]
    if manifest["v"] not in (MANIFEST_ALONE, MANIFEST_OF_SETS):
        raise LogCorrupt(f"rules of the form {manifest['v']} are not known")

    def read(name: str) -> bytes:
        if name not in digests:
            raise FileNotFoundError(errno.ENOENT, "it is not among the texts of the rules", name)
        return _text(bytes.fromhex(digests[name]), read_text)

    # Programs that kept one file of each schema left out what could not be imported.
    is_alone = manifest["v"] == MANIFEST_ALONE
    return {
        path: CompiledSchema(Path(path), within=Path(), read=read, is_alone=is_alone)
        for path in sorted({service.schema for service in registry.services.values()})
    }
