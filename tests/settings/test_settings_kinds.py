"""A settings file in the place of another one is called by its name, in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.access_point.settings import read_access_point_settings
from bus.core.errors import ConfigurationError
from bus.settings.hub import read_hub_settings
from bus.settings.routes import read_registry
from tests.nation import ADAPTER_IDS, ADAPTERS, SmallNation

READERS = {
    "routes.yaml": read_registry,
    "hub.yaml": read_hub_settings,
    "the settings of an access point": read_access_point_settings,
}
ACCESS_POINT = """\
member: VN/GOV/H41
systems: {motcua: {}}
signer: {key: h41.key, certificate: h41.crt}
hub: {url: "http://127.0.0.1:8080/", member: VN/GOV/G22, log_key: hub.vkey}
trust: {anchors: [ca.crt]}
evidence: evidence
"""


@pytest.mark.parametrize("expected", READERS)
@pytest.mark.parametrize("given", [*READERS, "the manifest of an adapter"])
def test_another_file_is_called_by_its_name(
    nation: SmallNation, tmp_path: Path, expected: str, given: str
) -> None:
    files = {
        "routes.yaml": nation.settings.routes,
        "hub.yaml": nation.settings.file,
        "the settings of an access point": tmp_path / "point.yaml",
        "the manifest of an adapter": ADAPTERS / ADAPTER_IDS[0] / "manifest.yaml",
    }
    files["the settings of an access point"].write_text(ACCESS_POINT)
    if given == expected:
        READERS[expected](files[given])
        return

    with pytest.raises(ConfigurationError) as caught:
        READERS[expected](files[given])

    (problem,) = caught.value.problems
    assert (problem.file, problem.message) == (
        str(files[given]),
        f"expected {expected}; this is {given}",
    )
