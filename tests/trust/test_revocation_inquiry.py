"""What is at hand is verified once; what is fetched is taken only if it proves something newer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.settings.revocation import RevocationSettings
from bus.trust import revocation_inquiry
from bus.trust.revocation_inquiry import EvidenceInquiry
from signing.pki.certificates import TrustStore
from signing.pki.revocation import Good, Revoked, Unknown
from tests.certificates import make_certificate, make_root
from tests.nation import NOW, der
from tests.revocation import about, make_crl, sources
from tests.revocation_server import StatusServer, status_server

ROOT = make_root("root", NOW)
MINUTE = timedelta(minutes=1)
Story = Callable[[EvidenceInquiry], Awaitable[None]]


@pytest.fixture
def authority() -> Iterator[StatusServer]:
    with status_server(ROOT) as server:
        yield server


def certificate(authority: StatusServer, **named: str) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    urls = {"ocsp_url": authority.ocsp_url, "crl_url": authority.crl_url, **named}
    made = make_certificate(ROOT, key.public_key(), NOW, extensions=sources(**urls))
    authority.known[made.serial_number] = made
    return made


def inquiring(folder: Path, story: Story) -> None:
    policy = RevocationPolicy(RevocationCheck.REQUIRED)
    settings = RevocationSettings(policy, 300, 1, folder / "cache")

    async def run() -> None:
        inquiry = EvidenceInquiry(TrustStore([der(ROOT.certificate)]), settings)
        try:
            await story(inquiry)
        finally:
            inquiry.close()

    asyncio.run(run())


def test_what_was_fetched_is_at_hand(authority: StatusServer, tmp_path: Path) -> None:
    one = certificate(authority)

    async def story(inquiry: EvidenceInquiry) -> None:
        assert isinstance(await inquiry.at_hand(der(one), NOW), Unknown)
        assert authority.asked == []
        await inquiry.fetch(der(one), NOW)
        assert isinstance(await inquiry.at_hand(der(one), NOW), Good)

    inquiring(tmp_path, story)


def test_the_same_evidence_is_verified_once(
    authority: StatusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_inquiry, "STATUSES_KEPT_MAX", 1)
    one, other = certificate(authority), certificate(authority)

    async def story(inquiry: EvidenceInquiry) -> None:
        for each in (one, other):
            await inquiry.fetch(der(each), NOW)
        first = await inquiry.at_hand(der(one), NOW)
        assert await inquiry.at_hand(der(one), NOW) is first
        await inquiry.at_hand(der(other), NOW)
        assert await inquiry.at_hand(der(one), NOW) is not first  # only so many are kept

    inquiring(tmp_path, story)


def test_a_source_that_fails_is_told_once_and_told_when_it_works_again(
    authority: StatusServer, tmp_path: Path
) -> None:
    one = certificate(authority, crl_url="")

    async def story(inquiry: EvidenceInquiry) -> None:
        authority.answer = lambda _: b"garbage"
        for _ in range(3):
            await inquiry.fetch(der(one), NOW)
        authority.answer = lambda _: b""
        await inquiry.fetch(der(one), NOW)
        authority.answer = None
        for _ in range(2):
            await inquiry.fetch(der(one), NOW)

    with capture_logs() as told:
        inquiring(tmp_path, story)

    assert [one["event"] for one in told] == [
        "revocation.source-failed",
        "revocation.source-failed",
        "revocation.source-works",
    ]
    assert told[0]["source"] == authority.ocsp_url
    assert told[0]["certificate"] == one.fingerprint(hashes.SHA256()).hex()
    assert told[0]["reason"] != told[1]["reason"]


def test_a_list_is_fetched_once_for_all_whom_it_speaks_of(
    authority: StatusServer, tmp_path: Path
) -> None:
    many = [certificate(authority, ocsp_url="") for _ in range(4)]

    async def story(inquiry: EvidenceInquiry) -> None:
        await asyncio.gather(*(inquiry.fetch(der(one), NOW) for one in many))
        await inquiry.fetch(der(many[0]), NOW + 4 * MINUTE)
        assert authority.asked_of("/ca.crl") == 1
        for one in many:
            assert isinstance(await inquiry.at_hand(der(one), NOW), Good)

        authority.time = later = NOW + 5 * MINUTE
        await inquiry.fetch(der(many[0]), later)
        assert authority.asked_of("/ca.crl") == 2

    inquiring(tmp_path, story)


def test_new_evidence_concerns_whom_it_names(authority: StatusServer, tmp_path: Path) -> None:
    named, other, unseen = (certificate(authority) for _ in range(3))
    listed = about(ROOT.certificate, make_crl(ROOT, NOW, {named: NOW, unseen: NOW}))
    answered = about(other, authority.lists())

    async def story(inquiry: EvidenceInquiry) -> None:
        for one in (named, other):
            await inquiry.at_hand(der(one), NOW)

        assert await inquiry.concerned([listed]) == {der(named)}
        response = about(other, bytes.fromhex("30030a0106"))
        assert await inquiry.concerned([response]) == {der(other)}
        assert await inquiry.concerned([answered]) == frozenset()

    inquiring(tmp_path, story)


def test_what_is_remembered_of_paths_is_bounded(
    authority: StatusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation_inquiry, "PATHS_KEPT_MAX", 1)
    monkeypatch.setattr(revocation_inquiry, "FAILING_REPORTED_MAX", 1)
    one, other = (certificate(authority) for _ in range(2))
    authority.revoked[other] = NOW - MINUTE

    async def story(inquiry: EvidenceInquiry) -> None:
        authority.answer, authority.serves_lists = (lambda _: b""), False
        for each in (one, other):
            await inquiry.fetch(der(each), NOW)
        assert inquiry.subjects(der(one)) == frozenset()
        assert len(inquiry.subjects(der(other))) == 2
        authority.answer = None
        await inquiry.fetch(der(other), NOW)
        assert isinstance(await inquiry.at_hand(der(other), NOW), Revoked)

    inquiring(tmp_path, story)
