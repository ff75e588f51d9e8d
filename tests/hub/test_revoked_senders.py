"""A revoked sender is told that and nothing else; nobody passes whose status nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.ocsp import load_der_ocsp_response
from cryptography.x509.oid import ExtendedKeyUsageOID

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log, open_log_reader
from bus.core import errors
from bus.core.log.leaf import Event
from bus.core.revocation import RevocationCheck, RevocationPolicy
from bus.judging import revocation_stage
from bus.log.message_log import HubLog
from bus.log.sealing import Sealer
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.settings.revocation import RevocationSettings
from bus.trust import revocation_watch
from bus.trust.key_store import read_symmetric_key
from bus.trust.revocation_sources import CRL_BYTES_MAX, OCSP_BYTES_MAX
from bus.trust.revocation_watch import RevocationWatch
from signing.pki.keys import Signer, make_signer
from tests.certificates import make_certificate, make_root
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.nation import (
    CLIENT,
    CLIENT_WITHOUT_GRANT,
    NOW,
    OTHER_CLIENT,
    SmallNation,
    der,
    request,
)
from tests.revocation import HOUR, make_crl, make_responder, ocsp_response, sources
from tests.revocation_server import StatusServer, status_server

MINUTE = timedelta(minutes=1)
GRACE = timedelta(minutes=10)
SOUND = "accepted"
REVOKED = errors.CertificateRevoked.code
UNKNOWN = errors.RevocationUnknown.code


@pytest.fixture
def authority(nation: SmallNation) -> Iterator[StatusServer]:
    with status_server(nation.issuer) as server:
        yield server


class Asking:
    """The watch of the hub that was opened last: a test says when it asks anew."""

    watch: RevocationWatch

    def open(self, *parts: Any, **settings: Any) -> RevocationWatch:
        self.watch = RevocationWatch(*parts, **settings)
        return self.watch

    async def again(self, about: Sender) -> None:
        await self.watch.refresh(about.signer.certificate_sha256)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Asking:
    asking = Asking()
    monkeypatch.setattr(revocation_stage, "RevocationWatch", asking.open)
    # By itself it would ask whenever a story takes a second, for the clock of which hours pass.
    monkeypatch.setattr(revocation_watch, "TURN_SECONDS", 3600)
    return asking


@dataclass(frozen=True, slots=True)
class Sender:
    """A system with a certificate that says where its status can be asked."""

    nation: SmallNation
    signer: Signer
    certificate: x509.Certificate
    client: object

    def request(self, message_id: str, at: datetime = NOW) -> bytes:
        return request(
            self.nation,
            message_id,
            client=self.client,  # type: ignore[arg-type]
            signer=self.signer,
            created=at,
        )


def sender(
    nation: SmallNation,
    authority: StatusServer,
    *,
    client: object = CLIENT,
    ocsp: bool = True,
    crl: bool = True,
) -> Sender:
    key = ec.generate_private_key(ec.SECP256R1())
    named = sources(
        ocsp_url=authority.ocsp_url if ocsp else "", crl_url=authority.crl_url if crl else ""
    )
    certificate = make_certificate(
        nation.issuer,
        key.public_key(),
        NOW,
        identifier=str(client.member),  # type: ignore[attr-defined]
        extensions=named,
    )
    authority.known[certificate.serial_number] = certificate
    return Sender(nation, make_signer(key, certificate), certificate, client)


def asking(folder: Path, **changes: object) -> RevocationSettings:
    policy = RevocationPolicy(RevocationCheck.REQUIRED, int(GRACE.total_seconds()))
    settings = RevocationSettings(policy, 300, 1, folder / "cache")
    return replace(settings, **changes)  # type: ignore[arg-type]


async def verdict(running: RunningHub, raw: bytes) -> str:
    """What the sender is told: `accepted`, or the code of a fault that it can prove."""
    told = running.proved(await running.post(raw), raw)
    if isinstance(told, VerifiedFault):
        assert running.leaves()[-1].verdict == told.fault.code
        return str(told.fault.code)
    assert isinstance(told, VerifiedAnswer)
    return SOUND


@pytest.fixture
def hub(nation: SmallNation, tmp_path: Path, ask: Asking) -> Iterator[OpenHub]:
    with opened(nation, tmp_path, revocation=asking(tmp_path)) as one:
        yield one


def audited(nation: SmallNation, folder: Path) -> list[str]:
    """The findings of an audit of the log below `folder`, which was closed."""
    key = read_symmetric_key(nation.settings.log.read_key)
    audit = audit_log(folder / "log", AuditKeys(read_key=key))
    assert audit.replay is not None
    return [str(finding) for finding in audit.report.findings]


# --- good and revoked ----------------------------------------------------------------------------


def test_a_sender_known_to_be_good_passes_and_the_evidence_stands_before_its_message(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)

        assert await verdict(running, one.request("m-1")) == SOUND
        assert await verdict(running, one.request("m-2")) == SOUND

        assert [leaf.event for leaf in running.leaves()[2:]] == [
            Event.EVIDENCE,
            *[Event.RECEIVED, Event.OUTCOME] * 2,
        ]
        evidence = running.leaves()[2]
        assert evidence.signer == one.signer.certificate_sha256
        with open_log_reader(running.log_folder) as reader:
            entry = list(reader.entries())[2]
        sealer = Sealer(read_symmetric_key(nation.settings.log.read_key))
        assert entry.sealed is not None
        _, kept = sealer.open_sealed(entry.sealed)
        assert load_der_ocsp_response(kept).serial_number == one.certificate.serial_number
        assert authority.asked == ["/ocsp"]

    hub.tell(story)


@pytest.mark.parametrize("kind", ["ocsp", "crl"])
def test_a_revoked_sender_is_refused(
    kind: str, nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, ocsp=kind == "ocsp", crl=kind == "crl")
        authority.revoked[one.certificate] = NOW - HOUR

        raw = one.request("m-1")

        reply = await running.post(raw)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.fault.is_retryable) == (REVOKED, False)
        assert reply.status == 500
        refused = running.leaves()[-1]
        assert (refused.event, refused.signer) == (Event.REFUSED, one.signer.certificate_sha256)
        assert not running.agency.asked

    hub.tell(story)


def test_a_revoked_sender_is_not_told_what_else_is_wrong(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, client=CLIENT_WITHOUT_GRANT)
        assert await verdict(running, one.request("m-1")) == errors.AccessDenied.code

        other = sender(nation, authority, client=CLIENT_WITHOUT_GRANT)
        authority.revoked[other.certificate] = NOW - HOUR
        assert await verdict(running, other.request("m-2")) == REVOKED

    hub.tell(story)


def test_a_revoked_sender_does_not_get_its_old_answer_again(
    nation: SmallNation, authority: StatusServer, ask: Asking, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)
        raw = one.request("m-1")
        assert await verdict(running, raw) == SOUND
        authority.revoked[one.certificate] = NOW
        authority.time = running.clock.now = NOW + 2 * MINUTE

        await ask.again(one)

        assert await verdict(running, raw) == REVOKED

    hub.tell(story)


def test_one_revoked_sender_is_no_reason_to_refuse_another(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one, other = sender(nation, authority), sender(nation, authority, client=OTHER_CLIENT)
        authority.revoked[one.certificate] = NOW - HOUR

        assert await verdict(running, one.request("m-1")) == REVOKED
        assert await verdict(running, other.request("m-2")) == SOUND

    hub.tell(story)


# --- sources that fail ---------------------------------------------------------------------------


def breaking_off(_: bytes) -> bytes:
    raise ConnectionError


def by_a_stranger(nation: SmallNation, authority: StatusServer) -> Callable[[bytes], bytes]:
    stranger = make_root("root", NOW)
    return lambda request: ocsp_response(
        next(iter(authority.known.values())),
        nation.issuer,
        NOW,
        responder=make_responder(stranger, NOW),
    )


def without_usage(nation: SmallNation, authority: StatusServer) -> Callable[[bytes], bytes]:
    delegate = make_responder(nation.issuer, NOW, usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))
    return lambda request: ocsp_response(
        next(iter(authority.known.values())), nation.issuer, NOW, responder=delegate
    )


def stale(nation: SmallNation, authority: StatusServer) -> Callable[[bytes], bytes]:
    return lambda request: ocsp_response(
        next(iter(authority.known.values())), nation.issuer, NOW - 2 * HOUR
    )


FAILURES: dict[str, Callable[[SmallNation, StatusServer], Callable[[bytes], bytes]]] = {
    "breaks off": lambda *_: breaking_off,
    "garbage": lambda *_: lambda _: b"<html>under maintenance</html>",
    "empty": lambda *_: lambda _: b"",
    "huge": lambda *_: lambda _: bytes(OCSP_BYTES_MAX + 1),
    "signed by a stranger": by_a_stranger,
    "a delegate without the usage": without_usage,
    "stale": stale,
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_responder_that_proves_nothing_lets_nobody_pass(
    name: str, nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, crl=False)
        authority.answer = FAILURES[name](nation, authority)

        raw = one.request("m-1")

        reply = await running.post(raw)

        told = running.proved(reply, raw)
        assert isinstance(told, VerifiedFault)
        assert (told.fault.code, told.fault.is_retryable) == (UNKNOWN, True)
        assert reply.status == 503
        assert b"retry-after" in reply.headers
        assert not running.agency.asked
        assert Event.EVIDENCE not in [leaf.event for leaf in running.leaves()]

    hub.tell(story)


@pytest.mark.parametrize("name", FAILURES)
def test_where_the_responder_fails_the_list_tells(
    name: str, nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one, other = sender(nation, authority), sender(nation, authority)
        authority.answer = FAILURES[name](nation, authority)
        authority.revoked[other.certificate] = NOW - HOUR

        assert await verdict(running, one.request("m-1")) == SOUND
        assert await verdict(running, other.request("m-2")) == REVOKED

        # One list speaks of both: it was fetched once.
        assert authority.asked_of("/ca.crl") == 1

    hub.tell(story)


@pytest.mark.parametrize("wrong", ["missing", "huge", "another's", "redirected"])
def test_a_list_that_proves_nothing_lets_nobody_pass(
    wrong: str, nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, ocsp=False)
        authority.serves_lists = wrong != "missing"
        authority.is_redirecting = wrong == "redirected"
        if wrong == "huge":
            authority.listed = bytes(CRL_BYTES_MAX + 1)
        elif wrong == "another's":
            authority.listed = make_crl(make_root("another", NOW), NOW)

        assert await verdict(running, one.request("m-1")) == UNKNOWN

    hub.tell(story)


def test_a_responder_that_does_not_answer_costs_its_own_time_only(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        known = sender(nation, authority)
        assert await verdict(running, known.request("m-1")) == SOUND
        authority.gate.clear()
        waiting = sender(nation, authority, client=OTHER_CLIENT, crl=False)

        raw = waiting.request("m-2")
        first = asyncio.create_task(running.post(raw))
        await until(lambda: len(authority.asked) == 2)
        # The loop goes on meanwhile.
        assert await verdict(running, known.request("m-3")) == SOUND
        assert not first.done()

        told = running.proved(await first, raw)
        assert isinstance(told, VerifiedFault)
        assert told.fault.code == UNKNOWN
        # Nobody waits again so soon after.
        assert await verdict(running, waiting.request("m-4")) == UNKNOWN
        assert len(authority.asked) == 2

    hub.tell(story)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_SECONDS_MAX):
        while not condition():
            await asyncio.sleep(0.005)


def test_messages_that_arrive_together_ask_once(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)
        authority.gate.clear()
        posts = [
            asyncio.create_task(running.post(one.request(f"m-{number}"))) for number in range(8)
        ]
        await until(lambda: bool(authority.asked))
        authority.gate.set()

        assert [reply.status for reply in await asyncio.gather(*posts)] == [200] * 8
        assert authority.asked == ["/ocsp"]
        events = [leaf.event for leaf in running.leaves()]
        assert events.count(Event.EVIDENCE) == 1

    hub.tell(story)


def test_nobody_is_asked_about_a_stranger(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)
        stranger = make_root("Lien Thong Sandbox Root", NOW)
        key = ec.generate_private_key(ec.SECP256R1())
        named = sources(ocsp_url=authority.ocsp_url, crl_url=authority.crl_url)
        forged = make_certificate(
            stranger, key.public_key(), NOW, identifier=str(CLIENT.member), extensions=named
        )
        raw = request(nation, signer=make_signer(key, forged))
        changed = one.request("m-2").replace(b"VN0117", b"VN0666")

        assert await verdict(running, raw) == errors.CertificateRejected.code
        assert await verdict(running, changed) == errors.DigestMismatch.code
        assert authority.asked == []

    hub.tell(story)


# --- grace, outages, restarts --------------------------------------------------------------------


def test_the_last_evidence_counts_for_the_grace_and_no_longer(
    nation: SmallNation, authority: StatusServer, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, crl=False)
        assert await verdict(running, one.request("m-1")) == SOUND
        authority.answer = breaking_off

        running.clock.now = within = NOW + HOUR + GRACE
        assert await verdict(running, one.request("m-2", within)) == SOUND
        running.clock.now = after = within + timedelta(seconds=6)
        assert await verdict(running, one.request("m-3", after)) == UNKNOWN

        authority.answer, authority.time = None, after
        running.clock.now = later = after + timedelta(seconds=6)
        assert await verdict(running, one.request("m-4", later)) == SOUND

    hub.tell(story)


def test_a_restart_in_an_outage_has_the_last_evidence(
    nation: SmallNation, authority: StatusServer, tmp_path: Path
) -> None:
    one = sender(nation, authority, crl=False)
    revoked = sender(nation, authority, client=OTHER_CLIENT, crl=False)
    authority.revoked[revoked.certificate] = NOW - HOUR

    async def before(running: RunningHub) -> None:
        assert await verdict(running, one.request("m-1")) == SOUND
        assert await verdict(running, revoked.request("m-2")) == REVOKED

    async def after(running: RunningHub) -> None:
        authority.answer = breaking_off
        running.clock.now = within = NOW + HOUR + GRACE / 2
        assert await verdict(running, one.request("m-3", within)) == SOUND
        assert await verdict(running, revoked.request("m-4", within)) == REVOKED

    for story in (before, after):
        with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
            hub.tell(story)

    assert audited(nation, tmp_path) == []


def test_a_cache_that_is_lost_or_damaged_lets_nobody_pass_and_harms_nobody(
    nation: SmallNation, authority: StatusServer, tmp_path: Path
) -> None:
    one = sender(nation, authority, crl=False)

    async def before(running: RunningHub) -> None:
        assert await verdict(running, one.request("m-1")) == SOUND

    async def after(running: RunningHub) -> None:
        authority.answer = breaking_off
        assert await verdict(running, one.request("m-2")) == UNKNOWN
        authority.answer = None
        running.clock.now = later = NOW + timedelta(seconds=6)
        assert await verdict(running, one.request("m-2", later)) == SOUND

    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(before)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"damaged")
    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(after)

    assert audited(nation, tmp_path) == []


def test_an_old_response_sent_again_does_not_bring_a_revoked_sender_back(
    nation: SmallNation, authority: StatusServer, ask: Asking, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority, crl=False)
        good = ocsp_response(one.certificate, nation.issuer, NOW - MINUTE)
        authority.revoked[one.certificate] = NOW - MINUTE
        assert await verdict(running, one.request("m-1")) == REVOKED

        authority.answer = lambda _: good
        running.clock.now = later = NOW + 2 * MINUTE
        await ask.again(one)

        assert await verdict(running, one.request("m-2", later)) == REVOKED

    hub.tell(story)


def test_a_hold_that_is_lifted_lets_the_sender_pass_again(
    nation: SmallNation, authority: StatusServer, ask: Asking, tmp_path: Path
) -> None:
    one = sender(nation, authority)

    async def story(running: RunningHub) -> None:
        authority.revoked[one.certificate] = NOW - HOUR
        assert await verdict(running, one.request("m-1")) == REVOKED
        authority.revoked.clear()
        authority.time = running.clock.now = later = NOW + 2 * MINUTE

        await ask.again(one)

        assert await verdict(running, one.request("m-2", later)) == SOUND

    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(story)
    assert audited(nation, tmp_path) == []


def test_evidence_that_says_the_same_again_does_not_fill_the_log(
    nation: SmallNation, authority: StatusServer, ask: Asking, hub: OpenHub
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)
        assert await verdict(running, one.request("m-1")) == SOUND
        for minute in range(1, 6):
            authority.time = running.clock.now = NOW + minute * 5 * MINUTE
            await ask.again(one)

        assert authority.asked_of("/ocsp") == 6
        assert [leaf.event for leaf in running.leaves()].count(Event.EVIDENCE) == 1

        authority.time = running.clock.now = late = NOW + 55 * MINUTE
        await ask.again(one)
        authority.answer = breaking_off
        running.clock.now = late = NOW + 90 * MINUTE
        assert await verdict(running, one.request("m-2", late)) == SOUND
        assert [leaf.event for leaf in running.leaves()].count(Event.EVIDENCE) == 2

    hub.tell(story)


# --- policies and sources of the operator --------------------------------------------------------


def told(
    nation: SmallNation, folder: Path, settings: RevocationSettings, *messages: bytes
) -> list[str]:
    async def story(running: RunningHub) -> list[str]:
        return [await verdict(running, raw) for raw in messages]

    with opened(nation, folder, revocation=settings) as hub:
        return hub.tell(story)


def test_a_certificate_that_names_no_source_passes_only_where_the_policy_says_so(
    nation: SmallNation, authority: StatusServer, tmp_path: Path
) -> None:
    plain = sender(nation, authority, ocsp=False, crl=False).request("m-1")
    named = sender(nation, authority, client=OTHER_CLIENT)
    authority.revoked[named.certificate] = NOW - HOUR

    found = {
        check: told(
            nation,
            tmp_path / check,
            asking(tmp_path / check, policy=RevocationPolicy(check)),
            plain,
            named.request("m-2"),
        )
        for check in RevocationCheck
    }

    assert found == {
        RevocationCheck.REQUIRED: [UNKNOWN, REVOKED],
        RevocationCheck.WHERE_NAMED: [SOUND, REVOKED],
        RevocationCheck.NONE: [SOUND, SOUND],
    }
    for check in RevocationCheck:
        assert audited(nation, tmp_path / check) == []


@pytest.mark.parametrize("check", [RevocationCheck.REQUIRED, RevocationCheck.WHERE_NAMED])
@pytest.mark.parametrize("source", ["responder", "list", "file"])
def test_a_source_of_the_operator_speaks_of_certificates_that_name_none(
    source: str,
    check: RevocationCheck,
    nation: SmallNation,
    authority: StatusServer,
    tmp_path: Path,
) -> None:
    good = sender(nation, authority, ocsp=False, crl=False)
    bad = sender(nation, authority, client=OTHER_CLIENT, ocsp=False, crl=False)
    authority.revoked[bad.certificate] = NOW - HOUR
    file = tmp_path / "ca.crl"
    file.write_bytes(authority.lists())
    named: dict[str, dict[str, object]] = {
        "responder": {"ocsp_url": authority.ocsp_url},
        "list": {"crls": (authority.crl_url,)},
        "file": {"crls": (tmp_path / "missing.crl", file)},
    }
    settings = asking(tmp_path, policy=RevocationPolicy(check), **named[source])

    found = told(nation, tmp_path, settings, good.request("m-1"), bad.request("m-2"))

    assert found == [SOUND, REVOKED]


# --- the auditor ---------------------------------------------------------------------------------


def test_an_auditor_makes_each_decision_again_by_the_evidence_of_its_time(
    nation: SmallNation, authority: StatusServer, ask: Asking, tmp_path: Path
) -> None:
    one = sender(nation, authority, crl=False)
    other = sender(nation, authority, client=OTHER_CLIENT, ocsp=False)

    async def story(running: RunningHub) -> None:
        assert await verdict(running, one.request("m-1")) == SOUND
        assert await verdict(running, other.request("m-2")) == SOUND
        authority.revoked = {one.certificate: NOW, other.certificate: NOW}
        authority.time = running.clock.now = later = NOW + 6 * MINUTE
        for known in (one, other):
            await ask.again(known)
        assert await verdict(running, one.request("m-3", later)) == REVOKED
        assert await verdict(running, other.request("m-4", later)) == REVOKED

    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(story)

    assert audited(nation, tmp_path) == []


def test_a_list_that_counts_for_one_counts_for_all_whom_it_names(
    nation: SmallNation, authority: StatusServer, ask: Asking, tmp_path: Path
) -> None:
    revoked, known, new = (
        sender(nation, authority, client=client, ocsp=False)
        for client in (CLIENT, OTHER_CLIENT, CLIENT)
    )

    async def story(running: RunningHub) -> None:
        for number, one in enumerate((revoked, known)):
            assert await verdict(running, one.request(f"m-{number}")) == SOUND
        authority.revoked[revoked.certificate] = NOW
        authority.time = running.clock.now = later = NOW + 6 * MINUTE

        # Given a newer list that nobody was judged by yet
        await ask.again(known)
        assert await verdict(running, revoked.request("m-3", later)) == SOUND
        # When somebody is, it is in the log, and counts for whom it names
        assert await verdict(running, new.request("m-4", later)) == SOUND
        assert await verdict(running, revoked.request("m-5", later)) == REVOKED
        assert await verdict(running, known.request("m-6", later)) == SOUND
        # Then it was recorded once, and whom it does not name was not looked at again
        assert [leaf.event for leaf in running.leaves()].count(Event.EVIDENCE) == 2

    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(story)

    assert audited(nation, tmp_path) == []


def test_an_auditor_finds_a_message_that_was_taken_against_the_evidence(
    nation: SmallNation, authority: StatusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revoked, unknown = sender(nation, authority), sender(nation, authority, client=OTHER_CLIENT)
    authority.revoked[revoked.certificate] = NOW - HOUR

    async def story(running: RunningHub) -> None:
        monkeypatch.setattr("bus.judging.revocation_stage.revocation_error", lambda *_: None)
        assert await verdict(running, revoked.request("m-1")) == SOUND
        authority.answer, authority.serves_lists = breaking_off, False
        assert await verdict(running, unknown.request("m-2")) == SOUND

    with opened(nation, tmp_path, revocation=asking(tmp_path)) as hub:
        hub.tell(story)

    first, second = audited(nation, tmp_path)
    assert f"expected accepted, found {REVOKED}" in first
    assert f"expected accepted, found {UNKNOWN}" in second


def test_evidence_that_cannot_be_recorded_lets_nobody_pass(
    nation: SmallNation, authority: StatusServer, hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(running: RunningHub) -> None:
        one = sender(nation, authority)

        async def failing(*_: object) -> object:
            raise errors.LogUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(HubLog, "append", failing)
            reply = await running.post(one.request("m-1"))

        assert reply.status == 503
        assert errors.LogUnavailable.code.encode() in reply.body
        assert await verdict(running, one.request("m-1")) == SOUND
        assert der(one.certificate) not in reply.body

    hub.tell(story)


def test_a_mistake_of_ours_lets_nobody_pass(
    nation: SmallNation, authority: StatusServer, hub: OpenHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> object:
        raise RuntimeError

    monkeypatch.setattr("bus.trust.revocation_inquiry.revocation_status", broken)

    async def story(running: RunningHub) -> None:
        assert await verdict(running, sender(nation, authority).request("m-1")) == UNKNOWN

    hub.tell(story)
