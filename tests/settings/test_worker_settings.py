"""worker.yaml, and what hub.yaml says of a broker, are read whole or refused with every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from bus.core.errors import ConfigurationError
from bus.core.identifiers import MemberId
from bus.settings.hub import read_hub_settings
from bus.settings.worker import WorkerSettings, read_worker_settings, worker_json_schema
from tests.settings.test_hub_settings import HUB

BROKER = """\
  nodes: [mq1.example, "mq2.example:5680", "[::1]:5690", "[::1]"]
  user: worker-one
  password_file: mq.secret
"""
WORKER = f"""\
log_keys: [hub.vkey, /etc/other.vkey]
broker:
{BROKER}routes: routes.yaml
agencies:
  one_agency: {{url: "http://127.0.0.1:9001", secret: not-for-display}}
signers:
  VN/GOV/G01: {{key: g01.key, certificate: g01.crt}}
"""


def worker(folder: Path, text: str = WORKER) -> WorkerSettings:
    (folder / "worker.yaml").write_text(text)
    return read_worker_settings(folder / "worker.yaml")


def problems_of(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        worker(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_worker_is_told_all_that_it_needs(tmp_path: Path) -> None:
    read = worker(tmp_path)

    assert read.log_keys == (tmp_path / "hub.vkey", Path("/etc/other.vkey"))
    assert read.broker.nodes == (
        ("mq1.example", 5672),
        ("mq2.example", 5680),
        ("::1", 5690),
        ("::1", 5672),
    )
    assert read.broker.password_file == tmp_path / "mq.secret"
    assert (read.broker.virtual_host, read.broker.prefix, read.broker.tls) == ("/", "lt", None)
    assert list(read.signers) == [MemberId.parse("VN/GOV/G01")]
    assert read.trust is None
    assert (read.adapters / "__init__.py").is_file()
    assert "not-for-display" not in repr(read)
    assert list(Draft202012Validator(worker_json_schema()).iter_errors({})) != []


def test_with_tls_the_usual_port_is_another(tmp_path: Path) -> None:
    tls = "  tls: {anchors: [mq.crt], certificate: own.crt, key: own.key}\n"
    trust = "trust: {anchors: [ca.crt], intermediates: [sub.crt]}\n"
    read = worker(tmp_path, WORKER.replace(BROKER, BROKER + tls) + trust)

    assert read.broker.nodes[0] == ("mq1.example", 5671)
    assert read.broker.tls is not None
    assert read.broker.tls.anchors == (tmp_path / "mq.crt",)
    assert read.broker.tls.key == tmp_path / "own.key"
    assert read.trust is not None
    assert read.trust.intermediates == (tmp_path / "sub.crt",)


@pytest.mark.parametrize(
    ("found", "instead", "said"),
    [
        ("[hub.vkey, /etc/other.vkey]", "[]", "log_keys: expected at least 1"),
        ("mq1.example", "http://mq1.example", "broker.nodes[0]: expected a host"),
        ("mq1.example", "mq1.example:99999", "broker.nodes[0]: expected a port up to 65535"),
        ("mq1.example", "mq1.example:0", "broker.nodes[0]: expected a port up to 65535"),
        ("user: worker-one", "user: 'a b'", "broker.user: expected the name of a user"),
        ("  password_file: mq.secret\n", "", "broker.password_file: missing"),
        ("mq.secret\n", "mq.secret\n  prefix: LT\n", "broker.prefix: expected"),
        ("mq.secret\n", "mq.secret\n  tls: {anchors: []}\n", "broker.tls.anchors: expected"),
        (
            "mq.secret\n",
            "mq.secret\n  tls: {anchors: [a], key: k}\n",
            "broker.tls: expected both certificate and key",
        ),
        ("mq.secret\n", "mq.secret\n  pasword: x\n", "this key is not known"),
        ("VN/GOV/G01", "VN/GOV", "expected instance/class/code"),
        ("routes: routes.yaml\n", "", "missing"),
    ],
)
def test_each_mistake_is_told_with_its_place(
    tmp_path: Path, found: str, instead: str, said: str
) -> None:
    assert found in WORKER
    problems = problems_of(tmp_path, WORKER.replace(found, instead, 1))
    assert any(said in problem for problem in problems), problems
    assert all(problem.startswith("worker.yaml") for problem in problems)


def test_a_hub_is_told_of_its_broker(tmp_path: Path) -> None:
    rabbit = "\n".join(f"  {line}" for line in BROKER.splitlines())
    section = f"broker:\n  agencies: [one_agency]\n  rabbitmq:\n{rabbit}\n"
    (tmp_path / "hub.yaml").write_text(HUB + section)
    read = read_hub_settings(tmp_path / "hub.yaml")
    assert read.broker is not None
    assert read.broker.agencies == ("one_agency",)
    assert read.broker.rabbitmq.user == "worker-one"
    assert read.broker.rabbitmq.file == tmp_path / "hub.yaml"
    (tmp_path / "hub.yaml").write_text(HUB)
    assert read_hub_settings(tmp_path / "hub.yaml").broker is None
    (tmp_path / "hub.yaml").write_text(HUB + section.replace("mq1.example", "mq1.example:70000"))
    with pytest.raises(ConfigurationError, match=r"broker\.rabbitmq\.nodes"):
        read_hub_settings(tmp_path / "hub.yaml")
    (tmp_path / "hub.yaml").write_text(HUB + section.replace("one_agency", "One Agency"))
    with pytest.raises(ConfigurationError, match="the id of an adapter"):
        read_hub_settings(tmp_path / "hub.yaml")


def test_one_file_is_not_taken_for_another(tmp_path: Path) -> None:
    assert problems_of(tmp_path, HUB) == ["worker.yaml: expected worker.yaml; this is hub.yaml"]
