"""WSS4J, as Java systems use it: the files of docs/join/wss4j against a sandbox that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.runtime.clock import now
from bus.sandbox.description import SandboxDescription
from tests.interop.altered_answers import ALTERED, answer_to, fault_of
from tests.interop.asking import HAND_IN, citizen_fields, journal_number, signing_arguments
from tests.interop.foreign_stacks import wss4j_classes
from tests.interop.judges import program, run
from tests.nation import CLIENT, HUB, OTHER_CLIENT, PROVIDER, SmallNation, request

pytestmark = pytest.mark.interop

KEY_REFERENCES = (
    "BinarySecurityToken",
    "IssuerSerial",
    "SubjectKeyIdentifier",
    "Thumbprint",
    "X509KeyIdentifier",
)


@pytest.fixture(scope="module")
def classes() -> str:
    program("java")
    return wss4j_classes()


def ask(
    classes: str,
    sandbox: SandboxDescription,
    *options: str,
    number: str = "",
    client: object = CLIENT,
) -> tuple[int, str]:
    """Run the client of docs/join about the citizen of the story, or about another number."""
    changes = [f"SoDinhDanh={number}"] if number else []
    arguments = [*signing_arguments(sandbox, client), "--issue", "H41-2026-1", *options]
    done = run("java", "-cp", classes, "HubClient", *arguments, *citizen_fields(sandbox, changes))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("--soap", "1.2")])
def test_wss4j_signs_asks_verifies_and_prints_the_citizen(
    classes: str, sandbox: SandboxDescription, options: tuple[str, ...]
) -> None:
    status, said = ask(classes, sandbox, *options)

    assert status == 0, said
    assert "1 found" in said
    assert "QuocTich: VN" in said


@pytest.mark.parametrize("options", [(), ("--soap", "1.2")])
def test_wss4j_tells_a_signed_fault(
    classes: str, sandbox: SandboxDescription, options: tuple[str, ...]
) -> None:
    status, said = ask(classes, sandbox, *options, number="12")

    assert status == 1, said
    assert said.startswith("payload.schema: The Body does not follow the schema")


@pytest.mark.parametrize("client", [CLIENT, OTHER_CLIENT])
def test_every_way_to_name_the_certificate_is_understood(
    classes: str, sandbox: SandboxDescription, client: object
) -> None:
    # One of the two has an RSA key, the other one a P-256 key. Each form with the token itself
    # signed, by STR-Transform, and without.
    done = run(
        *("java", "-cp", classes, "AskInEveryForm", *signing_arguments(sandbox, client)),
        *citizen_fields(sandbox),
    )

    assert done.returncode == 0, done.stderr
    said = {tuple(line.split("\t")[:3]): line.split("\t")[3] for line in done.stdout.splitlines()}
    assert said == {
        (soap, reference, token): "TraCuuThongTinCongDanResponse"
        for soap in ("1.1", "1.2")
        for reference in KEY_REFERENCES
        for token in ("unsigned", "signed")
    }


KINDS = {
    "bytes": "70000 bytes taken",
    "nothing": "0 bytes taken",
    "text": "12 bytes taken",
    "text of Unix": "13 bytes taken",
    "XML": "66 bytes taken",
    "XML with a comment": "attachment 1: it holds a comment, which nobody signed",
    "many headers": "70000 bytes taken",
    "several": "70000 bytes taken",
}


def test_attachments_of_every_kind_are_signed_with_and_without_their_headers(
    classes: str, sandbox: SandboxDescription
) -> None:
    # Each receipt that comes back is an attachment, too, and WSS4J verifies it.
    done = run(
        *("java", "-cp", classes, "HandInEveryKind"),
        *signing_arguments(sandbox, service=HAND_IN),
        *("--journal", journal_number(sandbox)),
    )

    assert done.returncode == 0, done.stderr
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert {(kind, extent): text.rpartition(". ")[2] for kind, extent, text in said} == {
        (kind, extent): expected
        for kind, expected in KINDS.items()
        for extent in ("content", "with headers")
    }


# --- what its verification says of answers ---------------------------------------------------

UNTRUSTED = "Error during certificate path validation: No trusted certs found"
REASONS = {
    "a changed Body": "The signature or decryption was invalid",
    "a changed header": "The signature or decryption was invalid",
    "a moved Body": "soap:Body is not signed where it stands",
    "a block twice": "javax.xml.crypto.URIReferenceException",
    "an unsigned block": "xrd:id is not signed where it stands",
    "another canonicalisation": "BSP:R5404: Any CANONICALIZATION_METHOD Algorithm attribute MUST",
    "a signature by SHA-1": "An error was discovered processing the <wsse:Security> header",
    "SHA-1": "unsupported DigestMethod algorithm",
    "no signature": "0 signatures; expected one",
}


def test_altered_answers_are_not_believed(
    classes: str, nation: SmallNation, tmp_path: Path
) -> None:
    sent, moment = request(nation), now()
    good = answer_to(sent, nation, at=moment)
    cases = {name: (sent, change(good)) for name, change in ALTERED.items()}
    cases["good"] = (sent, good)
    cases["of another agency"] = (sent, answer_to(sent, nation, HUB, at=moment))
    cases["a fault that an agency signed"] = (sent, fault_of(PROVIDER, nation, at=moment))
    cases["to another request"] = (sent + b"\n", good)
    for name, (request_bytes, answer) in cases.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "sent.xml").write_bytes(request_bytes)
        (tmp_path / name / "answer.xml").write_bytes(answer)
    keys = nation.folder / "keys"
    client, agency, hub = "VN-GOV-H41-motcua", "VN-GOV-G01-dancu", "VN-GOV-G22-truclienthong"

    done = run(
        *("java", "-cp", classes, "VerifyAnswers", keys / f"{client}.key", keys / f"{client}.crt"),
        *(keys / f"{agency}.crt", keys / f"{hub}.crt", *(tmp_path / name for name in cases)),
    )

    assert done.returncode == 0, done.stderr
    said = dict(line.split("\t") for line in done.stdout.splitlines())
    assert {name: reason_of(name, text) for name, text in said.items()} == {
        "good": "believed",
        "of another agency": UNTRUSTED,
        "a fault that an agency signed": UNTRUSTED,
        "to another request": "an answer to another request",
        **REASONS,
    }


def reason_of(name: str, text: str) -> str:
    """What was said, cut down to the reason that is expected where it begins with that."""
    expected = REASONS.get(name, text)
    return expected if text.startswith(expected) else text
