"""Hold an adapter to the contract: a pytest class to derive from, one for each adapter.

    class TestTaxOffice(AdapterConformance):
        folder = Path("adapters/tax_office")
        provider = "VN/GOV/G12/thue"
        schema = "thue/1.0/thue.xsd"
        address_settings = ("url",)

        @pytest.fixture
        def settings(self, running_agency) -> AdapterSettings: ...

The agency behind `settings` is a real server, simulated or a test instance of the agency's own,
whose data answers the packaged samples.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from lxml import etree

from bus.core.errors import PayloadRejected, RecipientTimeout, RecipientUnavailable
from bus.core.identifiers import ServiceId, SubsystemId
from bus.core.xml import parse_xml
from bus.kit.contract import Adapter, AdapterSettings, Query
from bus.kit.load import load_adapter
from bus.kit.manifest import Manifest, read_manifest
from bus.kit.schema_files import schema_file

ANSWER_SECONDS_MAX = 10.0
"""How long a sample may take."""
GRACE_SECONDS = 2.0
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

    def test_the_folder_says_what_the_adapter_does(self) -> None:
        assert (self.folder / "README.md").is_file()

    def test_every_sample_follows_the_schema(self) -> None:
        for query in self._samples().values():
            self._schema().assertValid(query.element())

    def test_every_sample_is_answered_in_the_schema(self, settings: AdapterSettings) -> None:
        with self._adapter(settings) as adapter:
            for code, query in self._samples().items():
                answer = adapter.answer(query).element
                assert etree.QName(answer).localname == f"{code}Response"
                self._schema().assertValid(_alone(answer))

    def test_as_many_threads_as_it_allows_are_answered_at_once(
        self, settings: AdapterSettings
    ) -> None:
        threads = self._manifest().concurrency
        samples = list(self._samples().items())
        work = [samples[number % len(samples)] for number in range(2 * threads)]
        with self._adapter(settings) as adapter, ThreadPoolExecutor(threads) as pool:
            answers = list(pool.map(lambda one: adapter.answer(one[1]).element, work))
        expected = [f"{code}Response" for code, _ in work]
        assert expected == [etree.QName(answer).localname for answer in answers]

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
            _raises(PayloadRejected, adapter, _query(stranger, query.payload, ANSWER_SECONDS_MAX))

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

    def _samples(self, *, timeout_seconds: float = ANSWER_SECONDS_MAX) -> dict[str, Query]:
        """A query for each service of the manifest, by service code."""
        provider = SubsystemId.parse(self.provider)
        return {
            service.code: _query(
                ServiceId(provider, service.code, service.version),
                _canonical(service.sample.read_bytes()),
                timeout_seconds,
            )
            for service in self._manifest().services
        }

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


def _query(service: ServiceId, payload: bytes, timeout_seconds: float) -> Query:
    return Query(
        service=service,
        client=_CLIENT,
        message_id="conformance-1",
        idempotency_key="conformance-1",
        user_id="",
        issue="",
        purpose="conformance of an adapter",
        payload=payload,
        timeout_seconds=timeout_seconds,
    )


def _canonical(sample: bytes) -> bytes:
    element = parse_xml(sample, bytes_max=_SAMPLE_BYTES_MAX)
    return etree.tostring(element, method="c14n", exclusive=True)


def _alone(element: etree._Element) -> etree._Element:
    """The element as the hub sends it on, read again."""
    raw = etree.tostring(element, encoding="UTF-8", xml_declaration=False)
    return parse_xml(raw, bytes_max=len(raw))


def _raises(expected: type[Exception], adapter: Adapter, query: Query) -> None:
    try:
        adapter.answer(query)
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
