"""Turn what routes.yaml says about signatures into policies, and warn of exceptions that end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from bus.core.errors import Problem
from bus.core.limits import Limits
from bus.core.registry import MemberRegistry
from bus.settings.routes_form import (
    CURVE_NAMES,
    DIGEST_ALGORITHM_NAMES,
    SIGNATURE_ALGORITHM_NAMES,
    MemberSignaturesForm,
    SignaturesForm,
)
from bus.settings.yaml_document import read_yaml
from signing.policy import MemberPolicy, PolicyException, SignaturePolicy

EXCEPTION_WARNING_DAYS = 60
"""An exception that ends within so many days is told by `lienthong check`."""


def default_policy(form: SignaturesForm, limits: Limits) -> SignaturePolicy:
    """The policy of every member without one of its own."""
    return SignaturePolicy(
        references_max=limits.signature_references_max,
        message_age_seconds_max=limits.message_age_seconds_max,
        clock_skew_seconds_max=limits.clock_skew_seconds_max,
        **_given(form),
    )


def member_policy(form: MemberSignaturesForm, default: SignaturePolicy) -> MemberPolicy:
    """The default with what one member's section says, and its exceptions."""
    return MemberPolicy(
        replace(default, **_given(form)),
        tuple(PolicyException(one.allow, one.reason, one.until) for one in form.exceptions),
    )


def exception_warnings(registry: MemberRegistry, file: str, now: datetime) -> Iterator[Problem]:
    """Exceptions that have ended, or end soon, each where it stands in the file."""
    routes = read_yaml(registry.text, file=file)
    for place, member in enumerate(registry.members):
        policy = registry.member_policies.get(member, MemberPolicy())
        for number, exception in enumerate(policy.exceptions):
            message = _end_of(exception.until, now.date())
            if message:
                path = ("members", place, "signatures", "exceptions", number, "until")
                yield routes.problem(path, f"the exception for {exception.allow} {message}")


def _end_of(until: date, today: date) -> str:
    if until < today:
        return f"ended on {until}: it allows nothing any more"
    if until - today <= timedelta(days=EXCEPTION_WARNING_DAYS):
        return f"ends on {until}: signatures that need it are refused after that day"
    return ""


def _given(form: SignaturesForm | MemberSignaturesForm) -> dict[str, Any]:
    """Fields of a policy that a section gives."""
    given: dict[str, Any] = {
        "signature_algorithms": _identifiers(form.algorithms, SIGNATURE_ALGORITHM_NAMES),
        "digest_algorithms": _identifiers(form.digests, DIGEST_ALGORITHM_NAMES),
        "curves": _identifiers(form.curves, CURVE_NAMES),
        "rsa_bits_min": form.rsa_bits_min,
        "is_expires_required": form.require_expires,
        "are_attachment_headers_required": form.require_attachment_headers,
    }
    if isinstance(form, MemberSignaturesForm):
        given["message_age_seconds_max"] = form.message_age_seconds_max
        given["clock_skew_seconds_max"] = form.clock_skew_seconds_max
    return {name: value for name, value in given.items() if value is not None}


def _identifiers(chosen: Any, table: dict[str, str]) -> frozenset[str] | None:
    return None if chosen is None else frozenset(table[name] for name in chosen)
