"""Read the rules of one deployment: routes, anchors, schemas, and how revocation is decided."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from bus.core.canonical_json import canonical_json
from bus.core.pipeline import Rules
from bus.judging.rules_manifest import MANIFEST_ALONE, MANIFEST_OF_SETS
from bus.settings.hub import HubSettings
from bus.settings.payload_schemas import CompiledSchema
from bus.settings.routes import read_registry
from bus.trust.certificate_checks import read_trust_store


@dataclass(frozen=True, slots=True)
class RulesText:
    """The rules with every text they are made of, so that the log can keep them."""

    rules: Rules
    texts: tuple[bytes, ...] = field(repr=False)


def read_rules(settings: HubSettings) -> RulesText:
    """Routes, anchors and schemas, compiled. Raises ConfigurationError."""
    registry = read_registry(settings.routes)
    trust = read_trust_store(settings.trust)
    compiled = {
        path: CompiledSchema(settings.schemas / path, within=settings.schemas)
        for path in sorted({service.schema for service in registry.services.values()})
    }
    texts = {name: text for one in compiled.values() for name, text in one.files.texts.items()}
    is_alone = all(len(one.files.texts) == 1 for one in compiled.values())
    # This text names every other one: whoever has it can make a decision of the past again.
    manifest = canonical_json(
        {
            "anchors": _in_base64(trust.anchors),
            "certificates": _in_base64(trust.known.certificates),
            "intermediates": _in_base64(trust.intermediates),
            "revocation": {
                "check": settings.revocation.policy.check.value,
                "grace_seconds": settings.revocation.policy.grace_seconds,
            },
            "routes": registry.digest.hex(),
            "schemas": {name: hashlib.sha256(text).hexdigest() for name, text in texts.items()},
            "v": MANIFEST_ALONE if is_alone else MANIFEST_OF_SETS,
        }
    )
    rules = Rules(
        registry=registry,
        trust=trust,
        schemas={known: compiled[service.schema] for known, service in registry.services.items()},
        digest=hashlib.sha256(manifest).digest(),
        revocation=settings.revocation.policy,
    )
    return RulesText(rules, (manifest, registry.text, *texts.values()))


def _in_base64(certificates: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(der).decode("ascii") for der in certificates]
