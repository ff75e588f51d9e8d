"""Check what routes.yaml says of submissions: that each of them reaches somebody.

As the other checks between sections they read texts as they stand in the file, so that they also
reach items with other mistakes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bus.core.errors import Problem
from bus.core.limits import Limits
from bus.core.registry import Mode, RecipientRule
from bus.settings.form import did_you_mean
from bus.settings.routes_items import ItemInFile, TextInFile, items_in, twice
from bus.settings.service_form import SUBMISSION_KEYS
from bus.settings.yaml_document import KeyPath, YamlDocument

SubsystemProblems = Callable[[KeyPath, str], Iterator[Problem]]
"""What is wrong with a text at a path that should name a registered subsystem."""
_FOR_MANY = (RecipientRule.NAMED, RecipientRule.SUBSCRIBERS)


def submission_problems(
    document: YamlDocument, subsystem_problems: SubsystemProblems
) -> Iterator[Problem]:
    """Every mistake about submissions between sections."""
    yield from _SubmissionCheck(document, subsystem_problems).problems()


class _SubmissionCheck:
    """One pass over one file."""

    def __init__(self, document: YamlDocument, subsystem_problems: SubsystemProblems) -> None:
        self.document = document
        self.subsystem_problems = subsystem_problems
        self.recipients = items_in(document, "recipients")
        self.subscriptions = items_in(document, "subscriptions")
        self.reached = {name.text for item in self.recipients for name in item.texts("subsystem")}
        self.services = {
            name.text: item for item in items_in(document, "services") for name in item.texts("id")
        }

    def problems(self) -> Iterator[Problem]:
        for service in self.services.values():
            if service.values.get("mode") == Mode.QUERY:
                yield from self._query_problems(service)
            elif service.values.get("mode") == Mode.SUBMISSION:
                yield from self._submission_problems(service)
        for recipient in self.recipients:
            yield from self._recipient_problems(recipient)
        for subscription in self.subscriptions:
            yield from self._subscription_problems(subscription)
        yield from twice(
            self.document,
            (name for item in self.recipients for name in item.texts("subsystem")),
        )
        yield from twice(
            self.document, (right for item in self.subscriptions for right in _rights(item))
        )

    def _query_problems(self, service: ItemInFile) -> Iterator[Problem]:
        if "adapter" not in service.values:
            message = "missing; expected: The folder below the adapters' folder that carries it."
            yield self._problem(service, "adapter", message)
        for key in SUBMISSION_KEYS:
            if key in service.values:
                yield self._problem(service, key, "only a service of mode: submission has this key")

    def _submission_problems(self, service: ItemInFile) -> Iterator[Problem]:
        if "on_dead_letter" in service.values and service.values.get("ordering") != "conversation":
            message = "nothing waits for a dead letter without ordering: conversation"
            yield self._problem(service, "on_dead_letter", message)
        yield from self._retry_problems(service)
        rule = service.values.get("recipients", RecipientRule.PROVIDER)
        if rule == RecipientRule.PROVIDER:
            yield from self._provider_problems(service)
        elif rule in _FOR_MANY:
            yield from self._many_problems(service, is_bounded=rule == RecipientRule.SUBSCRIBERS)

    def _retry_problems(self, service: ItemInFile) -> Iterator[Problem]:
        retry = service.values.get("retry")
        found = retry if isinstance(retry, dict) else {}
        first, cap = found.get("first_seconds"), found.get("cap_seconds")
        if isinstance(first, int | float) and isinstance(cap, int | float) and cap < first:
            path = (*service.path, "retry", "cap_seconds")
            yield self.document.problem(path, "expected first_seconds or more")

    def _provider_problems(self, service: ItemInFile) -> Iterator[Problem]:
        if "adapter" in service.values:
            return
        for name in service.texts("id"):
            provider = name.text.rpartition("/")[0].rpartition("/")[0].removesuffix("/")
            if provider not in self.reached:
                message = f"nothing reaches {provider}: expected an adapter here, or an entry of"
                yield self._problem(service, "adapter", f"{message} recipients at the top")

    def _many_problems(self, service: ItemInFile, *, is_bounded: bool) -> Iterator[Problem]:
        if "adapter" in service.values:
            message = "recipients at the top say how each of the many is reached"
            yield self._problem(service, "adapter", message)
        for name in service.texts("id"):
            count = sum(
                len(item.texts("subscribers"))
                for item in self.subscriptions
                if [event.text for event in item.texts("event")] == [name.text]
            )
            if not count:
                yield self._problem(service, "recipients", "nobody is subscribed to this service")
            if is_bounded and count > self._recipients_max():
                message = f"{count} are subscribed; at most {self._recipients_max()}"
                yield self._problem(service, "recipients", f"{message} (limits.recipients_max)")

    def _recipients_max(self) -> int:
        values = self.document.values
        limits = values.get("limits") if isinstance(values, dict) else None
        said = limits.get("recipients_max") if isinstance(limits, dict) else None
        return said if isinstance(said, int) else Limits().recipients_max

    def _recipient_problems(self, recipient: ItemInFile) -> Iterator[Problem]:
        for name in recipient.texts("subsystem"):
            yield from self.subsystem_problems(name.path, name.text)
        ways = [key for key in ("adapter", "delivery") if key in recipient.values]
        if len(ways) != 1:
            message = "expected adapter or delivery: mailbox, one of them"
            yield self.document.problem((*recipient.path, *ways[1:]), message)

    def _subscription_problems(self, subscription: ItemInFile) -> Iterator[Problem]:
        for event in subscription.texts("event"):
            service = self.services.get(event.text)
            if service is None:
                message = f"the service {event.text} is not registered."
                message += did_you_mean(event.text, self.services)
                yield self.document.problem(event.path, message)
            elif service.values.get("recipients", RecipientRule.PROVIDER) == RecipientRule.PROVIDER:
                message = f"{event.text} is no submission whose recipients are named or subscribers"
                yield self.document.problem(event.path, message)
        for subscriber in subscription.texts("subscribers"):
            found = list(self.subsystem_problems(subscriber.path, subscriber.text))
            if not found and subscriber.text not in self.reached:
                message = f"nothing reaches {subscriber.text}: expected an entry of recipients"
                found = [self.document.problem(subscriber.path, message)]
            yield from found

    def _problem(self, item: ItemInFile, key: str, message: str) -> Problem:
        return self.document.problem((*item.path, key), message)


def _rights(subscription: ItemInFile) -> Iterator[TextInFile]:
    for event in subscription.texts("event"):
        for one in subscription.texts("subscribers"):
            yield TextInFile(one.path, f"the subscription of {one.text} to {event.text}")
