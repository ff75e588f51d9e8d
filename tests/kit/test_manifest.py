"""A manifest is read whole, and leads to the adapter's class and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.core.errors import ConfigurationError
from bus.kit.load import load_adapter, load_simulator_class
from bus.kit.manifest import Manifest, read_manifest
from bus.kit.shown_facts import ShownFact

MANIFEST = """\
id: {id}
name: Cơ quan thử nghiệm
class: adapters.{id}.adapter:Echo
concurrency: 4
services:
  - code: hoi
    version: v1
    sample: samples/hoi.xml
settings:
  url: {{required: true, secret: false, description: Address of the agency}}
  password: {{required: false, secret: true, description: Secret of the account}}
"""
ADAPTER = """\
from bus.kit.contract import Adapter, Answer, Query


class Echo(Adapter):
    def answer(self, query: Query) -> Answer:
        return Answer(query.element())


class Picky(Echo):
    def __init__(self, settings):
        raise ValueError("the address is none")


NotAnAdapter = dict
"""


def adapter_folder(parent: Path, name: str, *, manifest: str = MANIFEST) -> Path:
    folder = parent / name
    (folder / "samples").mkdir(parents=True)
    (folder / "samples" / "hoi.xml").write_text("<hoi/>")
    (folder / "__init__.py").write_text("")
    (folder / "adapter.py").write_text(ADAPTER)
    (folder / "manifest.yaml").write_text(manifest.format(id=name))
    return folder


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_manifest(folder)
    prefix = f"{folder / 'manifest.yaml'}:"
    return [str(problem).removeprefix(prefix) for problem in caught.value.problems]


def test_a_sound_manifest_becomes_a_value(tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path, "sound_agency")

    manifest = read_manifest(folder)

    assert (manifest.id, manifest.concurrency) == ("sound_agency", 4)
    assert manifest.carries("hoi", "v1")
    assert not manifest.carries("hoi", "v2")
    assert manifest.settings["password"].is_secret
    assert folder / "samples" / "hoi.xml" == manifest.services[0].sample


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("id: wrong_agency", "id: other", "1: id: expected the name of the folder"),
        ("name: Cơ quan thử nghiệm", "name: 5", "2: name: expected text, found a whole number"),
        ("adapters.wrong_agency.", "adapters.other_agency.", "3: class: expected 'adapters.wrong"),
        ("adapter:Echo", "adapter.Echo", "3: class: expected 'adapters.wrong_agency.<module>"),
        ("concurrency: 4", "concurrency: 0", "4: concurrency: expected a number of at least 1"),
        ("concurrency: 4", "concurency: 4", "4: concurency: this key is not known. Did you mean"),
        ("version: v1", "version: v/1", "7: services[0].version: expected 1 to 64 characters"),
        ("samples/hoi.xml", "samples/no.xml", "8: services[0].sample: expected the path of a"),
        ("samples/hoi.xml", "../../hoi.xml", "8: services[0].sample: expected the path of a"),
        ("required: true", "required: yes", "10: settings.url.required: expected true or false"),
        (", secret: false", "", "10: settings.url.secret: missing; expected: true when it must"),
    ],
)
def test_each_mistake_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    folder = adapter_folder(tmp_path, "wrong_agency")
    text = (folder / "manifest.yaml").read_text()
    assert right in text
    (folder / "manifest.yaml").write_text(text.replace(right, wrong, 1))

    (told,) = problems_of(folder)

    assert told.startswith(problem)


def test_a_service_that_stands_twice_is_told(tmp_path: Path) -> None:
    again = "  - {{code: hoi, version: v1, sample: samples/hoi.xml}}\nsettings:"
    folder = adapter_folder(
        tmp_path, "double_agency", manifest=MANIFEST.replace("settings:", again)
    )

    assert problems_of(folder) == ["9: services[1]: this service stands twice"]


def test_a_folder_without_a_manifest_is_told(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none") == [" cannot be read: No such file or directory"]


def loaded(parent: Path, name: str, class_name: str = "Echo") -> Manifest:
    text = MANIFEST.replace(":Echo", f":{class_name}")
    return read_manifest(adapter_folder(parent, name, manifest=text))


def test_an_adapter_in_an_operators_own_folder_is_loaded(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, "loaded_agency")

    adapter = load_adapter(manifest, {"url": "http://127.0.0.1:1"})

    assert type(adapter).__name__ == "Echo"
    assert adapter.settings == {"url": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "settings.url: the adapter needs this setting: Address of the agency"),
        ({"url": ""}, "settings.url: the adapter needs this setting"),
        ({"url": "x", "pasword": "x"}, "settings.pasword: the adapter does not know this setting."),
    ],
)
def test_settings_must_be_complete_and_known(
    tmp_path: Path, settings: dict[str, str], problem: str
) -> None:
    manifest = loaded(tmp_path, "strict_agency")

    with pytest.raises(ConfigurationError, match="strict_agency") as caught:
        load_adapter(manifest, settings)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("class_name", "reason"),
    [
        ("Missing", "Missing is no class that derives from Adapter"),
        ("NotAnAdapter", "NotAnAdapter is no class that derives from Adapter"),
        ("Picky", "the adapter refuses its settings: ValueError: the address is none"),
    ],
)
def test_a_class_that_cannot_serve_is_refused(tmp_path: Path, class_name: str, reason: str) -> None:
    manifest = loaded(tmp_path, f"refused_{class_name.lower()}", class_name)

    with pytest.raises(ConfigurationError, match=reason):
        load_adapter(manifest, {"url": "x"})


def test_a_module_that_breaks_while_imported_is_told(tmp_path: Path) -> None:
    manifest = loaded(tmp_path, "broken_agency")
    (tmp_path / "broken_agency" / "adapter.py").write_text("1 / 0\n")

    with pytest.raises(ConfigurationError, match="cannot be imported: ZeroDivisionError"):
        load_adapter(manifest, {"url": "x"})


def test_a_class_from_another_folder_of_the_same_name_is_not_taken(tmp_path: Path) -> None:
    first = loaded(tmp_path / "a", "twin_agency")
    second = loaded(tmp_path / "b", "twin_agency")
    load_adapter(first, {"url": "x"})

    with pytest.raises(ConfigurationError, match="not from this folder"):
        load_adapter(second, {"url": "x"})


# --- the simulator -------------------------------------------------------------------------------

SIMULATOR = """\
simulator:
  class: adapters.{id}.simulator:Agency
  settings:
    url: "{{address}}/hoi?as={{account}}"
    password: "{{secret}}"
"""
AGENCY = """\
from bus.kit.simulator import SimulatedAgency


class Agency(SimulatedAgency):
    pass


NotAnAgency = dict
"""


def simulated(parent: Path, name: str, text: str = SIMULATOR) -> Path:
    folder = adapter_folder(parent, name, manifest=MANIFEST + text)
    (folder / "simulator.py").write_text(AGENCY)
    return folder


def test_a_manifest_says_how_its_simulator_is_asked(tmp_path: Path) -> None:
    manifest = read_manifest(simulated(tmp_path, "simulated_agency"))

    assert manifest.simulator is not None
    assert manifest.simulator.address_settings == ("url",)
    assert manifest.simulator.settings_at("http://127.0.0.1:5", "hub", "{account}") == {
        "url": "http://127.0.0.1:5/hoi?as=hub",
        "password": "{account}",
    }
    assert load_simulator_class(manifest).__name__ == "Agency"
    assert loaded(tmp_path / "other", "alone_agency").simulator is None


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("adapters.wrong_agency.simulator", "bus.kit", "13: simulator.class: expected 'adapters."),
        ("simulator:Agency", "simulator.Agency", "13: simulator.class: expected 'adapters.wrong"),
        ("{address}/", "{adress}/", "15: simulator.settings.url: expected {account} or {address}"),
        (
            "{address}/",
            "{}/",
            "15: simulator.settings.url: expected {account} or {address} between",
        ),
        ("{account}", "{secret}", "15: simulator.settings.url: expected {account} or {address} be"),
        ('"{secret}"', "bi-mat", "16: simulator.settings.password: expected {secret}: a secret st"),
        ("    password", "    pasword", "16: simulator.settings.pasword: no setting of this adap"),
        ("    url", "    password2", "14: simulator.settings: url is required, and not set here"),
        ('"{secret}"', "5", "16: simulator.settings.password: expected text, found a whole number"),
        ("  class: adapters.wrong_agency.simulator", "  klass: x", "12: simulator.class: missing"),
    ],
)
def test_each_mistake_about_the_simulator_is_told_with_its_line(
    tmp_path: Path, right: str, wrong: str, problem: str
) -> None:
    folder = simulated(tmp_path, "wrong_agency")
    before, start, after = (folder / "manifest.yaml").read_text().partition("simulator:\n")
    assert right in after
    (folder / "manifest.yaml").write_text(before + start + after.replace(right, wrong, 1))

    assert [one for one in problems_of(folder) if one.startswith(problem)]


@pytest.mark.parametrize("text", ["simulator: 5\n", "simulator: {{class: [x], settings: [url]}}\n"])
def test_a_simulator_of_another_form_is_told_and_no_more(tmp_path: Path, text: str) -> None:
    problems = problems_of(simulated(tmp_path, "formless_agency", text))

    assert problems
    assert all(": simulator" in one for one in problems)


def test_a_simulator_that_is_none_is_refused(tmp_path: Path) -> None:
    text = SIMULATOR.replace(":Agency", ":NotAnAgency")
    manifest = read_manifest(simulated(tmp_path, "empty_agency", text))

    with pytest.raises(ConfigurationError, match="NotAnAgency is no class that derives from Simul"):
        load_simulator_class(manifest)


SHOWN = "    sample: samples/hoi.xml\n    shown: "


def test_facts_that_a_demo_shows_stand_below_their_service(tmp_path: Path) -> None:
    fact = (
        '[{{label: Tên, path: a/b, values: {{"1": có}}, date: true, expected: "{{citizen}} 1"}}]\n'
    )
    changed = MANIFEST.replace("    sample: samples/hoi.xml\n", SHOWN + fact)

    (service,) = read_manifest(adapter_folder(tmp_path, "hoi", manifest=changed)).services

    expected = "{citizen} 1"
    fact_read = ShownFact("Tên", "a/b", {"1": "có"}, is_date=True, expected=expected)
    assert service.shown == (fact_read,)


@pytest.mark.parametrize(
    ("fact", "place"),
    [
        ("{label: Tên, path: a//b}", "shown[0].path"),
        ("{label: Tên, path: 'a:b'}", "shown[0].path"),
        ("{path: a}", "shown[0].label"),
        ("{label: Tên, path: a, expected: '{officer}'}", "shown[0].expected"),
        ("{label: Tên, path: a, values: {'1': ''}}", "shown[0].values"),
        ("{label: Tên, path: a, colour: red}", "shown[0].colour"),
    ],
)
def test_a_fact_that_nobody_can_show_is_a_problem(tmp_path: Path, fact: str, place: str) -> None:
    escaped = fact.replace("{", "{{").replace("}", "}}")
    changed = MANIFEST.replace("    sample: samples/hoi.xml\n", f"{SHOWN}[{escaped}]\n")

    (problem,) = problems_of(adapter_folder(tmp_path, "hoi", manifest=changed))

    assert f"services[0].{place}" in problem
