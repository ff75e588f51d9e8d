"""The form of routes.yaml: its keys, their types and meanings; the JSON Schema comes from here."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import fields
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, create_model

from bus.core.identifiers import ORGAN_CODE_2016, ORGAN_CODE_2020
from bus.core.limits import Limits
from bus.settings.faults import FaultsForm
from bus.settings.form import (
    IdentifierPartText,
    SettingsForm,
    SettingText,
    matching,
    parsed_by,
    pattern_schema,
)
from bus.settings.routes_values import (
    LIMIT_MAX,
    HubIdText,
    MemberIdText,
    ServiceIdText,
    SubsystemIdText,
)
from bus.settings.service_form import RecipientForm, ServiceForm, SubscriptionForm
from signing import policy

ORGAN_CODE_CHARACTERS_MAX = 35
RATE_PER_SECOND_MAX = 1_000_000

_EITHER_FORM = [one.pattern.removesuffix(r"\Z") for one in (ORGAN_CODE_2020, ORGAN_CODE_2016)]
_ANY_ORGAN_CODE = re.compile(rf"({'|'.join(_EITHER_FORM)})\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")

SIGNATURE_ALGORITHM_NAMES = {
    "rsa-sha256": policy.RSA_SHA256,
    "rsa-sha384": policy.RSA_SHA384,
    "rsa-sha512": policy.RSA_SHA512,
    "rsa-pss-sha256": policy.RSA_PSS_SHA256,
    "rsa-pss-sha384": policy.RSA_PSS_SHA384,
    "rsa-pss-sha512": policy.RSA_PSS_SHA512,
    "ecdsa-sha256": policy.ECDSA_SHA256,
    "ecdsa-sha384": policy.ECDSA_SHA384,
    "ecdsa-sha512": policy.ECDSA_SHA512,
    "ed25519": policy.ED25519,
}
CURVE_NAMES = {
    "p-256": policy.CURVE_P256,
    "p-384": policy.CURVE_P384,
    "p-521": policy.CURVE_P521,
}
DIGEST_ALGORITHM_NAMES = {
    "sha256": policy.DIGEST_SHA256,
    "sha384": policy.DIGEST_SHA384,
    "sha512": policy.DIGEST_SHA512,
}


# --- types of one value ----------------------------------------------------------------------

OrganCodeText = Annotated[
    str,
    matching(
        ORGAN_CODE_2020,
        "an organ code of Decision 20/2020 as H41 or H41.5.3, or an enterprise's registration code",
    ),
    pattern_schema(ORGAN_CODE_2020),
]
OrganCode2016Text = Annotated[
    str,
    matching(ORGAN_CODE_2016, "an organ code of QCVN 102:2016 as 000.00.00.H41"),
    pattern_schema(ORGAN_CODE_2016),
]
FormerOrganCodeText = Annotated[
    str,
    matching(_ANY_ORGAN_CODE, "an organ code as H41 or 000.00.00.H41"),
    pattern_schema(_ANY_ORGAN_CODE),
]
SignatureAlgorithmName = Literal[
    "rsa-sha256",
    "rsa-sha384",
    "rsa-sha512",
    "rsa-pss-sha256",
    "rsa-pss-sha384",
    "rsa-pss-sha512",
    "ecdsa-sha256",
    "ecdsa-sha384",
    "ecdsa-sha512",
    "ed25519",
]
DigestAlgorithmName = Literal["sha256", "sha384", "sha512"]
CurveName = Literal["p-256", "p-384", "p-521"]


def _day(text: str) -> date:
    if not _DAY.match(text):
        raise ValueError("expected a day as 2027-06-30")
    return date.fromisoformat(text)


DayText = Annotated[date, parsed_by(_day), WithJsonSchema({"type": "string", "format": "date"})]
RsaBits = Annotated[int, Field(ge=policy.RSA_BITS_MIN, le=16384)]


# --- sections --------------------------------------------------------------------------------


class SignaturesForm(SettingsForm):
    """What a signature may look like."""

    algorithms: Annotated[
        list[SignatureAlgorithmName],
        Field(min_length=1, default_factory=lambda: list(SIGNATURE_ALGORITHM_NAMES)),
    ]
    """Signature algorithms that are taken."""
    digests: Annotated[
        list[DigestAlgorithmName],
        Field(min_length=1, default_factory=lambda: list(DIGEST_ALGORITHM_NAMES)),
    ]
    """Digest algorithms that are taken."""
    curves: Annotated[
        list[CurveName], Field(min_length=1, default_factory=lambda: ["p-256", "p-384"])
    ]
    """Elliptic curves of keys that are taken."""
    rsa_bits_min: RsaBits = policy.RSA_BITS_MIN
    """Smallest RSA key, in bits."""
    require_expires: bool = False
    """true refuses messages whose timestamp does not say when it expires."""
    require_attachment_headers: bool = False
    """true takes attachments only if their MIME headers are signed too."""


class SignatureExceptionForm(SettingsForm):
    """Something weaker that one member may use for a while."""

    allow: Annotated[policy.Allowance, Field(strict=False)]
    """sha1: RSA and ECDSA with SHA-1, and its digests; inclusive-c14n: Canonical XML 1.0."""
    reason: SettingText
    """Why it cannot be done better yet."""
    until: DayText
    """The last day of the exception, in UTC; after it, it is as if it were not there."""


class MemberSignaturesForm(SettingsForm):
    """What signatures of one member may look like, where it differs from `signatures`."""

    algorithms: Annotated[list[SignatureAlgorithmName], Field(min_length=1)] | None = None
    """Signature algorithms that are taken of it."""
    digests: Annotated[list[DigestAlgorithmName], Field(min_length=1)] | None = None
    """Digest algorithms that are taken of it."""
    curves: Annotated[list[CurveName], Field(min_length=1)] | None = None
    """Elliptic curves of its keys."""
    rsa_bits_min: RsaBits | None = None
    """Its smallest RSA key, in bits."""
    require_expires: bool | None = None
    """Whether its timestamps must say when they expire."""
    require_attachment_headers: bool | None = None
    """Whether the MIME headers of its attachments must be signed too."""
    message_age_seconds_max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] | None = None
    """Oldest wsu:Created that is taken of it; otherwise that of `limits`."""
    clock_skew_seconds_max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] | None = None
    """How far its clock may be ahead of ours; otherwise that of `limits`."""
    exceptions: Annotated[list[SignatureExceptionForm], Field(default_factory=list)]
    """What it may do weaker, why, and until when."""


class MemberForm(SettingsForm):
    """An agency."""

    id: MemberIdText
    """The agency as messages name it: `VN/GOV/H41`."""
    name: SettingText
    """Its Vietnamese name."""
    organ_code: OrganCodeText | None = None
    """Its organ code of Decision 20/2020: `H41`, if it has one; a company's is its registration
    code."""
    organ_code_2016: OrganCode2016Text | None = None
    """Its organ code of QCVN 102:2016: `000.00.00.H41`, if it has one."""
    former_organ_codes: Annotated[list[FormerOrganCodeText], Field(default_factory=list)]
    """Organ codes, in either form, of agencies that were merged into it; they lead to it, too."""
    subsystems: Annotated[list[IdentifierPartText], Field(min_length=1, default_factory=list)]
    """The codes of its systems. The agency itself may ask and be asked, too."""
    certificate_subject: SettingText | None = None
    """organizationIdentifier (OID 2.5.4.97) in its certificates; without it, the member's id."""
    maintenance: SettingText | None = None
    """While it stands, the agency's services rest, and senders are told this text."""
    rate_per_second: Annotated[float, Field(gt=0, le=RATE_PER_SECOND_MAX, allow_inf_nan=False)] | (
        None
    ) = None
    """Messages of it that each hub takes a second, on the average; what is more gets limit.rate.
    Without it, as many as come."""
    signatures: MemberSignaturesForm | None = None
    """What its signatures may look like, where it differs from the top-level `signatures`."""


class GrantForm(SettingsForm):
    """A right: each of these clients may use each of these services."""

    clients: Annotated[list[SubsystemIdText], Field(min_length=1)]
    """The subsystems that may ask."""
    services: Annotated[list[ServiceIdText], Field(min_length=1)]
    """The services that they may use."""
    purpose: SettingText
    """What for; handed to the agency with every question."""
    legal_basis: SettingText
    """The text of law that allows it."""


def attribute_docstrings(kind: type) -> dict[str, str]:
    """The docstring below each attribute of a class, by the attribute's name."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    docstrings = {}
    for above, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name):
            match below:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    docstrings[above.target.id] = inspect.cleandoc(text)
    return docstrings


def _limits_form() -> type[SettingsForm]:
    """A form with the very names, defaults and meanings of Limits, so that none is told twice."""
    meanings = attribute_docstrings(Limits)
    keys: dict[str, Any] = {
        limit.name: (
            int,
            Field(default=limit.default, ge=1, le=LIMIT_MAX, description=meanings[limit.name]),
        )
        for limit in fields(Limits)
    }
    return create_model("LimitsForm", __base__=SettingsForm, __doc__="Bounds in force.", **keys)


LimitsForm = _limits_form()


class RoutesForm(SettingsForm):
    """routes.yaml: the members of the nation, their services, and who may use them."""

    instance: IdentifierPartText
    """The X-Road instance; every id starts with it."""
    hub: HubIdText
    """The subsystem that is this hub."""
    members: Annotated[list[MemberForm], Field(min_length=1)]
    """The agencies."""
    services: list[ServiceForm]
    """What the agencies offer."""
    grants: list[GrantForm]
    """Who may use what, and why. Without a grant nothing passes."""
    recipients: Annotated[list[RecipientForm], Field(default_factory=list)]
    """How subsystems are reached that get messages without being a service's provider."""
    subscriptions: Annotated[list[SubscriptionForm], Field(default_factory=list)]
    """Who may get, or gets, what is submitted to a service for many."""
    limits: LimitsForm = LimitsForm()  # type: ignore[valid-type]
    """Bounds; each has a default."""
    faults: FaultsForm = FaultsForm()
    """How faults are written."""
    signatures: Annotated[SignaturesForm, Field(default_factory=SignaturesForm)]
    """What a signature may look like; strict by default."""


def routes_json_schema() -> dict[str, Any]:
    """The JSON Schema of routes.yaml (draft 2020-12), for editors."""
    schema = RoutesForm.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
