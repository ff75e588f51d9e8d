"""Tell the story of one citizen, three agencies and an auditor, on a nation that really runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from bus.audit.audit import Audit, AuditKeys
from bus.audit.folder import audit_log
from bus.client.hub_client import FaultReceived, HubClient, Labels, VerifiedAnswer
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.log.receipts import Receipt
from bus.core.registry import MemberRegistry
from bus.core.xml import parse_xml
from bus.sandbox.demo_answers import citizen_facts, confirmation_facts, enterprise_facts, facts_of
from bus.sandbox.demo_damage import alter_copy
from bus.sandbox.demo_pages import DemoPages, ExchangePage, RefusalPage, demo_console
from bus.sandbox.description import SandboxDescription
from bus.sandbox.nation_files import reference_routes
from bus.sandbox.sandbox_data import Story, story
from bus.sandbox.up import SandboxOptions, running_sandbox
from bus.settings.routes import read_registry
from bus.trust.key_store import read_symmetric_key

OFFICE = "VN/GOV/H41/motcua"
STRANGER = "VN/GOV/G03/tuyensinh"
LOOK_UP = "VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1"
CONFIRM = "VN/GOV/G01/dancu/XacThucThongTinCongDan/v1"
ENTERPRISE = "VN/GOV/G12/dkdn/chiTietDoanhNghiep/v1"
CASE = "000.00.00.H41-260101-0001"
OFFICER = "CB-H41-0117"


class DemoFailed(Exception):
    """Something in the story did not come out as it must; the text says what."""


@dataclass(slots=True)
class Stage:
    """What the acts share."""

    pages: DemoPages
    registry: MemberRegistry
    described: SandboxDescription
    told: Story
    office: HubClient
    first_outcome: int = 0
    """Entry of the first answer."""


def tell_story(folder: Path) -> None:
    """Play every act in `folder`; nothing runs any more when this returns.

    Raises DemoFailed, AlreadyRunning, NotStarted, HubUnreachable, AnswerRejected.
    """
    console = demo_console()
    registry = read_registry(reference_routes())
    pages = DemoPages(console, registry)
    pages.chapter(
        "Liên Thông: one citizen, three agencies, one log",
        "A nation starts on this machine: certificate authority, hub, population database, "
        "business registry, and people who were invented for it.",
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
        office = described.client(OFFICE)
        stage = Stage(pages, registry, described, story(folder / "data"), office)
        try:
            _one_stop_office(stage)
            _refusals(stage)
            _auditor(stage)
        finally:
            office.close()
    _altered_log(stage, folder)


# --- acts -----------------------------------------------------------------------------------------


def _one_stop_office(stage: Stage) -> None:
    told = stage.told
    stage.pages.chapter(
        "Bộ phận một cửa tỉnh Nghệ An",
        f"{told.full_name} comes to register a household business (hộ kinh doanh). The officer "
        "types her number. Everything else the state knows already.",
    )
    look_up = _ask(stage, 1, LOOK_UP, citizen_facts)
    stage.first_outcome = look_up.receipt.outcome_index
    confirmed = _ask(stage, 2, CONFIRM, confirmation_facts)
    if facts_of(confirmed.payload, "TonTai") != ["true"]:
        raise DemoFailed("the population database does not know the citizen of the story")
    enterprise = _ask(stage, 3, ENTERPRISE, enterprise_facts)
    if told.relative_name not in facts_of(enterprise.payload, "LEGAL_NAMES"):
        raise DemoFailed("the registry names another legal representative")
    stage.pages.remark(
        f"Her spouse, {told.relative_name}, is the legal representative of that enterprise: "
        "seen at once, without a paper, by three agencies that trust no one but signatures."
    )
    _same_bytes_again(stage)


def _ask(
    stage: Stage,
    number: int,
    service: str,
    facts: Callable[[etree._Element], dict[str, str]],
) -> VerifiedAnswer:
    asked = ServiceId.parse(service)
    labels = Labels(f"MC-H41-2026-{number:06}", user_id=OFFICER, issue=CASE)
    with _stopwatch() as seconds:
        answer = stage.office.call(asked, _sample(stage, service), labels)
    page = ExchangePage(
        number=number,
        client=SubsystemId.parse(OFFICE),
        service=asked,
        message_id=labels.message_id,
        seconds=seconds(),
        proofs=(
            f"the answer is signed by {answer.signer}, under the nation's trust anchor",
            "it repeats every header, and holds the hash of the very bytes we sent",
            _receipt_text(answer.receipt),
        ),
        facts=facts(answer.payload),
    )
    stage.pages.exchange(page)
    return answer


def _same_bytes_again(stage: Stage) -> None:
    request = stage.office.sign(ServiceId.parse(CONFIRM), _sample(stage, CONFIRM))
    first, second = stage.office.send(request), stage.office.send(request)
    stage.office.verify(request, second)
    if first != second:
        raise DemoFailed("a copy of a message got another answer")
    stage.pages.remark(
        "A line breaks, and the office sends the same bytes again: it gets the first answer, byte "
        "for byte, and the population database is not asked twice."
    )


def _refusals(stage: Stage) -> None:
    stage.pages.chapter("Two who get nothing", "Every refusal is signed, recorded, and says why.")
    stranger = stage.described.client(STRANGER)
    try:
        request = stranger.sign(ServiceId.parse(LOOK_UP), _sample(stage, LOOK_UP))
        _refused(stage, stranger, request, "access.denied", "Registered, but without a grant")
    finally:
        stranger.close()
    request = stage.office.sign(ServiceId.parse(LOOK_UP), _sample(stage, LOOK_UP))
    number = stage.told.personal_number.encode()
    other = stage.told.relative_number.encode()
    title = "Altered on the way: somebody puts another citizen's number into a signed message"
    _refused(stage, stage.office, request.replace(number, other), "signature", title)


def _refused(stage: Stage, client: HubClient, request: bytes, code: str, title: str) -> None:
    with _stopwatch() as seconds:
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
        client=SubsystemId.parse(STRANGER if client is not stage.office else OFFICE),
        service=ServiceId.parse(LOOK_UP),
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
    keys = AuditKeys(read_key=read_symmetric_key(Path(stage.described.log_read_key)))
    with _stopwatch() as seconds:
        audit = audit_log(folder, keys)
    return audit, seconds()


def _sample(stage: Stage, service: str) -> etree._Element:
    described = next(one for one in stage.described.services if one.id == service)
    raw = Path(described.sample_request).read_bytes()
    return parse_xml(raw, bytes_max=len(raw))


def _receipt_text(receipt: Receipt) -> str:
    return (
        f"the hub's receipt: question is entry {receipt.received_index}, "
        f"answer is entry {receipt.outcome_index} of its log"
    )


@contextmanager
def _stopwatch() -> Iterator[Callable[[], float]]:
    began = time.perf_counter()
    ended: list[float] = []
    yield lambda: ended[0]
    ended.append(time.perf_counter() - began)
