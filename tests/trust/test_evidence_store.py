"""The newest evidence is kept over a restart; a lost or unwritable cache costs a question only."""

from __future__ import annotations

from pathlib import Path

from bus.trust.evidence_store import EvidenceStore
from signing.pki.revocation import Evidence, Good
from tests.nation import NOW

RESPONSE = Evidence(bytes([1] * 32), bytes.fromhex("30030a0106"))
LIST = Evidence(bytes([1] * 32), bytes.fromhex("30023000"))
OTHER = Evidence(bytes([2] * 32), bytes.fromhex("30030a0106"))


def proved(evidence: Evidence) -> Good:
    return Good(NOW, NOW, (evidence,))


def test_both_kinds_of_evidence_are_kept_and_come_back_after_a_restart(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path / "cache")
    assert store.about([RESPONSE.about]) == []

    for piece in (RESPONSE, LIST, OTHER, OTHER):
        store.keep(proved(piece))

    for one in (store, EvidenceStore(tmp_path / "cache")):
        assert one.about([RESPONSE.about]) == [RESPONSE, LIST]
        assert one.about([RESPONSE.about, OTHER.about]) == [RESPONSE, LIST, OTHER]


def test_newer_evidence_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path)
    newer = Evidence(RESPONSE.about, bytes.fromhex("30030a0101"))

    store.keep(proved(RESPONSE))
    store.keep(proved(newer))

    assert store.about([RESPONSE.about]) == [newer]
    assert EvidenceStore(tmp_path).about([RESPONSE.about]) == [newer]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_known_until_the_restart(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = EvidenceStore(tmp_path / "cache")

    store.keep(proved(RESPONSE))

    assert store.about([RESPONSE.about]) == [RESPONSE]
    assert EvidenceStore(tmp_path / "cache").about([RESPONSE.about]) == []


def test_only_so_much_is_kept_in_memory(tmp_path: Path) -> None:
    store = EvidenceStore(tmp_path, kept_max=1)

    store.keep(proved(RESPONSE))
    store.keep(proved(OTHER))

    assert store.about([OTHER.about]) == [OTHER]
    # What was let go lies on disk, and comes back when it is asked for.
    for piece in (RESPONSE, OTHER, RESPONSE):
        assert store.about([piece.about]) == [piece]
    # Without the disk there is what memory holds: the last one, and no other.
    for file in tmp_path.iterdir():
        file.unlink()
    assert store.about([OTHER.about]) == []
    assert store.about([RESPONSE.about]) == [RESPONSE]
