"""Every attack of the corpus against one hub, over HTTP: refused, recorded, forgotten."""

from __future__ import annotations

import asyncio
import http.client
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from bus.audit.audit import AuditKeys
from bus.audit.folder import audit_log
from bus.core.errors import MessageIdConflict
from bus.core.log.leaf import Event
from bus.protocols.soap_xroad.read_answer import read_answer
from bus.trust.key_store import read_ed25519_key, read_symmetric_key
from signing.signed_note import SigningKey
from tests.attacks.cases import NEW, OWN_NUMBER, SAME, Case, Stage
from tests.attacks.corpus import CASES
from tests.attacks.valid_messages import ValidMessage, corpus_nation, valid_messages
from tests.hang_limits import HANG_SECONDS_MAX
from tests.hub.running_hub import RunningHub, in_hub
from tests.hub.served_door import LOOPBACK, served
from tests.loop_watchdog import watching
from tests.nation import NOW, SmallNation

DELIVERED = "delivered"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> SmallNation:
    return corpus_nation(tmp_path_factory.mktemp("corpus"))


def requests(corpus: SmallNation) -> Iterator[tuple[Case, ValidMessage, bytes]]:
    """Each case once, made from one stack's message after the other's, in the order of time."""
    valid = valid_messages()
    with_token = [one for one in valid.values() if Stage(corpus, one, valid).has_token]
    cases = [case for case in CASES.values() if case.later >= timedelta()]
    for number, case in enumerate(sorted(cases, key=lambda one: one.later)):
        some = with_token if case.needs_token or not case.every_stack else list(valid.values())
        message = some[number % len(some)] if case.every_stack else some[0]
        yield case, message, case.make(Stage(corpus, message, valid))


def post(connection: http.client.HTTPConnection, raw: bytes) -> tuple[int, bytes]:
    head = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
    connection.request("POST", "/", raw, head)
    response = connection.getresponse()
    return response.status, response.read()


def told(status: int, body: bytes) -> str:
    answer = read_answer(body)
    assert (status == 200) is (answer.fault is None)
    return DELIVERED if answer.fault is None else answer.fault.code


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_attack_is_refused_recorded_and_forgotten(
    corpus: SmallNation, tmp_path: Path
) -> None:
    wrong: dict[str, str] = {}
    verdicts: list[str] = []

    async def story(running: RunningHub) -> RunningHub:
        with watching() as watched:
            async with served(running) as port:
                await asyncio.to_thread(attack, running, port)
        watched.require_turning()
        return running

    def attack(running: RunningHub, port: int) -> None:
        with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=HANG_SECONDS_MAX)) as line:
            for message in valid_messages().values():
                assert told(*post(line, message.raw)) == DELIVERED, message.name
            before = len(running.agency.asked)
            for case, message, raw in requests(corpus):
                running.clock.now = NOW + case.later
                code = told(*post(line, raw))
                verdicts.append(code)
                if code not in allowed(case):
                    wrong[case.name] = f"{code}, made from {message.name}"
            news = [case for case in CASES.values() if case.expected == NEW]
            assert len(running.agency.asked) - before == len(news)
            assert all(OWN_NUMBER in query.payload for query in running.agency.asked)

    running = in_hub(corpus, tmp_path, story)

    assert wrong == {}
    refusals = [leaf.verdict for leaf in running.leaves() if leaf.event is Event.REFUSED]
    assert refusals == [code for code in verdicts if code != DELIVERED]
    check_log(corpus, running.log_folder, refused=len(refusals))


def allowed(case: Case) -> set[str]:
    """A message that says the same under other bytes is not delivered twice."""
    if case.expected == NEW:
        return {DELIVERED}
    return {MessageIdConflict.code} if case.expected == SAME else {case.expected}


def check_log(corpus: SmallNation, folder: Path, *, refused: int) -> None:
    """Every byte, every payload, and every decision made again as of its time."""
    log = corpus.settings.log
    keys = AuditKeys(
        checkpoint_key=SigningKey(log.origin, read_ed25519_key(log.signing_key)).verifying_key,
        read_key=read_symmetric_key(log.read_key),
    )
    audit = audit_log(folder, keys)
    assert audit.report.findings == []
    assert Counter(audit.report.events)[Event.REFUSED] == refused
    assert audit.replay is not None
