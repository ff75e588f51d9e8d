"""The packaged samples ask what the sandbox's default data answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lxml import etree

import adapters
from bus.sandbox.sandbox_data import POPULATION_SERVICES, REGISTRY_SERVICES, sample_requests

ADAPTERS = Path(adapters.__path__[0])
PREFIX = {"population": POPULATION_SERVICES, "business_registry": REGISTRY_SERVICES}


def canonical(raw: bytes) -> bytes:
    element = etree.fromstring(raw, etree.XMLParser(remove_blank_text=True))
    return etree.tostring(element, method="c14n", exclusive=True)


@pytest.mark.parametrize("adapter", PREFIX)
def test_a_packaged_sample_is_the_request_that_the_default_data_answers(
    adapter: str, data_dir: Path
) -> None:
    manifest = yaml.safe_load((ADAPTERS / adapter / "manifest.yaml").read_text("utf-8"))
    requests = sample_requests(data_dir)
    services = {f"{PREFIX[adapter]}/{one['code']}/{one['version']}" for one in manifest["services"]}
    assert services == {service for service in requests if service.startswith(PREFIX[adapter])}
    for one in manifest["services"]:
        sample = (ADAPTERS / adapter / one["sample"]).read_bytes()
        request = requests[f"{PREFIX[adapter]}/{one['code']}/{one['version']}"]
        assert canonical(request) == canonical(sample)
