"""An answer under a revoked certificate is not handed over, whoever signed it well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bus.core.errors import AnswerSignerUnknown
from tests.access_point.running_access_point import (
    PlainReply,
    ServedHub,
    plain_request,
    running_access_point,
    served_hub,
    write_settings,
)
from tests.nation import DISABLED_SERVICE, HUB, NOW, PROVIDER, SmallNation
from tests.revocation import make_crl

DAY = timedelta(days=1)
NOBODY: Mapping[x509.Certificate, datetime] = {}


@pytest.fixture(scope="module")
def hub(nation: SmallNation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with served_hub(nation, tmp_path_factory.mktemp("hub")) as running:
        yield running


def ask(
    nation: SmallNation,
    hub: ServedHub,
    folder: Path,
    raw: bytes,
    *,
    revoked: Mapping[x509.Certificate, datetime] = NOBODY,
    issued: datetime = NOW,
    check: str = "required",
) -> tuple[PlainReply, int]:
    """What an access point says that reads this list, and how many answers it kept as evidence."""
    hub.clock.now = NOW
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.crl").write_bytes(make_crl(nation.issuer, issued, revoked))
    revocation = {"check": check, "crls": ["list.crl"], "grace_seconds": 0}
    settings = write_settings(nation, folder, hub.url, revocation=revocation)
    with running_access_point(settings, hub.clock) as point:
        return point.post(raw), point.store().rejected_count()


def test_an_answer_whose_signer_is_known_to_be_good_is_handed_over(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    reply, kept = ask(nation, hub, tmp_path, plain_request("good-1"))

    assert (reply.status, kept) == (200, 0)


def test_an_answer_under_a_revoked_certificate_is_kept_and_not_handed_over(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    revoked = {nation.signers[PROVIDER].certificate: NOW - DAY}

    reply, kept = ask(nation, hub, tmp_path, plain_request("revoked-1"), revoked=revoked)

    assert b"<lt:code>access-point.hub-answer-unproved</lt:code>" in reply.body
    assert b"TraCuuThongTinCongDanResponse" not in reply.body
    assert kept == 1


def test_a_fault_under_a_revoked_certificate_of_the_hub_is_not_believed(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    revoked = {nation.signers[HUB].certificate: NOW - DAY}
    body = b'<p:XacMinhThongTinNhanThan xmlns:p="http://dancuquocgia.bca"/>'
    raw = plain_request("revoked-2", service=DISABLED_SERVICE, body=body)

    reply, kept = ask(nation, hub, tmp_path, raw, revoked=revoked)

    assert b"<lt:code>access-point.hub-answer-unproved</lt:code>" in reply.body
    assert kept == 1


def test_not_knowing_is_not_being_good(nation: SmallNation, hub: ServedHub, tmp_path: Path) -> None:
    late = ask(nation, hub, tmp_path, plain_request("unknown-1"), issued=NOW - 3 * DAY)

    reply, kept = late
    assert f"<lt:code>{AnswerSignerUnknown.code}</lt:code>".encode() in reply.body
    assert (reply.headers["retry-after"], kept) == ("2", 0)


def test_nobody_is_asked_where_the_settings_say_so(
    nation: SmallNation, hub: ServedHub, tmp_path: Path
) -> None:
    revoked = {nation.signers[PROVIDER].certificate: NOW - DAY}

    reply, _ = ask(nation, hub, tmp_path, plain_request("unasked-1"), revoked=revoked, check="none")

    assert reply.status == 200
