"""Values that forms of routes.yaml share: identifiers, names of files, media types."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import WithJsonSchema

from bus.core.identifiers import (
    IDENTIFIER_PART,
    IdentifierInvalid,
    MemberId,
    ServiceId,
    SubsystemId,
)
from bus.settings.form import matching, parsed_by, pattern_schema

LIMIT_MAX = 2**31 - 1
_SCHEMA_PATH = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*/)*[A-Za-z0-9][A-Za-z0-9._-]*\.xsd\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+\Z")
_ADAPTER_ID = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


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
