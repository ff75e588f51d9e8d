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
    assert messages_bytes * 0.4 < results["log_bytes_per_exchange"] < messages_bytes * 3


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
