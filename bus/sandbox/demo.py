"""Tell the story of one citizen, agencies and an auditor, on a nation that really runs."""

from __future__ import annotations

import time
from pathlib import Path

from lxml import etree

from bus.audit.audit import Audit, AuditKeys
from bus.audit.folder import audit_log
from bus.client.hub_client import (
    FaultReceived,
    HubClient,
    Labels,
    VerifiedAnswer,
    read_verifying_key,
)
from bus.core.identifiers import ServiceId
from bus.core.log.receipts import Receipt
from bus.kit.manifest import RELATIVE
from bus.sandbox.agencies import routed_manifests
from bus.sandbox.demo_cast import Question, choose_cast
from bus.sandbox.demo_damage import alter_copy
from bus.sandbox.demo_pages import DemoPages, ExchangePage, RefusalPage, demo_console
from bus.sandbox.demo_stage import DemoFailed, Stage, check_facts, stopwatch
from bus.sandbox.demo_submission import check_accounts, play_submission
from bus.sandbox.nation_files import reference_routes
from bus.sandbox.sandbox_data import story
from bus.sandbox.up import SandboxOptions, running_sandbox
from bus.settings.routes import read_registry
from bus.trust.key_store import read_symmetric_key


def tell_story(folder: Path) -> None:
    """Play every act in `folder`; nothing runs any more when this returns.

    Raises DemoFailed, AlreadyRunning, NotStarted, HubUnreachable, AnswerRejected,
    ConfigurationError.
    """
    console = demo_console()
    registry = read_registry(reference_routes())
    cast = choose_cast(registry, routed_manifests(folder, registry))
    pages = DemoPages(console, registry)
    pages.chapter(
        "Liên Thông: one citizen, her agencies, one log",
        "A nation starts on this machine: certificate authority, hub, "
        f"{' and '.join(cast.agencies)}, and people who were invented for it.",
    )
    began = time.monotonic()
    with running_sandbox(SandboxOptions(folder, log_level="warning")) as sandbox:
        ready_seconds = time.monotonic() - began
        described = sandbox.description
        pages.say(
            f"Ready after {ready_seconds:.1f} s: {len(registry.members)} members, "
            f"{len(registry.services)} services, {len(registry.grants)} grants, hub at "
            f"{described.hub_url}."
        )
        office = described.client(str(cast.office))
        stage = Stage(pages, registry, described, story(folder / "data"), cast, office)
        try:
            _one_stop_office(stage)
            _refusals(stage)
            play_submission(stage)
            _auditor(stage)
        finally:
            office.close()
    _altered_log(stage, folder)


# --- acts -----------------------------------------------------------------------------------------


def _one_stop_office(stage: Stage) -> None:
    told, cast = stage.told, stage.cast
    stage.pages.chapter(
        f"Bộ phận một cửa, {stage.registry.members[cast.office.member].name}",
        f"{told.full_name} comes to register a household business (hộ kinh doanh). The officer "
        "types her number. Everything else the state knows already.",
    )
    answers = [
        _ask(stage, number, question) for number, question in enumerate(cast.questions, start=1)
    ]
    stage.first_outcome = answers[0].receipt.outcome_index
    for question, answer in zip(cast.questions, answers, strict=True):
        check_facts(told, question.service, question.shown, answer.payload)
    seen = [one for one in cast.questions if any(RELATIVE in f.expected for f in one.shown)]
    if seen:
        stage.pages.remark(
            f"Her spouse, {told.relative_name}, stands in the answer of {seen[-1].agency}, too: "
            "seen at once, without a paper, by agencies that trust no one but signatures."
        )
    _same_bytes_again(stage)


def _ask(stage: Stage, number: int, question: Question) -> VerifiedAnswer:
    asked, organ = question.service, stage.organ
    labels = Labels(
        f"MC-{organ}-2026-{number:06}",
        user_id=f"CB-{organ}-0117",
        issue=f"{stage.dossiers}-260101-0001",
    )
    with stopwatch() as seconds:
        answer = stage.office.call(asked, stage.sample(asked), labels)
    page = ExchangePage(
        number=number,
        client=stage.cast.office,
        service=asked,
        message_id=labels.message_id,
        seconds=seconds(),
        proofs=(
            f"the answer is signed by {answer.signer}, under the nation's trust anchor",
            "it repeats every header, and holds the hash of the very bytes we sent",
            _receipt_text(answer.receipt),
        ),
        facts={fact.label: fact.text(answer.payload) for fact in question.shown},
    )
    stage.pages.exchange(page)
    return answer


def _same_bytes_again(stage: Stage) -> None:
    question = stage.cast.questions[-1]
    request = stage.office.sign(question.service, stage.sample(question.service))
    first, second = stage.office.send(request), stage.office.send(request)
    stage.office.verify(request, second)
    if first != second:
        raise DemoFailed("a copy of a message got another answer")
    stage.pages.remark(
        "A line breaks, and the office sends the same bytes again: it gets the first answer, byte "
        f"for byte, and {question.agency} is not asked twice."
    )


def _refusals(stage: Stage) -> None:
    stage.pages.chapter("Two who get nothing", "Every refusal is signed, recorded, and says why.")
    asked, stranger = _about_the_citizen(stage), stage.described.client(str(stage.cast.stranger))
    try:
        request = stranger.sign(asked, stage.sample(asked))
        _refused(stage, stranger, request, "access.denied", "Registered, but without a grant")
    finally:
        stranger.close()
    request = stage.office.sign(asked, stage.sample(asked))
    number = stage.told.personal_number.encode()
    other = stage.told.relative_number.encode()
    title = "Altered on the way: somebody puts another citizen's number into a signed message"
    _refused(stage, stage.office, request.replace(number, other), "signature", title)


def _about_the_citizen(stage: Stage) -> ServiceId:
    """The first question that holds her number. Raises DemoFailed: none does."""
    for question in stage.cast.questions:
        sample = etree.tostring(stage.sample(question.service), encoding="unicode")
        if stage.told.personal_number in sample:
            return question.service
    raise DemoFailed("no sample asks about the citizen of the story")


def _refused(stage: Stage, client: HubClient, request: bytes, code: str, title: str) -> None:
    with stopwatch() as seconds:
        try:
            client.exchange(request)
        except FaultReceived as error:
            fault, receipt = error.fault, error.verified.receipt
        else:
            raise DemoFailed(f"{title}: the hub let it pass")
    if not fault.code.startswith(code):
        raise DemoFailed(f"{title}: refused as {fault.code}, not as {code}")
    assert receipt is not None
    page = RefusalPage(
        title=title,
        client=stage.cast.office if client is stage.office else stage.cast.stranger,
        service=_about_the_citizen(stage),
        code=fault.code,
        reason=fault.reason,
        seconds=seconds(),
        proofs=(
            f"the fault is signed by {stage.registry.hub.member}, the hub",
            f"the refusal is entry {receipt.outcome_index} of the log; nothing left the hub",
        ),
    )
    stage.pages.refusal(page)


def _auditor(stage: Stage) -> None:
    stage.pages.chapter(
        "The auditor",
        "While the hub runs, somebody who does not trust its operator reads the log's folder: "
        "every byte, every entry, every payload; and makes every decision again.",
    )
    audit, seconds = _audit(stage, Path(stage.described.log))
    if not audit.report.is_sound:
        raise DemoFailed(f"the log is not sound: {audit.report.findings[0]}")
    report, replay = audit.report, audit.replay
    assert replay is not None
    recorded = f"{report.received} messages received, {report.settled} settled"
    repeated = f"{replay.repeated} decisions made again, {replay.proved} senders' signatures"
    lines = [
        f"{report.entries} entries, root {report.root.hex()[:32]}…",
        f"{recorded}, {report.events['refused']} refused, {report.pending} pending",
        f"{report.payloads_opened} payloads opened: each is what its entry commits to",
        f"{repeated} verified as of their time",
        f"{replay.answers} recorded answers: each signed by its agency, each to its very question",
        *check_accounts(stage.cast.document, report.deliveries, reports=replay.reports),
        "Nothing was found: the log is sound.",
    ]
    stage.pages.findings(f"lienthong log verify  ·  {seconds:.1f} s", lines, is_sound=True)


def _altered_log(stage: Stage, folder: Path) -> None:
    stage.pages.chapter(
        "One bit",
        "In the evening the hub is closed, and the folder is copied. In the copy, somebody with "
        f"access to the disk flips one bit in the answer about {stage.told.full_name}.",
    )
    altered = alter_copy(Path(stage.described.log), folder / "altered", stage.first_outcome)
    audit, seconds = _audit(stage, altered.folder)
    named = {finding.index for finding in audit.report.findings}
    if altered.entry not in named:
        raise DemoFailed(f"byte {altered.offset} was altered, and entry {altered.entry} not named")
    lines = [str(finding) for finding in audit.report.findings]
    title = f"lienthong log verify  ·  byte {altered.offset} was altered  ·  {seconds:.1f} s"
    stage.pages.findings(title, lines, is_sound=False)
    sound, _ = _audit(stage, Path(stage.described.log))
    if not sound.report.is_sound:
        raise DemoFailed(f"the log is not sound: {sound.report.findings[0]}")
    stage.pages.remark(
        f"The verifier names entry {altered.entry}, the file and its bytes. The original, "
        f"{sound.report.entries} entries, is sound."
    )


# --- parts ----------------------------------------------------------------------------------------


def _audit(stage: Stage, folder: Path) -> tuple[Audit, float]:
    keys = AuditKeys(
        checkpoint_key=read_verifying_key(Path(stage.described.log_verifier_key)),
        read_key=read_symmetric_key(Path(stage.described.log_read_key)),
    )
    with stopwatch() as seconds:
        audit = audit_log(folder, keys)
    return audit, seconds()


def _receipt_text(receipt: Receipt) -> str:
    return (
        f"the hub's receipt: question is entry {receipt.received_index}, "
        f"answer is entry {receipt.outcome_index} of its log"
    )
