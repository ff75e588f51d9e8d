"""The forms of services in routes.yaml, and of those who get what is submitted to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bus.core.limits import Limits
from bus.core.registry import Mode, RecipientRule, Repeats, RetryPolicy
from bus.settings.form import SettingsForm, SettingText
from bus.settings.routes_values import (
    LIMIT_MAX,
    AdapterIdText,
    MediaTypeText,
    SchemaPathText,
    ServiceIdText,
    SubsystemIdText,
)

TIMEOUT_SECONDS_MAX = 300
"""What lasts longer than this should be a submission."""
_DAY_SECONDS = 24 * 3600
EXPIRES_SECONDS_MAX = 90 * _DAY_SECONDS
_DEFAULTS = RetryPolicy()
Seconds = Annotated[float, Field(gt=0, le=EXPIRES_SECONDS_MAX, allow_inf_nan=False)]


class AttachmentsForm(SettingsForm):
    """What may stand beside the messages of a service."""

    max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 1
    """Most attachments beside one message."""
    bytes_max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = Limits().attachment_bytes_max
    """Largest attachment, in bytes."""
    types: Annotated[list[MediaTypeText], Field(default_factory=list)]
    """Media types, such as `application/pdf`; without them, any."""


class RetryForm(SettingsForm):
    """When a failed attempt at a delivery is followed by another."""

    first_seconds: Seconds = _DEFAULTS.first_seconds
    """From the first attempt to the second."""
    factor: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = _DEFAULTS.factor
    """So many times longer before each further one."""
    cap_seconds: Seconds = _DEFAULTS.cap_seconds
    """At most so long between two attempts."""
    attempts_max: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = _DEFAULTS.attempts_max
    """After so many it is a dead letter."""


class ServiceForm(SettingsForm):
    """A service of an agency."""

    id: ServiceIdText
    """The service as messages name it: `VN/GOV/G01/dancu/TraCuuThongTinCongDan/v1`."""
    title: SettingText
    """What it does, in a few words."""
    adapter: AdapterIdText | None = None
    """The folder below the adapters' folder that carries it. A submission may leave it out: then
    `recipients` at the top say how whoever gets it is reached."""
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
    recipients: Annotated[RecipientRule, Field(strict=False)] = RecipientRule.PROVIDER
    """Who gets what is submitted. provider: the subsystem whose service it is; named: whom the
    message names in its signed header `lt:recipients`, each of them subscribed; subscribers:
    everybody who is subscribed when it is accepted."""
    retry: RetryForm = RetryForm()
    """When a failed attempt at a delivery is followed by another."""
    expires_after_seconds: Seconds = _DEFAULTS.expires_after_seconds
    """So long after its acceptance a delivery is tried; then it has expired."""
    ordering: Literal["none", "conversation"] = "none"
    """conversation: what one client sends to one recipient in one case (header `issue`) is
    delivered in the order in which it was accepted; none: as it comes."""
    on_dead_letter: Literal["block", "skip"] = "block"
    """With `ordering: conversation`: what comes after a dead letter waits for an operator, or goes
    on without it."""
    priority: Literal["normal", "high"] = "normal"
    """high goes before normal, to the same recipient."""
    repeats: Annotated[Repeats, Field(strict=False)] = Repeats.RECOGNISED
    """What the agency does with a delivery that it has had before. recognised: it drops the copy by
    its key; asked: the adapter asks whether it had it (`find`); never: it would do it again, so
    that nothing is sent any more after an attempt in doubt."""


SUBMISSION_KEYS = (
    "recipients",
    "retry",
    "expires_after_seconds",
    "ordering",
    "on_dead_letter",
    "priority",
    "repeats",
)
"""Keys of a service that only a submission has."""


class RecipientForm(SettingsForm):
    """How a subsystem is reached by what is submitted to others' services, or to its own that name
    no adapter: `adapter` or `delivery`."""

    subsystem: SubsystemIdText
    """Who is reached: `VN/GOV/H41/vanban`."""
    adapter: AdapterIdText | None = None
    """The folder below the adapters' folder that brings it there."""
    delivery: Literal["mailbox"] | None = None
    """mailbox: the recipient fetches what lies here for it."""


class SubscriptionForm(SettingsForm):
    """A right: each of these subscribers may get, or gets, what is submitted to this service."""

    event: ServiceIdText
    """A service whose `recipients` are `named` or `subscribers`."""
    subscribers: Annotated[list[SubsystemIdText], Field(min_length=1)]
    """The subsystems."""
    purpose: SettingText
    """What for."""
    legal_basis: SettingText
    """The text of law that allows it."""
