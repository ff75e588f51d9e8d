"""Read routes.yaml into a Nation; refuse it with every problem at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from bus.core.errors import ConfigurationError
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.limits import Limits
from bus.core.registry import (
    AttachmentRule,
    FaultStyle,
    Grant,
    Member,
    MemberRegistry,
    Mode,
    RetryPolicy,
    Service,
    SubmissionRule,
    Subscription,
)
from bus.settings.form import check_form, in_order
from bus.settings.routes_checks import cross_problems
from bus.settings.routes_form import (
    GrantForm,
    MemberForm,
    RoutesForm,
    routes_json_schema,
)
from bus.settings.routes_policies import default_policy, member_policy
from bus.settings.service_form import AttachmentsForm, ServiceForm, SubscriptionForm
from bus.settings.settings_kinds import SettingsKind, check_kind
from bus.settings.yaml_document import read_settings_file, read_yaml

__all__ = ["parse_registry", "read_registry", "routes_json_schema"]


def read_registry(path: Path) -> MemberRegistry:
    """Read routes.yaml.

    Raises ConfigurationError with every problem in the file, each with its path and line.
    """
    raw = read_settings_file(path)
    return parse_registry(raw, file=str(path))


def parse_registry(raw: bytes, *, file: str) -> MemberRegistry:
    """The same from bytes; the message log keeps them, so that a past decision can be remade."""
    document = read_yaml(raw, file=file)
    check_kind(document, SettingsKind.ROUTES)
    form, problems = check_form(document, RoutesForm)
    known_paths = {problem.path for problem in problems}
    problems += [problem for problem in cross_problems(document) if problem.path not in known_paths]
    if form is None or problems:
        raise ConfigurationError(in_order(problems))
    return _registry(form, raw)


# --- from form to values -----------------------------------------------------------------------


def _registry(form: RoutesForm, raw: bytes) -> MemberRegistry:
    members = {member.id: _member(member) for member in form.members}
    limits = Limits(**form.limits.model_dump())  # type: ignore[attr-defined]
    policy = default_policy(form.signatures, limits)
    return MemberRegistry(
        instance=form.instance,
        hub=form.hub,
        members=members,
        services={service.id: _service(service) for service in form.services},
        grants={(grant.client, grant.service): grant for grant in _grants(form.grants)},
        limits=limits,
        faults=FaultStyle(form.faults.spelling, form.faults.http_status),
        policy=policy,
        member_policies={
            member.id: member_policy(member.signatures, policy)
            for member in form.members
            if member.signatures is not None
        },
        recipients={one.subsystem: one.adapter or "" for one in form.recipients},
        subscriptions=_subscriptions(form.subscriptions),
        digest=hashlib.sha256(raw).digest(),
        text=raw,
        member_by_certificate_subject={
            member.certificate_subject: member.id for member in members.values()
        },
        member_by_organ_code={
            code: member.id
            for member in members.values()
            for code in (member.organ_code, member.organ_code_2016, *member.former_organ_codes)
            if code
        },
        subsystems=frozenset(
            client
            for member in members.values()
            for client in (SubsystemId(member.id, ""), *member.subsystems)
        ),
    )


def _member(form: MemberForm) -> Member:
    return Member(
        id=form.id,
        name=form.name,
        organ_code=form.organ_code or "",
        organ_code_2016=form.organ_code_2016 or "",
        former_organ_codes=tuple(form.former_organ_codes),
        certificate_subject=form.certificate_subject or str(form.id),
        subsystems=tuple(SubsystemId(form.id, code) for code in form.subsystems),
        maintenance=form.maintenance or "",
        rate_per_second=form.rate_per_second,
    )


def _service(form: ServiceForm) -> Service:
    return Service(
        id=form.id,
        title=form.title,
        adapter=form.adapter or "",
        schema=form.schema_,
        mode=form.mode,
        timeout_seconds=form.timeout_seconds,
        is_enabled=form.enabled,
        notice=form.notice or "",
        attachments=_attachment_rule(form.attachments),
        answer_attachments=_attachment_rule(form.answer_attachments),
        submission=_submission(form) if form.mode is Mode.SUBMISSION else None,
    )


def _submission(form: ServiceForm) -> SubmissionRule:
    return SubmissionRule(
        recipients=form.recipients,
        retry=RetryPolicy(
            first_seconds=form.retry.first_seconds,
            factor=form.retry.factor,
            cap_seconds=form.retry.cap_seconds,
            attempts_max=form.retry.attempts_max,
            expires_after_seconds=form.expires_after_seconds,
        ),
        repeats=form.repeats,
        is_ordered=form.ordering == "conversation",
        skips_dead_letters=form.on_dead_letter == "skip",
        is_urgent=form.priority == "high",
    )


def _subscriptions(
    forms: Iterable[SubscriptionForm],
) -> dict[ServiceId, dict[SubsystemId, Subscription]]:
    found: dict[ServiceId, dict[SubsystemId, Subscription]] = {}
    for form in forms:
        for one in form.subscribers:
            right = Subscription(one, form.event, form.purpose, form.legal_basis)
            found.setdefault(form.event, {})[one] = right
    return {event: dict(sorted(rights.items())) for event, rights in found.items()}


def _attachment_rule(form: AttachmentsForm | None) -> AttachmentRule | None:
    if form is None:
        return None
    return AttachmentRule(form.max, form.bytes_max, frozenset(form.types))


def _grants(forms: Iterable[GrantForm]) -> Iterator[Grant]:
    for form in forms:
        for client in form.clients:
            for service in form.services:
                yield Grant(client, service, form.purpose, form.legal_basis)
