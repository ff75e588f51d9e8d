"""What routes.yaml says about signatures: a default, members that differ, exceptions that end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from jsonschema import Draft202012Validator

from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId
from bus.core.registry import MemberRegistry
from bus.settings.routes import parse_registry, routes_json_schema
from bus.settings.routes_policies import exception_warnings
from bus.settings.yaml_document import read_yaml
from signing import policy as uri
from signing.names import INCLUSIVE_C14N
from signing.policy import Allowance, MemberPolicy, PolicyException, SignaturePolicy

H41 = MemberId.parse("VN/GOV/H41")
H26 = MemberId.parse("VN/GOV/H26")
ROUTES = """\
instance: VN
hub: VN/GOV/H26/truc
members:
  - id: VN/GOV/H26
    name: Thừa Thiên Huế
    organ_code: H26
    organ_code_2016: 000.00.00.H26
    subsystems: [truc]
  - id: VN/GOV/H41
    name: Nghệ An
    organ_code: H41
    organ_code_2016: 000.00.00.H41
    subsystems: [motcua]
    signatures: {OWN}
services: []
grants: []
limits: {message_age_seconds_max: 200, clock_skew_seconds_max: 20, signature_references_max: 9}
signatures: {TOP}
"""
EXCEPTION = "exceptions: [{allow: sha1, reason: Hệ thống cũ, until: 2027-06-30}]"


def text(own: str = "{}", top: str = "{}") -> str:
    return ROUTES.replace("{OWN}", own).replace("{TOP}", top)


def nation(own: str = "{}", top: str = "{}") -> MemberRegistry:
    return parse_registry(text(own, top).encode(), file="routes.yaml")


NOW = datetime(2027, 1, 1, tzinfo=UTC)
DEFAULT = SignaturePolicy(references_max=9, message_age_seconds_max=200, clock_skew_seconds_max=20)


def test_without_anything_said_every_member_has_the_strict_policy() -> None:
    read = nation()

    assert read.policy == DEFAULT
    assert read.member_policies == {H41: MemberPolicy(DEFAULT)}
    assert read.policy_of(H26, NOW) is read.policy


def test_the_top_level_section_says_what_holds_for_everybody() -> None:
    read = nation(
        top="{algorithms: [ed25519], digests: [sha512], curves: [p-521], rsa_bits_min: 4096, "
        "require_expires: true, require_attachment_headers: true}"
    )

    policy = read.policy_of(H26, NOW)
    assert policy == read.policy_of(H41, NOW)
    assert policy.signature_algorithms == {uri.ED25519}
    assert policy.digest_algorithms == {uri.DIGEST_SHA512}
    assert policy.curves == {uri.CURVE_P521}
    assert policy.rsa_bits_min == 4096
    assert policy.is_expires_required
    assert policy.are_attachment_headers_required


def test_a_member_s_section_changes_what_it_says_and_nothing_else() -> None:
    read = nation(
        own="{algorithms: [rsa-sha256], require_expires: false, message_age_seconds_max: 900, "
        "clock_skew_seconds_max: 90}",
        top="{digests: [sha512], require_expires: true}",
    )

    policy = read.policy_of(H41, NOW)
    assert policy.signature_algorithms == {uri.RSA_SHA256}
    assert policy.digest_algorithms == {uri.DIGEST_SHA512}
    assert not policy.is_expires_required
    assert (policy.message_age_seconds_max, policy.clock_skew_seconds_max) == (900, 90)
    assert read.policy_of(H26, NOW).is_expires_required


def test_an_exception_has_an_allowance_a_reason_and_an_end() -> None:
    read = nation("{" + EXCEPTION + "}")

    (exception,) = read.member_policies[H41].exceptions
    assert exception == PolicyException(Allowance.SHA1, "Hệ thống cũ", date(2027, 6, 30))
    assert uri.RSA_SHA1 in read.policy_of(H41, NOW).signature_algorithms
    assert read.policy_of(H41, NOW.replace(month=7)) == DEFAULT
    assert uri.RSA_SHA1 not in read.policy_of(H26, NOW).signature_algorithms


def test_canonical_xml_1_0_can_be_excepted() -> None:
    read = nation("{exceptions: [{allow: inclusive-c14n, reason: .NET 2, until: 2027-01-01}]}")

    assert INCLUSIVE_C14N in read.policy_of(H41, NOW).canonicalisations


@pytest.mark.parametrize(
    ("own", "top", "path", "words"),
    [
        ("{algorithms: [rsa-sha1]}", "{}", "signatures.algorithms[0]", "'rsa-sha256'"),
        ("{algorithms: []}", "{}", "signatures.algorithms", "at least 1"),
        ("{rsa_bits_min: 1024}", "{}", "signatures.rsa_bits_min", "at least 2048"),
        ("{curves: [p-224]}", "{}", "signatures.curves[0]", "'p-256'"),
        ("{exeptions: []}", "{}", "signatures.exeptions", "Did you mean 'exceptions'?"),
        (
            "{exceptions: [{allow: hmac, reason: a, until: 2027-06-30}]}",
            "{}",
            "signatures.exceptions[0].allow",
            "'sha1' or 'inclusive-c14n'",
        ),
        (
            "{exceptions: [{allow: sha1, until: 2027-06-30}]}",
            "{}",
            "signatures.exceptions[0].reason",
            "missing; expected: Why it cannot be done better yet",
        ),
        (
            "{exceptions: [{allow: sha1, reason: a}]}",
            "{}",
            "signatures.exceptions[0].until",
            "missing",
        ),
        (
            "{exceptions: [{allow: sha1, reason: a, until: 30.6.2027}]}",
            "{}",
            "signatures.exceptions[0].until",
            "expected a day as 2027-06-30",
        ),
        (
            "{exceptions: [{allow: sha1, reason: a, until: 2027-02-30}]}",
            "{}",
            "signatures.exceptions[0].until",
            "day is out of range",
        ),
        ("{}", "{" + EXCEPTION + "}", "signatures.exceptions", "this key is not known"),
        ("{}", "{message_age_seconds_max: 9}", "signatures.message_age", "not known"),
    ],
)
def test_each_mistake_is_told_with_its_path(own: str, top: str, path: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        nation(own, top)

    told = [str(problem) for problem in caught.value.problems]
    assert any(path in problem and words in problem for problem in told), told


def test_editors_know_the_section_from_the_schema() -> None:
    validator = Draft202012Validator(routes_json_schema())
    good, bad = (
        read_yaml(text(own).encode(), file="routes.yaml").values
        for own in ("{" + EXCEPTION + "}", "{exceptions: [{allow: sha1}]}")
    )

    assert not list(validator.iter_errors(good))
    assert len(list(validator.iter_errors(bad))) == 1


# --- what `lienthong check` warns of -------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (61, None),
        (60, "ends on 2027-06-30: signatures that need it are refused after that day"),
        (0, "ends on 2027-06-30"),
        (-1, "ended on 2027-06-30: it allows nothing any more"),
    ],
)
def test_exceptions_that_end_are_warned_of(days: int, expected: str | None) -> None:
    now = datetime(2027, 6, 30, 12, tzinfo=UTC) - timedelta(days=days)

    warnings = [
        str(one) for one in exception_warnings(nation("{" + EXCEPTION + "}"), "routes.yaml", now)
    ]

    if expected is None:
        assert warnings == []
        return
    (warning,) = warnings
    assert warning.startswith("routes.yaml:14: members[1].signatures.exceptions[0].until: ")
    assert f"the exception for sha1 {expected}" in warning


def test_a_nation_without_exceptions_has_nothing_to_warn_of() -> None:
    assert list(exception_warnings(nation(), "routes.yaml", NOW)) == []
