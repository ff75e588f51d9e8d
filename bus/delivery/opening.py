"""Open the adapters that the routes name, and hold each agency to have the key that answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Protocol

from bus.core import errors
from bus.core.identifiers import MemberId
from bus.core.registry import MemberRegistry
from bus.delivery.adapter_calls import AdapterCalls
from bus.delivery.adapter_folder import open_adapter, read_adapter_folder
from bus.delivery.carrying import what_adapter_lacks
from bus.kit.contract import Adapter
from bus.kit.manifest import Manifest
from bus.runtime.resources import Resources
from signing.pki.succession import KeySuccession

ADAPTERS_CLOSE_SECONDS_MAX = 3.0
"""How long adapters may take to let go of their connections, all at the same time."""


class AgencySettings(Protocol):
    """What a settings file says of adapters."""

    @property
    def file(self) -> Path:
        """The settings file."""
        ...

    @property
    def routes(self) -> Path:
        """The file routes.yaml."""
        ...

    @property
    def adapters(self) -> Path:
        """The folder of adapters."""
        ...

    @property
    def agencies(self) -> Mapping[str, Mapping[str, str]]:
        """Settings of adapters by adapter id."""
        ...


def open_agencies(
    settings: AgencySettings,
    registry: MemberRegistry,
    wanted: Collection[str],
    given: Mapping[str, Adapter] | None,
    resources: Resources,
) -> dict[str, AdapterCalls]:
    """The adapters that are wanted. Raises ConfigurationError."""
    agencies: dict[str, AdapterCalls] = {}
    closings: dict[str, Callable[[], None]] = {}
    # Opened first and closed last: what others wrote cannot keep the log from being closed.
    resources.own_together(closings, seconds_max=ADAPTERS_CLOSE_SECONDS_MAX)
    wanted = sorted(wanted)
    manifests = {} if given is not None else read_adapter_folder(settings.adapters, wanted)
    calls_max = registry.limits.adapter_calls_at_once_max
    for adapter_id in wanted:
        if given is not None:
            adapter, concurrency = given[adapter_id], calls_max
        else:
            adapter, concurrency = _open_adapter(adapter_id, settings, manifests)
            _require_methods(adapter, adapter_id, settings, registry)
        concurrency = min(concurrency, calls_max)
        agencies[adapter_id] = AdapterCalls(
            adapter_id,
            adapter,
            concurrency=concurrency,
            at_once_max=registry.limits.exchanges_at_once_per_agency_max,
        )
        closings[f"adapter-{adapter_id}"] = agencies[adapter_id].close
    return agencies


def _open_adapter(
    adapter_id: str, settings: AgencySettings, manifests: Mapping[str, Manifest]
) -> tuple[Adapter, int]:
    """An adapter, and how many calls of it may be made at once. Raises ConfigurationError."""
    manifest = manifests.get(adapter_id)
    if manifest is None:
        place = str(settings.adapters / adapter_id)
        raise errors.ConfigurationError([errors.Problem(place, "", "expected an adapter")])
    given = settings.agencies.get(adapter_id, {})
    return open_adapter(manifest, given, settings_file=settings.file), manifest.concurrency


def _require_methods(
    adapter: Adapter, adapter_id: str, settings: AgencySettings, registry: MemberRegistry
) -> None:
    """An adapter has what the services need that it carries. Raises ConfigurationError."""
    problems = [
        errors.Problem(str(settings.routes), f"service {service.id}", message)
        for service, message in what_adapter_lacks(type(adapter), adapter_id, registry)
    ]
    if problems:
        raise errors.ConfigurationError(problems)


def require_signers(
    file: Path, answering: Collection[MemberId], signers: Mapping[str, KeySuccession]
) -> None:
    """Every service is answered under its agency's signature, and what an adapter brought to a
    recipient, too: its key must be here. Raises ConfigurationError."""
    problems = [
        errors.Problem(str(file), f"signers.{member}", "expected the key that answers")
        for member in sorted({str(member) for member in answering} - signers.keys())
    ]
    if problems:
        raise errors.ConfigurationError(problems)
