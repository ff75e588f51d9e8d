"""The rules of the past come back from the texts of the log, and only from those very texts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bus.audit.past_rules import PastRules
from bus.audit.sqlite.source import open_folder
from bus.core.canonical_json import canonical_json
from bus.core.errors import BusError, LogCorrupt
from bus.core.pipeline import Refusal, decide
from bus.judging.rules import RulesText, read_rules
from bus.judging.rules_manifest import restore_rules
from bus.log.opening import open_log
from bus.protocols.soap_xroad.parse import parse
from signing.signed_note import SigningKey
from tests.nation import CLIENT, CLIENT_WITHOUT_GRANT, NOW, SmallNation, request


def _reader(ruled: RulesText) -> Callable[[bytes], bytes]:
    texts = {hashlib.sha256(text).digest(): text for text in ruled.texts}

    def read(digest: bytes) -> bytes:
        if digest not in texts:
            raise LogCorrupt("no such text")
        return texts[digest]

    return read


def test_rules_that_come_back_judge_as_the_first_ones_did(nation: SmallNation) -> None:
    ruled = read_rules(nation.settings)
    again = restore_rules(ruled.rules.digest, _reader(ruled))
    for raw in (
        request(nation),
        request(nation, client=CLIENT_WITHOUT_GRANT),
        request(nation, body=b'<p:TraCuuThongTinCongDan xmlns:p="http://dancuquocgia.bca"/>'),
    ):
        first, second = (decide(raw, parse, rules, NOW) for rules in (ruled.rules, again))
        assert type(first) is type(second)
        if isinstance(first, Refusal):
            assert isinstance(second, Refusal)
            assert str(first.error) == str(second.error)
    assert again.digest == ruled.rules.digest


def test_certificates_that_were_known_are_known_again(nation: SmallNation) -> None:
    files = (nation.folder / "keys" / "VN-GOV-H41-motcua.crt",)
    settings = replace(nation.settings, trust=replace(nation.settings.trust, certificates=files))
    ruled = read_rules(settings)

    again = restore_rules(ruled.rules.digest, _reader(ruled))

    assert ruled.rules.trust.known.certificates == (nation.signers[CLIENT].certificate_der,)
    assert again.trust.known.certificates == ruled.rules.trust.known.certificates


def test_rules_from_before_certificates_could_be_known_come_back(nation: SmallNation) -> None:
    ruled = read_rules(nation.settings)
    manifest = json.loads(ruled.texts[0])
    del manifest["certificates"]
    older = RulesText(ruled.rules, (canonical_json(manifest), *ruled.texts[1:]))

    again = restore_rules(hashlib.sha256(older.texts[0]).digest(), _reader(older))

    assert again.trust.known.certificates == ()
    assert again.trust.anchors == ruled.rules.trust.anchors


@pytest.mark.parametrize("place", range(4))
def test_a_text_that_is_missing_or_changed_brings_no_rules_back(
    place: int, nation: SmallNation
) -> None:
    ruled = read_rules(nation.settings)
    digest = hashlib.sha256(ruled.texts[place]).digest()
    honest = _reader(ruled)

    def changed(wanted: bytes) -> bytes:
        return honest(wanted) + b" " if wanted == digest else honest(wanted)

    def missing(wanted: bytes) -> bytes:
        return honest(bytes(32)) if wanted == digest else honest(wanted)

    for read in (changed, missing):
        with pytest.raises(BusError):
            restore_rules(ruled.rules.digest, read)


def test_a_log_gives_back_the_rules_that_it_keeps_and_no_others(
    nation: SmallNation, tmp_path: Path
) -> None:
    ruled = read_rules(nation.settings)

    async def write() -> None:
        key = SigningKey("lienthong.example/test", Ed25519PrivateKey.generate())
        log = open_log(tmp_path / "log", key=key)
        for text in ruled.texts:
            await log.append_text(text)
        await log.append_text(b"not a manifest")
        await log.close()

    asyncio.run(write())
    with open_folder(tmp_path / "log") as source, PastRules(source) as past:
        found = past.rules(ruled.rules.digest)
        assert found is not None
        assert past.rules(ruled.rules.digest) is found
        assert past.rules(bytes(32)) is None
        assert past.rules(hashlib.sha256(b"not a manifest").digest()) is None
