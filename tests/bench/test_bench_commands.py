"""The commands of the bench measure real processes and say so in figures that add up."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bus.bench import floor_program
from bus.bench.citizen_answer import SERVICE
from bus.bench.commands import bench
from bus.bench.programs import ProgramFailed, running
from bus.core.identifiers import ServiceId
from bus.runtime.clock import now
from bus.sandbox.nation_files import prepare_nation
from bus.sandbox.servers.private import missing_packages
from tests.servers.fixtures import missing


def test_a_short_run_compares_the_hub_with_the_floor() -> None:
    result = CliRunner().invoke(
        bench, ["exchange", "--seconds", "0.5", "--connections", "8", "--json"]
    )

    assert result.exit_code == 0, result.output
    results = json.loads(result.stdout)
    for program in (results["hub"], results["floor"]):
        assert len(program["rates"]) == 3
        assert min(program["rates"]) > 0
        assert 0 < program["latency_p50_ms"] <= program["latency_p99_ms"]
        assert program["verified_answers"] > 0
        assert program["rss_bytes_max"] > 10_000_000
    expected = results["hub"]["rate_median"] / results["floor"]["rate_median"]
    assert results["rate_ratio"] == pytest.approx(expected)
    # Both messages lie in the log, packed and encrypted, with their leaves.
    messages_bytes = results["request_bytes"] + results["hub"]["answer_bytes"]
    assert messages_bytes * 0.3 < results["log_bytes_per_exchange"] < messages_bytes * 3


def test_a_profile_of_the_hub_leaves_the_floor_out(tmp_path: Path) -> None:
    profile = tmp_path / "hub.prof"

    result = CliRunner().invoke(
        bench,
        [
            "exchange",
            "--seconds",
            "0.5",
            "--connections",
            "2",
            "--prefill",
            "20",
            "--profile",
            str(profile),
        ],
    )

    assert result.exit_code == 0, result.output
    assert profile.stat().st_size > 0
    assert "prefilled with 20 entries" in result.stdout
    assert "hub / floor" not in result.stdout


def test_a_short_run_takes_submissions_to_their_last_outcome() -> None:
    options = ["--seconds", "0.5", "--connections", "8", "--recipients", "2", "--prefill", "30"]
    result = CliRunner().invoke(bench, ["submit", *options, "--json"])

    assert result.exit_code == 0, result.output
    results = json.loads(result.stdout)
    assert (results["recipients"], results["pending_rows"]) == (2, 30)
    assert 2000 < results["payload_bytes"] < results["request_bytes"]
    assert results["machine"]["sha256_us_per_mebibyte"] > 0
    for program in (results["hub"], results["empty_hub"], results["floor"]):
        assert len(program["accepted_rates"]) == len(program["delivered_rates"]) == 3
        assert 0 < program["accept_p50_ms"] <= program["accept_p99_ms"]
        # Of each submission one entry when it comes, one for each recipient.
        assert 1 <= program["entries_per_commit"] <= 3 * program["submissions"]
        assert all(used > 0 for used in program["cpu_us"].values())
    for program in (results["hub"], results["empty_hub"]):
        assert program["verified"] > 0
        assert 0 < program["closing_p50_ms"] <= program["closing_p99_ms"]
        assert set(program["cpu_us"]) == {program["name"], "judge"}
    assert results["floor"]["closing_p50_ms"] is None
    expected = results["hub"]["delivered_median"] / results["floor"]["delivered_median"]
    assert results["rate_ratio"] == pytest.approx(expected)
    expected = results["hub"]["accepted_median"] / results["empty_hub"]["accepted_median"]
    assert results["pending_ratio"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--store", "postgres"], "go together"),
        (["--broker", "rabbitmq"], "go together"),
        (["--store", "postgres", "--broker", "rabbitmq", "--prefill", "1"], "embedded log alone"),
        (["--store", "postgres", "--broker", "rabbitmq", "--slow-sync-ms", "1"], "embedded log"),
    ],
)
def test_what_is_not_measured_is_refused(options: list[str], told: str) -> None:
    refused = CliRunner().invoke(bench, ["submit", *options])

    assert refused.exit_code == 2
    assert told in refused.output


SERVED = ["submit", "--store", "postgres", "--broker", "rabbitmq"]


def test_servers_that_are_not_installed_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("bus.sandbox.servers.postgresql._INSTALLED", tmp_path)
    monkeypatch.setattr("bus.sandbox.servers.rabbitmq._INSTALLED", tmp_path)
    refused = CliRunner().invoke(bench, SERVED)

    assert refused.exit_code == 1
    assert "Not installed: postgresql, rabbitmq-server" in refused.output


@pytest.mark.slow
def test_a_short_run_on_servers_takes_submissions_to_their_last_outcome() -> None:
    for package in missing_packages(postgres=True, rabbit=True):
        missing(package)
    options = ["--seconds", "0.5", "--connections", "4", "--recipients", "2", "--json"]
    result = CliRunner().invoke(bench, [*SERVED, *options])

    assert result.exit_code == 0, result.output
    results = json.loads(result.stdout)
    hub, floor = results["hub"], results["floor"]
    assert results["has_servers"]
    assert (hub["verified"] > 0, floor["closing_p50_ms"]) == (True, None)
    assert 0 < hub["closing_p50_ms"] <= hub["closing_p99_ms"]
    servers = {"worker", "PostgreSQL", "RabbitMQ"}
    assert set(hub["cpu_us"]) == {"hub", "judge", *servers}
    assert set(floor["cpu_us"]) == {"floor", *servers}
    for program in (hub, floor):
        assert min(program["delivered_rates"]) > 0
        assert program["cpu_us"]["RabbitMQ"] > 0


def test_a_profile_of_submissions_leaves_the_floor_out(tmp_path: Path) -> None:
    profile = tmp_path / "hub.prof"
    options = ["--seconds", "0.5", "--connections", "2", "--profile", str(profile)]
    result = CliRunner().invoke(bench, ["submit", *options])

    assert result.exit_code == 0, result.output
    assert profile.stat().st_size > 0
    assert "recipients of each message: 1" in result.stdout
    assert "hub / floor" not in result.stdout


def test_the_log_is_measured_tenth_by_tenth() -> None:
    result = CliRunner().invoke(
        bench, ["log", "--entries", "205", "--payload-bytes", "50", "--json"]
    )

    assert result.exit_code == 0, result.output
    results = json.loads(result.stdout)
    assert [part["entries"] for part in results["parts"]][-1] == 205
    assert len(results["parts"]) == 10
    assert 0 <= results["rate_spread"] < 1


def test_a_program_that_does_not_start_is_told() -> None:
    with pytest.raises(ProgramFailed, match="said nothing"), running("hub", "bus.bench.load", []):
        pass


def test_a_program_ends_with_the_block_that_runs_it(tmp_path: Path) -> None:
    nation = prepare_nation(tmp_path, now=now(), hub_port=1)
    files = nation.signers[ServiceId.parse(SERVICE).provider]
    arguments = [str(files.key), str(files.certificate), str(tmp_path / "floor.sqlite")]

    with pytest.raises(KeyError), running("floor", floor_program.MODULE, arguments) as program:
        raise KeyError

    assert program.process.poll() is not None
