"""Hold an adapter to the contract: a pytest class to derive from, one for each adapter.

    class TestTaxOffice(AdapterConformance):
        folder = Path("adapters/tax_office")
        provider = "VN/GOV/G12/thue"
        schema = "thue/1.0/thue.xsd"
        address_settings = ("url",)

        @pytest.fixture
        def settings(self, running_agency) -> AdapterSettings: ...

The agency behind `settings` is a real server, simulated or a test instance of the agency's own,
whose data answers the packaged samples. What it carries of submissions stands in `submissions`, and
who gets them in `recipient`, if that is not the provider.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from lxml import etree

from bus.core.errors import PayloadRejected, RecipientTimeout, RecipientUnavailable
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_xml
from bus.kit.contract import (
    Adapter,
    AdapterSettings,
    Delivered,
    Query,
    Submission,
    overrides,
)
from bus.kit.load import load_adapter, load_adapter_class
from bus.kit.manifest import Manifest, read_manifest
from bus.kit.schema_files import schema_file

ANSWER_SECONDS_MAX = 10.0
"""How long a sample may take."""
GRACE_SECONDS = 15.0
"""How much later than its timeout an adapter may give up on a machine that is busy."""
_SHORT_TIMEOUT_SECONDS = 0.5
_SAMPLE_BYTES_MAX = 1024 * 1024
_CLIENT = SubsystemId.parse("VN/GOV/H41/motcua")


class AdapterConformance:
    """The checks. A derived class says which adapter, and gives the fixture `settings`."""

    folder: ClassVar[Path]
    """The adapter's folder."""
    provider: ClassVar[str]
    """The subsystem whose services it carries: `VN/GOV/G01/dancu`."""
    schema: ClassVar[str]
    """The hub-facing XSD of its services, below schemas/."""
    address_settings: ClassVar[tuple[str, ...]]
    """The settings that hold addresses of the agency."""
    submissions: ClassVar[frozenset[str]] = frozenset()
    """The codes of services that are delivered; the others are answered."""
    recipient: ClassVar[str] = ""
    """Who gets what is delivered; empty: the provider."""

    def test_the_folder_says_what_the_adapter_does(self) -> None:
        assert (self.folder / "README.md").is_file()

    def test_every_sample_follows_the_schema(self) -> None:
        for query in self._samples().values():
            self._schema().assertValid(query.element())

    def test_every_sample_is_answered_in_the_schema(self, settings: AdapterSettings) -> None:
        with self._adapter(settings) as adapter:
            for code, query in self._samples().items():
                self._check_said(code, _asked(adapter, query))

    def test_what_is_delivered_twice_has_one_effect(self, settings: AdapterSettings) -> None:
        """The second time it comes as after an attempt of which nobody knows what came of it: an
        agency that knows its key, or is asked first, says what it said."""
        with self._adapter(settings) as adapter:
            for code, query in self._samples(key="conformance-twice").items():
                if isinstance(query, Submission):
                    first = _asked(adapter, query)
                    again = replace(query, attempt=2, may_be_repeated=True)
                    found = adapter.find(again) if overrides(type(adapter), "find") else None
                    second = _asked(adapter, again) if found is None else found.element
                    self._check_said(code, second)
                    assert _text(first) == _text(second), f"{code}: it was done twice"

    def test_an_agency_that_can_be_probed_is_there_or_not(self, settings: AdapterSettings) -> None:
        if not overrides(load_adapter_class(self._manifest()), "probe"):
            return
        recipient = SubsystemId.parse(self.recipient or self.provider)
        with self._adapter(settings) as adapter:
            adapter.probe(recipient, ANSWER_SECONDS_MAX)
        with _closed_port() as port, self._adapter(self._moved(settings, port)) as adapter:
            try:
                adapter.probe(recipient, ANSWER_SECONDS_MAX)
            except RecipientUnavailable:
                return
        raise AssertionError("nobody is there, and the probe did not tell")

    def test_as_many_threads_as_it_allows_are_answered_at_once(
        self, settings: AdapterSettings
    ) -> None:
        threads = self._manifest().concurrency
        samples = list(self._samples().items())
        work = [samples[number % len(samples)] for number in range(2 * threads)]
        with self._adapter(settings) as adapter, ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(lambda one: _asked(adapter, one[1]), work))
        for (code, _), answer in zip(work, answers, strict=True):
            self._check_said(code, answer)

    def test_an_agency_that_is_not_there_is_unavailable(self, settings: AdapterSettings) -> None:
        with _closed_port() as port, self._adapter(self._moved(settings, port)) as adapter:
            for query in self._samples().values():
                _raises(RecipientUnavailable, adapter, query)

    def test_an_agency_that_never_answers_costs_the_timeout_and_no_more(
        self, settings: AdapterSettings
    ) -> None:
        query = next(iter(self._samples(timeout_seconds=_SHORT_TIMEOUT_SECONDS).values()))
        with _unresponsive_port() as port, self._adapter(self._moved(settings, port)) as adapter:
            before = time.monotonic()
            _raises(RecipientTimeout, adapter, query)
            assert time.monotonic() - before < _SHORT_TIMEOUT_SECONDS + GRACE_SECONDS

    def test_a_service_that_it_does_not_carry_is_rejected(self, settings: AdapterSettings) -> None:
        query = next(iter(self._samples().values()))
        stranger = ServiceId(query.service.provider, "KhongCoDichVuNay", "v1")
        with self._adapter(settings) as adapter:
            _raises(PayloadRejected, adapter, replace(query, service=stranger))

    def test_secrets_show_in_no_repr(self, settings: AdapterSettings) -> None:
        rules = self._manifest().settings.values()
        secrets = [settings[rule.key] for rule in rules if rule.is_secret and rule.key in settings]
        with self._adapter(settings) as adapter:
            held = [value for key, value in vars(adapter).items() if key != "settings"]
            shown = repr(adapter) + repr(held)
            assert not [secret for secret in secrets if secret in shown]

    def _manifest(self) -> Manifest:
        return read_manifest(self.folder)

    def _schema(self) -> etree.XMLSchema:
        raw = schema_file(self.schema).read_bytes()
        return etree.XMLSchema(parse_xml(raw, bytes_max=_SAMPLE_BYTES_MAX))

    def _check_said(self, code: str, said: etree._Element | None) -> None:
        """Whoever gets a submission need not say anything."""
        if said is None:
            assert code in self.submissions
            return
        assert etree.QName(said).localname == f"{code}Response"
        self._schema().assertValid(_alone(said))

    def _samples(
        self, *, timeout_seconds: float = ANSWER_SECONDS_MAX, key: str = "conformance-1"
    ) -> dict[str, Query]:
        """A query or submission for each service of the manifest, by service code."""
        provider = SubsystemId.parse(self.provider)
        found = {}
        for service in self._manifest().services:
            query = _query(
                ServiceId(provider, service.code, service.version),
                _canonical(service.sample.read_bytes()),
                timeout_seconds,
                f"{key}-{service.code}",
            )
            is_submission = service.code in self.submissions
            recipient = SubsystemId.parse(self.recipient) if self.recipient else provider
            found[service.code] = _submission(query, recipient) if is_submission else query
        return found

    @contextmanager
    def _adapter(self, settings: AdapterSettings) -> Iterator[Adapter]:
        adapter = load_adapter(self._manifest(), settings)
        try:
            yield adapter
        finally:
            adapter.close()

    def _moved(self, settings: AdapterSettings, port: int) -> Mapping[str, str]:
        """The settings with every address of the agency moved to a port of this machine."""
        moved = {
            key: urlsplit(settings[key])
            ._replace(scheme="http", netloc=f"127.0.0.1:{port}")
            .geturl()
            for key in self.address_settings
        }
        return {**settings, **moved}


def _query(service: ServiceId, payload: bytes, timeout_seconds: float, key: str) -> Query:
    return Query(
        service=service,
        client=_CLIENT,
        message_id=key,
        idempotency_key=key,
        user_id="",
        issue="",
        purpose="conformance of an adapter",
        payload=payload,
        timeout_seconds=timeout_seconds,
    )


def _submission(query: Query, recipient: SubsystemId) -> Submission:
    values = {field.name: getattr(query, field.name) for field in fields(Query)}
    return Submission(**values, recipient=recipient)


def _asked(adapter: Adapter, query: Query) -> etree._Element | None:
    """What the agency says; of a submission, that it has it."""
    if not isinstance(query, Submission):
        return adapter.answer(query).element
    said = adapter.deliver(query)
    assert isinstance(said, Delivered), f"{query.service.service_code}: {type(said).__name__}"
    return said.element


def _text(element: etree._Element | None) -> bytes:
    return b"" if element is None else etree.tostring(element, method="c14n", exclusive=True)


def _canonical(sample: bytes) -> bytes:
    element = parse_xml(sample, bytes_max=_SAMPLE_BYTES_MAX)
    return etree.tostring(element, method="c14n", exclusive=True)


def _alone(element: etree._Element) -> etree._Element:
    """The element as the hub sends it on, read again."""
    raw = etree.tostring(element, encoding="UTF-8", xml_declaration=False)
    return parse_xml(raw, bytes_max=len(raw))


def _raises(expected: type[Exception], adapter: Adapter, query: Query) -> None:
    try:
        _asked(adapter, query)
    except expected:
        return
    raise AssertionError(f"{query.service.service_code}: expected {expected.__name__}")


@contextmanager
def _closed_port() -> Iterator[int]:
    """A port that refuses connections: bound, so that nobody else gets it, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def _unresponsive_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]
