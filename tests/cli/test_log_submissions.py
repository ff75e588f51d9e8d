"""What a real hub accepts and delivers is accounted for, and proved again from its log."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from bus.core.registry import MemberRegistry
from tests.cli.running import lienthong, output_of
from tests.hang_limits import HANG_SECONDS_MAX
from tests.nation import REFERENCE


def verified(folder: Path) -> dict[str, Any]:
    result = lienthong("log", "verify", folder / "log", "--json")
    values: dict[str, Any] = json.loads(result.stdout)
    assert values["findings"] == []
    assert result.returncode == 0, output_of(result)
    return values


def submit_samples(folder: Path, registry: MemberRegistry = REFERENCE) -> int:
    """Submit every sample that may be; give how many that was."""
    submitted = [id_ for id_, service in registry.services.items() if service.submission]
    for service in submitted:
        client = next(str(one) for one, granted in registry.grants if granted == service)
        sample = folder / "samples" / f"{service.service_code}.xml"
        result = lienthong(
            "call", service.service_code, "--as", client, "--body", sample, folder=folder
        )
        assert result.returncode == 0, output_of(result)
    return len(submitted)


MAILBOXES = {str(name) for name, adapter in REFERENCE.recipients.items() if not adapter}
"""What others do with their messages is for them to say."""


def to_deliver(values: dict[str, Any]) -> list[str]:
    """Whose deliveries are pending, though they need not fetch them themselves."""
    return [
        name
        for name, counts in values["deliveries"]["recipients"].items()
        if counts["pending"] and name not in MAILBOXES
    ]


def delivered(folder: Path) -> dict[str, Any]:
    """What is verified as soon as whoever can be called has all that was submitted."""
    until = time.monotonic() + HANG_SECONDS_MAX
    while to_deliver(values := verified(folder)) and time.monotonic() < until:
        time.sleep(0.2)
    assert to_deliver(values) == []
    return values


def test_what_was_submitted_is_delivered_and_every_report_of_it_is_proved(sandbox: Path) -> None:
    before = verified(sandbox)["deliveries"]["submissions"]
    submissions = submit_samples(sandbox)
    assert submissions >= 2
    values = delivered(sandbox)
    deliveries = values["deliveries"]
    assert deliveries["submissions"] == before + submissions
    told = deliveries["all"]
    # Those who fetch from the same sandbox may refuse what they got.
    assert told["accepted"] == told["delivered"] + told["pending"] + told["refused"]
    for name, counts in deliveries["recipients"].items():
        assert name in MAILBOXES or counts["accepted"] == counts["delivered"], name
    assert told["delivered"] > 20
    # Each report that closed a delivery is proved, and those of attempts that failed, too.
    assert values["reports_verified"] >= told["delivered"]
    assert "" not in deliveries["recipients"]


def test_what_became_of_a_delivery_is_shown_with_what_its_recipient_said(sandbox: Path) -> None:
    submit_samples(sandbox)
    delivered(sandbox)
    key = sandbox / "keys" / "log-read.key"
    shown = output_of(
        lienthong("log", "show", sandbox, "--event", "outcome", "--payload", "--read-key", key)
    )
    assert re.search(r"outcome +of \d+  delivery 0 to VN/GOV/\S+  attempt 1  delivered", shown)
    assert re.search(
        r"^lienthong.example/sandbox/report\nreport v1\ndelivery \d+ \d+$", shown, re.M
    )
    received = output_of(lienthong("log", "show", sandbox, "--event", "received"))
    assert re.search(r"received .* to 34 recipients", received)
