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

from bus.core.identifiers import (
    IDENTIFIER_PART,
    ORGAN_CODE_2016,
    ORGAN_CODE_2020,
    IdentifierInvalid,
    MemberId,
    ServiceId,
    SubsystemId,
)
from bus.core.limits import Limits
from bus.core.registry import Mode
from bus.settings.faults import FaultsForm
from bus.settings.form import (
    IdentifierPartText,
    SettingsForm,
    SettingText,
    matching,
    parsed_by,
    pattern_schema,
)
from signing import policy

TIMEOUT_SECONDS_MAX = 300
"""What lasts longer than this should be a submission."""
LIMIT_MAX = 2**31 - 1
ORGAN_CODE_CHARACTERS_MAX = 35

_EITHER_FORM = [one.pattern.removesuffix(r"\Z") for one in (ORGAN_CODE_2020, ORGAN_CODE_2016)]
_ANY_ORGAN_CODE = re.compile(rf"({'|'.join(_EITHER_FORM)})\Z")
_SCHEMA_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.xsd\Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_ADAPTER_ID = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")

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


def _identifier_schema(shape: str) -> WithJsonSchema:
    """`[part]` may be empty; `[/part]` may be missing."""
    part = IDENTIFIER_PART.pattern.removesuffix(r"\Z")
    words = re.sub(r"[a-z]+", "part", shape)
    pattern = words.replace("[", "(").replace("]", ")?").replace("part", part)
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", "description": shape})


def _subsystem_only(text: str) -> SubsystemId:
    subsystem = SubsystemId.parse(text)
    if not subsystem.subsystem_code:
        raise IdentifierInvalid(f"{text!r}: expected instance/class/code/subsystem")
    return subsystem


MemberIdText = Annotated[
    MemberId, parsed_by(MemberId.parse), _identifier_schema("instance/class/code")
]
SubsystemIdText = Annotated[
    SubsystemId, parsed_by(SubsystemId.parse), _identifier_schema("instance/class/code[/subsystem]")
]
HubIdText = Annotated[
    SubsystemId,
    parsed_by(_subsystem_only),
    _identifier_schema("instance/class/code/subsystem"),
]
ServiceIdText = Annotated[
    ServiceId,
    parsed_by(ServiceId.parse),
    _identifier_schema("instance/class/code/[subsystem]/service/[version]"),
]
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
SchemaPathText = Annotated[
    str,
    matching(_SCHEMA_PATH, "a path below the schemas' folder as dancu/1.0/dancu.xsd"),
    pattern_schema(_SCHEMA_PATH),
]
AdapterIdText = Annotated[
    str,
    matching(_ADAPTER_ID, "the name of a folder below the adapters' folder as tax_office"),
    pattern_schema(_ADAPTER_ID),
]
MediaTypeText = Annotated[
    str,
    matching(_MEDIA_TYPE, "a media type in lower case as application/pdf"),
    pattern_schema(_MEDIA_TYPE),
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
    signatures: MemberSignaturesForm | None = None
    """What its signatures may look like, where it differs from the top-level `signatures`."""


class AttachmentsForm(SettingsForm):
    """What may stand beside the messages of a service."""

    max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 1
    """Most attachments beside one message."""
    bytes_max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = Limits().attachment_bytes_max
    """Largest attachment, in bytes."""
    types: Annotated[list[MediaTypeText], Field(default_factory=list)]
    """Media types, such as `application/pdf`; without them, any."""


class ServiceForm(SettingsForm):
    """A service of an agency."""

    id: ServiceIdText
    """The service as messages name it: `VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1`."""
    title: SettingText
    """What it does, in a few words."""
    adapter: AdapterIdText
    """The folder below the adapters' folder that carries it."""
    schema_: Annotated[SchemaPathText, Field(alias="schema")]
    """The schema of its messages, a path below the schemas' folder."""
    mode: Annotated[Mode, Field(strict=False)]
    """query: answered at once; submission: stored and forwarded."""
    timeout_seconds: Annotated[float, Field(gt=0, le=TIMEOUT_SECONDS_MAX, allow_inf_nan=False)]
    """How long the agency may take."""
    enabled: bool = True
    """false switches it off: senders get route.service-disabled."""
    notice: SettingText | None = None
    """Told to senders while it is switched off."""
    attachments: AttachmentsForm | None = None
    """What requests may bring beside them; without it, nothing."""
    answer_attachments: AttachmentsForm | None = None
    """What answers may bring beside them; without it, nothing."""


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
