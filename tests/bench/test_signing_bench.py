"""The bench of signatures verifies a real message, and says what each step of it takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from lxml import etree

from bus.bench.commands import bench
from bus.bench.other_verifiers import other_verifiers
from bus.bench.signing_bench import signed_message

MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_the_figures_add_up() -> None:
    result = CliRunner().invoke(bench, ["signing", "--rounds", "1", "--json"])

    assert result.exit_code == 0, result.output
    results = json.loads(result.stdout)
    assert {"parse", "canonicalise", "digest", "RSA"} == set(results["steps_us"])
    assert results["steps_sum_us"] == pytest.approx(sum(results["steps_us"].values()))
    assert results["verify_over_steps"] == pytest.approx(
        results["verify_us"] / results["steps_sum_us"]
    )
    assert {"xmlsec", "signxml"} == set(results["others_us"])


def test_the_text_names_every_step_and_both_other_verifiers() -> None:
    result = CliRunner().invoke(bench, ["signing", "--rounds", "1"])

    for word in ("parse", "canonicalise", "digest", "RSA", "sum of the steps", "xmlsec", "signxml"):
        assert word in result.stdout


@pytest.mark.parametrize("name", ["xmlsec", "signxml"])
def test_the_other_verifiers_really_verify(name: str) -> None:
    message = signed_message(datetime.now(UTC))
    changed = message.raw.replace(b"040090000123", b"040090000124")
    certificate = message.signer.certificate

    other_verifiers(message.raw, certificate)[name]()

    with pytest.raises(Exception, match=r"."):
        other_verifiers(changed, certificate)[name]()


def test_the_message_has_three_signed_parts() -> None:
    message = signed_message(MOMENT)

    references = etree.fromstring(message.raw).findall(".//{*}SignedInfo/{*}Reference")

    assert [one.get("URI") for one in references] == ["#id", "#body", "#timestamp"]
