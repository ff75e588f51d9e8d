"""Answers and faults are signed with the newest valid key; a key out of reach is told."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.core.errors import ConfigurationError
from bus.core.log.leaf import Event
from bus.delivery.carrying import signing_members
from bus.protocols.soap_xroad.verify_answer import VerifiedAnswer, VerifiedFault
from bus.runtime import signing_threads
from bus.settings.signer import SignerFiles, SignerSource, TokenKeyPlace
from bus.trust import key_store, token_keys
from bus.trust.key_store import read_symmetric_key
from signing.errors import KeyUnavailableError
from signing.pki.keys import Signer, make_signer
from tests.certificates import DAY, make_certificate
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import OpenHub, RunningHub, opened
from tests.nation import (
    CLIENT_WITHOUT_GRANT,
    HUB,
    NOW,
    PROVIDER,
    REFERENCE,
    SmallNation,
    request,
)
from tests.trust.soft_token import SoftToken, soft_tokens


def files_of(source: SignerSource) -> SignerFiles:
    assert isinstance(source, SignerFiles)
    return source


def issued(
    nation: SmallNation, folder: Path, member: str, *, first: timedelta, last: timedelta
) -> SignerFiles:
    """A new key of a member, whose certificate is valid from NOW + first to NOW + last."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate(
        nation.issuer, key.public_key(), NOW, identifier=member, valid_from=first, valid_until=last
    )
    name = member.replace("/", "-")
    files = SignerFiles(folder / f"{name}.next.key", folder / f"{name}.next.crt")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    files.key.write_bytes(pem)
    files.key.chmod(0o600)
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    return files


def with_successors(nation: SmallNation, folder: Path) -> dict[str, Any]:
    """Settings in which hub and provider name a key that follows in ten days."""
    after = {"first": 10 * DAY, "last": 400 * DAY}
    settings = nation.settings
    hub = issued(nation, folder, str(HUB.member), **after)
    provider = issued(nation, folder, str(PROVIDER.member), **after)
    answering = files_of(settings.signers[PROVIDER.member])
    return {
        "hub_signer": replace(files_of(settings.hub_signer), next=hub),
        "signers": {**settings.signers, PROVIDER.member: replace(answering, next=provider)},
    }


def signed_by(running: RunningHub, told: VerifiedAnswer | VerifiedFault, owner: Any) -> bool:
    """Whether the key of the first certificate of `owner` signed."""
    der = running.nation.signers[owner].certificate_der
    return base64.b64encode(der) in told.raw


async def asked_at(
    running: RunningHub, time: datetime, message_id: str, **about: Any
) -> VerifiedAnswer | VerifiedFault:
    running.clock.now = time
    raw = request(running.nation, message_id, created=time, **about)
    return running.proved(await running.post(raw), raw)


def test_the_key_that_follows_signs_from_when_it_is_valid_and_both_are_believed(
    nation: SmallNation, tmp_path: Path
) -> None:
    days = (0, 9, 10, 11, 9)

    async def story(running: RunningHub) -> list[tuple[bool, bool]]:
        seen = []
        for place, day in enumerate(days):
            time = NOW + timedelta(days=day, minutes=1)
            answer = await asked_at(running, time, f"a-{place}")
            fault = await asked_at(running, time, f"f-{place}", client=CLIENT_WITHOUT_GRANT)
            assert isinstance(answer, VerifiedAnswer)
            assert isinstance(fault, VerifiedFault)
            by_first = signed_by(running, answer, PROVIDER), signed_by(running, fault, HUB)
            seen.append(by_first)
        return seen

    with opened(nation, tmp_path, **with_successors(nation, tmp_path)) as hub:
        seen = hub.tell(story)

    assert seen == [(True, True), (True, True), (False, False), (False, False), (True, True)]
    must_be_sound(nation, tmp_path)


def must_be_sound(nation: SmallNation, folder: Path) -> None:
    """An auditor, who makes every decision again, finds nothing in the log."""
    keys = AuditKeys(read_key=read_symmetric_key(nation.settings.log.read_key))
    assert audit_log(folder / "log", keys).report.findings == []


def test_the_status_says_which_key_signs(nation: SmallNation, tmp_path: Path) -> None:
    async def story(running: RunningHub) -> list[list[str]]:
        named = []
        for day in (0, 11):
            running.clock.now = NOW + day * DAY
            status = running.hub.status()
            named.append([one.used_for for one in status.certificates if one.signs_now])
        return named

    with opened(nation, tmp_path, **with_successors(nation, tmp_path)) as hub:
        before, after = hub.tell(story)

    members = [f"signers.{member}" for member in sorted(signing_members(REFERENCE))]
    following = {"signers.VN/GOV/G01": "signers.VN/GOV/G01.next"}
    assert before == ["hub_signer", *members]
    assert after == ["hub_signer.next", *(following.get(one, one) for one in members)]


# --- a key out of reach ---------------------------------------------------------------------------


class Device:
    """Holds a key of memory as a token does: in reach or not, as a test says."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.is_unreachable = False
        self.hangs_until: threading.Event | None = None

    def public_key(self) -> Any:
        return self._signer.certificate.public_key()

    def sign(self, algorithm: str, data: bytes) -> bytes:
        if self.hangs_until is not None:
            self.hangs_until.wait(HANG_SECONDS_MAX)
        if self.is_unreachable:
            raise KeyUnavailableError(
                "the token 'hsm' cannot be used: there is no token of this label"
            )
        return self._signer.sign(algorithm, data)


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> dict[str, Device]:
    """Every key of the hub that opens next lies in a device, by its file's name."""
    found: dict[str, Device] = {}
    read = key_store.read_signer

    def read_into_device(source: SignerSource) -> Signer:
        signer = read(source)
        device = found.setdefault(source.certificate.stem, Device(signer))
        return make_signer(device, signer.certificate)

    monkeypatch.setattr(key_store, "read_signer", read_into_device)
    return found


def in_hub_with_devices(
    nation: SmallNation, folder: Path, story: Callable[[RunningHub], Any]
) -> Any:
    """What the story tells; whatever happened in it, an auditor finds nothing in the log."""
    with opened(nation, folder) as hub:
        assert isinstance(hub, OpenHub)
        told = hub.tell(story)
    must_be_sound(nation, folder)
    return told


def test_a_device_signs_answers_and_faults(
    nation: SmallNation, tmp_path: Path, devices: dict[str, Device]
) -> None:
    async def story(running: RunningHub) -> None:
        assert isinstance(await asked_at(running, NOW, "m-1"), VerifiedAnswer)
        fault = await asked_at(running, NOW, "m-2", client=CLIENT_WITHOUT_GRANT)
        assert isinstance(fault, VerifiedFault)

    in_hub_with_devices(nation, tmp_path, story)

    assert {"VN-GOV-G22-truclienthong", "VN-GOV-G01-dancu", "VN-GOV-G12-dkdn"} <= set(devices)
    assert len(devices) == 1 + len(signing_members(REFERENCE))


def test_an_answering_key_out_of_reach_is_a_fault_to_be_tried_again(
    nation: SmallNation, tmp_path: Path, devices: dict[str, Device]
) -> None:
    async def story(running: RunningHub) -> None:
        raw = request(nation, "m-1")
        devices["VN-GOV-G01-dancu"].is_unreachable = True
        reply = await running.post(raw)
        fault = running.proved(reply, raw)
        assert isinstance(fault, VerifiedFault)
        assert (reply.status, fault.fault.code) == (503, "hub.signing-unavailable")
        assert reply.headers[b"retry-after"] == b"2"

        devices["VN-GOV-G01-dancu"].is_unreachable = False
        again = await running.post(raw)
        assert isinstance(running.proved(again, raw), VerifiedAnswer)
        keys = {query.idempotency_key for query in running.agency.asked}
        assert (len(running.agency.asked), len(keys)) == (2, 1)

    in_hub_with_devices(nation, tmp_path, story)


def test_without_any_key_nothing_is_left_half_done(
    nation: SmallNation, tmp_path: Path, devices: dict[str, Device]
) -> None:
    async def story(running: RunningHub) -> list[Event]:
        raw, refused = request(nation, "m-1"), request(nation, "m-2", client=CLIENT_WITHOUT_GRANT)
        for device in devices.values():
            device.is_unreachable = True
        for one in (raw, refused):
            reply = await running.post(one)
            assert reply.status == 503
            assert reply.headers[b"content-type"] == b"text/plain; charset=utf-8"
            assert reply.headers[b"retry-after"] == b"2"
            assert reply.body.startswith(b"The hub cannot reach the key that signs")
        events = [leaf.event for leaf in running.leaves()]
        for device in devices.values():
            device.is_unreachable = False
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedAnswer)
        return events

    events = in_hub_with_devices(nation, tmp_path, story)

    assert events[2:] == [Event.RECEIVED, Event.OUTCOME, Event.REFUSED]


def test_copies_that_wait_get_the_same_word(
    nation: SmallNation, tmp_path: Path, devices: dict[str, Device]
) -> None:
    async def story(running: RunningHub) -> set[int]:
        for device in devices.values():
            device.is_unreachable = True
        raw = request(nation, "m-1")
        replies = await asyncio.gather(*(running.post(raw) for _ in range(3)))
        return {reply.status for reply in replies}

    assert in_hub_with_devices(nation, tmp_path, story) == {503}


def test_a_device_that_hangs_is_waited_for_a_bounded_time(
    nation: SmallNation,
    tmp_path: Path,
    devices: dict[str, Device],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing_threads, "SIGNING_SECONDS_MAX", 2.0)  # others sign within
    released = threading.Event()

    async def story(running: RunningHub) -> tuple[int, str]:
        answering = devices["VN-GOV-G01-dancu"]
        answering.hangs_until = released
        raw = request(nation, "m-1")
        reply = await running.post(raw)
        released.set()
        fault = running.proved(reply, raw)
        assert isinstance(fault, VerifiedFault)
        return reply.status, fault.fault.code

    told = in_hub_with_devices(nation, tmp_path, story)

    assert told == (503, "hub.signing-unavailable")


def test_what_is_told_about_a_lost_key_holds_no_detail(
    nation: SmallNation, tmp_path: Path, devices: dict[str, Device]
) -> None:
    async def story(running: RunningHub) -> bytes:
        for device in devices.values():
            device.is_unreachable = True
        return (await running.post(request(nation, "m-1"))).body

    assert b"hsm" not in in_hub_with_devices(nation, tmp_path, story)


# --- a token, really ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    yield from soft_tokens(tmp_path_factory.mktemp("token"))


def test_a_hub_signs_with_a_token_and_finds_it_again_after_it_was_away(
    nation: SmallNation, tmp_path: Path, token: SoftToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_keys, "HOLD_OFF_SECONDS", 0.0)
    key = ec.generate_private_key(ec.SECP384R1())
    token.hold(key, label="hub", key_id="01")
    certificate = make_certificate(
        nation.issuer, key.public_key(), NOW, identifier=str(HUB.member), valid_until=30 * DAY
    )
    (tmp_path / "hub.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    place = TokenKeyPlace(
        token.driver, token.label, "hub", b"\x01", token.pin_file, tmp_path / "hub.crt"
    )

    async def story(running: RunningHub) -> list[int]:
        statuses: list[int] = []
        for trouble, relief in ((None, None), (token.lose_sessions, None), (unplug, token.plug_in)):
            if trouble is not None:
                trouble()
            raw = request(nation, f"m-{len(statuses)}", client=CLIENT_WITHOUT_GRANT)
            reply = await running.post(raw)
            statuses.append(reply.status)
            if reply.status == 500:
                assert isinstance(running.proved(reply, raw), VerifiedFault)
            if relief is not None:
                relief()
        raw = request(nation, "m-last", client=CLIENT_WITHOUT_GRANT)
        assert isinstance(running.proved(await running.post(raw), raw), VerifiedFault)
        return statuses

    def unplug() -> None:
        token.lose_sessions()
        token.unplug()

    with opened(nation, tmp_path, hub_signer=place) as hub:
        assert hub.tell(story) == [500, 500, 503]

    # The hub has logged out: who comes next is asked for a PIN.
    (tmp_path / "pin").write_text("sai-roi-1234")
    (tmp_path / "pin").chmod(0o600)
    with pytest.raises(ConfigurationError, match="its PIN is refused"):
        key_store.read_signer(replace(place, pin_file=tmp_path / "pin"))
