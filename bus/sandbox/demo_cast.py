"""Choose from routes and manifests who plays in the demo: who asks, who sends, who may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bus.core.errors import ConfigurationError, Problem
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.registry import MemberRegistry
from bus.kit.manifest import Manifest
from bus.kit.shown_facts import ShownFact
from bus.sandbox.places import NGHE_AN, PROVINCES


@dataclass(frozen=True, slots=True)
class Question:
    """A service that the office asks, and what is shown of the answer."""

    service: ServiceId
    shown: tuple[ShownFact, ...]
    agency: str
    """Who knows the answer, in its own language."""


@dataclass(frozen=True, slots=True)
class DocumentPlayed:
    """A submission to subscribers: who sends it, who gets it and how, and who is away at first."""

    service: ServiceId
    shown: tuple[ShownFact, ...]
    """Of what is submitted."""
    sender: SubsystemId
    adapter: str
    """Brings it to whoever is away."""
    away: SubsystemId
    brought: tuple[SubsystemId, ...]
    """To these an adapter brings it."""
    by_mailbox: tuple[SubsystemId, ...]
    """These fetch it."""


@dataclass(frozen=True, slots=True)
class Cast:
    """Who asks what."""

    office: SubsystemId
    stranger: SubsystemId
    """It is registered, and has no right to anything."""
    questions: tuple[Question, ...]
    document: DocumentPlayed | None = None
    """None: no manifest shows a submission to subscribers."""

    @property
    def agencies(self) -> tuple[str, ...]:
        """Who is asked, each once, in order."""
        return tuple(dict.fromkeys(question.agency for question in self.questions))


def choose_cast(registry: MemberRegistry, manifests: Mapping[str, Manifest]) -> Cast:
    """What the agencies want shown, and an office of the citizen's province that may ask all of it.

    Raises ConfigurationError: there is no story with these routes and manifests.
    """
    questions = tuple(questions_played(registry, manifests))
    clients = list(dict.fromkeys(client for client, _ in registry.grants))
    offices = [
        client
        for client in clients
        if all((client, question.service) in registry.grants for question in questions)
    ]
    at_home = [one for one in offices if _is_at_home(registry.members[one.member].name)]
    busy = {*clients, registry.hub, *(service.provider for service in registry.services)}
    members = registry.members.values()
    strangers = [one for member in members for one in member.subsystems if one not in busy]
    if not (questions and offices and strangers):
        message = (
            "the demo needs a service whose manifest says what is shown of it, a client that may "
            "use each of these, and a subsystem without any grant"
        )
        raise ConfigurationError([Problem("routes.yaml", "", message)])
    document = next(iter(documents_played(registry, manifests)), None)
    return Cast((at_home or offices)[0], strangers[0], questions, document)


def questions_played(
    registry: MemberRegistry, manifests: Mapping[str, Manifest]
) -> Iterable[Question]:
    """Every query whose answer a manifest shows."""
    for known, service in registry.services.items():
        if service.submission is None and (shown := _shown(manifests, service.adapter, known)):
            yield Question(known, shown, manifests[service.adapter].name)


def documents_played(
    registry: MemberRegistry, manifests: Mapping[str, Manifest]
) -> Iterable[DocumentPlayed]:
    """Every submission to subscribers that a manifest shows, and who plays in it."""
    for known, subscribers in registry.subscriptions.items():
        senders = [client for client, service in registry.grants if service == known]
        ways = {one: registry.recipients.get(one, "") for one in subscribers}
        brought = tuple(one for one, adapter in ways.items() if adapter)
        simulated = [
            one
            for one in brought
            if (manifest := manifests.get(ways[one])) is not None
            and manifest.simulator is not None
            and _shown(manifests, ways[one], known)
        ]
        if not (senders and simulated):
            continue
        at_home = [one for one in simulated if _is_at_home(registry.members[one.member].name)]
        away = (at_home or simulated)[0]
        yield DocumentPlayed(
            known,
            _shown(manifests, ways[away], known),
            senders[0],
            ways[away],
            away,
            brought,
            tuple(one for one, adapter in ways.items() if not adapter),
        )


def _shown(
    manifests: Mapping[str, Manifest], adapter: str, service: ServiceId
) -> tuple[ShownFact, ...]:
    """What an adapter's manifest shows of a service; nothing where it does not say."""
    declared = manifests[adapter].services if adapter in manifests else ()
    wanted = (service.service_code, service.service_version)
    return next((one.shown for one in declared if (one.code, one.version) == wanted), ())


def _is_at_home(name: str) -> bool:
    """Whether a member is of the province where the citizen lives, by its name."""
    return name.casefold().endswith(PROVINCES[NGHE_AN][0].casefold())
