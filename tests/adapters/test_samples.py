"""The packaged samples ask what the sandbox's default data answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from bus.delivery.carrying import adapters_of
from tests.adapters.running_agencies import MANIFESTS, SIMULATED, sample_requests
from tests.nation import REFERENCE


def canonical(raw: bytes) -> bytes:
    element = etree.fromstring(raw, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(element, method="c14n", exclusive=True)


@pytest.mark.parametrize("adapter", SIMULATED)
def test_a_packaged_sample_is_the_request_that_the_default_data_answers(
    adapter: str, data_dir: Path
) -> None:
    requests = sample_requests(data_dir)
    packaged = {
        (one.code, one.version): one.sample.read_bytes() for one in MANIFESTS[adapter].services
    }
    routed = {
        (known.service_code, known.service_version): requests[str(known)]
        for known, service in REFERENCE.services.items()
        if adapter in adapters_of(service, REFERENCE)
    }
    assert packaged.keys() == routed.keys()
    for service, sample in packaged.items():
        assert canonical(routed[service]) == canonical(sample)
