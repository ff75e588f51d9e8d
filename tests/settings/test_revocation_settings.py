"""What hub.yaml says of revocation is read strictly, and goes into the log with the rules."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bus.core.canonical_json import canonical_json
from bus.core.errors import ConfigurationError
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.judging.rules import RulesText, read_rules
from bus.judging.rules_manifest import restore_rules
from bus.settings.hub import read_hub_settings
from bus.settings.revocation import RevocationSettings
from tests.nation import SmallNation


def read(
    nation: SmallNation, folder: Path, section: dict[str, object] | None
) -> RevocationSettings:
    values = yaml.safe_load((nation.folder / "hub.yaml").read_text())
    del values["revocation"]
    if section is not None:
        values["revocation"] = section
    (folder / "hub.yaml").write_text(yaml.safe_dump(values))
    return read_hub_settings(folder / "hub.yaml").revocation


def test_without_a_word_everybody_must_be_known_to_be_good(
    nation: SmallNation, tmp_path: Path
) -> None:
    sections: tuple[dict[str, Any] | None, ...] = (None, {})
    for section in sections:
        assert read(nation, tmp_path, section) == RevocationSettings(
            policy=RevocationPolicy(RevocationCheck.REQUIRED, 3600),
            refresh_seconds=300,
            fetch_seconds=5,
            cache=tmp_path / "state" / "revocation",
        )


def test_every_word_counts(nation: SmallNation, tmp_path: Path) -> None:
    section: dict[str, object] = {
        "check": "where-named",
        "grace_seconds": 0,
        "refresh_seconds": 60,
        "fetch_seconds": 2,
        "ocsp_url": "http://ocsp.example:8080/ocsp?x=1",
        "crls": ["trust/ca.crl", "/etc/ca.crl", "https://ca.example/ca.crl"],
        "cache": "/var/cache/lienthong",
    }

    assert read(nation, tmp_path, section) == RevocationSettings(
        policy=RevocationPolicy(RevocationCheck.WHERE_NAMED, 0),
        refresh_seconds=60,
        fetch_seconds=2,
        cache=Path("/var/cache/lienthong"),
        ocsp_url="http://ocsp.example:8080/ocsp?x=1",
        crls=(tmp_path / "trust" / "ca.crl", Path("/etc/ca.crl"), "https://ca.example/ca.crl"),
    )


@pytest.mark.parametrize(
    "section",
    [
        {"check": "soft"},
        {"check": False},  # what YAML makes of `off`
        {"grace_seconds": -1},
        {"grace_seconds": 8 * 86400},
        {"refresh_seconds": 0},
        {"fetch_seconds": 61},
        {"ocsp_url": "ldap://ocsp.example/"},
        {"crls": "ca.crl"},
        {"soft_fail": True},
    ],
)
def test_what_is_not_meant_is_refused(
    section: dict[str, object], nation: SmallNation, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="revocation"):
        read(nation, tmp_path, section)


# --- in the rules that the log keeps -------------------------------------------------------------


def ruled(nation: SmallNation, policy: RevocationPolicy) -> RulesText:
    asked = replace(nation.settings.revocation, policy=policy)
    return read_rules(replace(nation.settings, revocation=asked))


@pytest.mark.parametrize("check", RevocationCheck)
def test_the_policy_of_the_past_comes_back_with_the_rules(
    check: RevocationCheck, nation: SmallNation
) -> None:
    policy = RevocationPolicy(check, 77)
    found = ruled(nation, policy)
    texts = {hashlib.sha256(text).digest(): text for text in found.texts}

    assert found.rules.revocation == policy
    assert restore_rules(found.rules.digest, texts.__getitem__).revocation == policy


def test_another_policy_is_another_set_of_rules(nation: SmallNation) -> None:
    policies = [
        RevocationPolicy(RevocationCheck.REQUIRED, 1),
        RevocationPolicy(RevocationCheck.REQUIRED, 2),
        RevocationPolicy(RevocationCheck.WHERE_NAMED, 1),
    ]

    assert len({ruled(nation, policy).rules.digest for policy in policies}) == len(policies)


def test_rules_from_before_asked_nothing(nation: SmallNation) -> None:
    found = ruled(nation, RevocationPolicy(RevocationCheck.REQUIRED))
    manifest = json.loads(found.texts[0])
    del manifest["revocation"]
    old = canonical_json(manifest)
    texts = {hashlib.sha256(text).digest(): text for text in (old, *found.texts)}

    restored = restore_rules(hashlib.sha256(old).digest(), texts.__getitem__)

    assert restored.revocation.is_off
