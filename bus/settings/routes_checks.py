"""Check what no single section of routes.yaml can tell: references, and what must stand once.

The checks read texts as they stand in the file, so that they also reach items with other
mistakes: an operator sees everything at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bus.core.errors import Problem
from bus.core.metaservices import RESERVED_SERVICE_CODES
from bus.settings.form import did_you_mean
from bus.settings.routes_form import ORGAN_CODE_CHARACTERS_MAX
from bus.settings.routes_items import ItemInFile, TextInFile, items_in, twice
from bus.settings.submission_checks import submission_problems
from bus.settings.yaml_document import KeyPath, YamlDocument


def cross_problems(document: YamlDocument) -> list[Problem]:
    """Every mistake between sections."""
    return list(_RoutesCheck(document).problems())


class _RoutesCheck:
    """One pass over one file."""

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.members = items_in(document, "members")
        self.services = items_in(document, "services")
        self.grants = items_in(document, "grants")
        self.member_by_id = {name.text: item for item in self.members for name in item.texts("id")}
        self.service_ids = {name.text for item in self.services for name in item.texts("id")}

    def problems(self) -> Iterator[Problem]:
        yield from self._top_problems()
        for member in self.members:
            yield from self._organ_code_problems(member)
        for service in self.services:
            yield from self._service_problems(service)
        for grant in self.grants:
            yield from self._grant_problems(grant)
        yield from self._twice(name for item in self.members for name in item.texts("id"))
        yield from self._twice(name for item in self.services for name in item.texts("id"))
        yield from self._twice(subject for item in self.members for subject in _subjects(item))
        yield from self._twice(code for item in self.members for code in _organ_codes(item))
        yield from self._twice(right for item in self.grants for right in _rights(item))
        for item in self.members:
            yield from self._twice(item.texts("subsystems"))
        yield from submission_problems(self.document, self._subsystem_problems)

    def _top_problems(self) -> Iterator[Problem]:
        top = ItemInFile((), self.document.values if isinstance(self.document.values, dict) else {})
        for hub in top.texts("hub"):
            yield from self._subsystem_problems(hub.path, hub.text)
        for instance in top.texts("instance"):
            for name in (name for item in self.members for name in item.texts("id")):
                if not name.text.startswith(f"{instance.text}/"):
                    message = f"expected an id that starts with {instance.text}/"
                    yield self.document.problem(name.path, message)

    def _organ_code_problems(self, member: ItemInFile) -> Iterator[Problem]:
        for code in member.texts("organ_code"):
            if len(code.text) > ORGAN_CODE_CHARACTERS_MAX:
                message = f"expected at most {ORGAN_CODE_CHARACTERS_MAX} characters"
                yield self.document.problem(code.path, f"{message}: Decision 20/2020 Art. 4")
            # The newer scheme reads from the left, the older one from the right; the end that
            # names the ministry or province is the same.
            top = code.text.split(".")[0]
            for older in member.texts("organ_code_2016"):
                if older.text.split(".")[-1] != top:
                    message = f"expected a code that ends with .{top}, as organ_code starts"
                    yield self.document.problem(older.path, message)

    def _service_problems(self, service: ItemInFile) -> Iterator[Problem]:
        for name in service.texts("id"):
            provider, _, code = name.text.rpartition("/")[0].rpartition("/")
            yield from self._subsystem_problems(name.path, provider.removesuffix("/"))
            if code in RESERVED_SERVICE_CODES:
                message = f"{code} is the name of a metaservice, which every provider has"
                yield self.document.problem(name.path, message)
        if service.values.get("enabled", True) is True:
            for notice in service.texts("notice"):
                message = "a notice is told only while the service is switched off (enabled: false)"
                yield self.document.problem(notice.path, message)

    def _grant_problems(self, grant: ItemInFile) -> Iterator[Problem]:
        for client in grant.texts("clients"):
            yield from self._subsystem_problems(client.path, client.text)
        for service in grant.texts("services"):
            if service.text not in self.service_ids:
                message = f"the service {service.text} is not registered."
                message += did_you_mean(service.text, self.service_ids)
                yield self.document.problem(service.path, message)

    def _subsystem_problems(self, path: KeyPath, subsystem: str) -> Iterator[Problem]:
        if subsystem in self.member_by_id:
            return
        member, _, code = subsystem.rpartition("/")
        if member not in self.member_by_id:
            message = f"the member {member} is not registered."
            message += did_you_mean(member, self.member_by_id)
            yield self.document.problem(path, message)
            return
        known = [name.text for name in self.member_by_id[member].texts("subsystems")]
        if code not in known:
            message = f"{member} has no subsystem {code}." + did_you_mean(code, known)
            yield self.document.problem(path, message)

    def _twice(self, texts: Iterable[TextInFile]) -> Iterator[Problem]:
        return twice(self.document, texts)


def _subjects(member: ItemInFile) -> list[TextInFile]:
    return member.texts("certificate_subject") or member.texts("id")


def _organ_codes(member: ItemInFile) -> list[TextInFile]:
    keys = ("organ_code", "organ_code_2016", "former_organ_codes")
    return [code for key in keys for code in member.texts(key)]


def _rights(grant: ItemInFile) -> Iterator[TextInFile]:
    for client in grant.texts("clients"):
        for service in grant.texts("services"):
            yield TextInFile(client.path, f"the grant of {service.text} to {client.text}")
