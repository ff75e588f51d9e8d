"""The status of a hub that never was, with something of everything."""

from __future__ import annotations

from bus.delivery.adapter_calls import AdapterMetrics
from bus.operations.hub_status import (
    BodiesStatus,
    CertificateStatus,
    DeciderStatus,
    HubStatus,
    LaneStatus,
    LogStatus,
    SenderStatus,
    SpoolStatus,
    TimestampStatus,
)
from bus.trust.revocation_watch import RevocationMetrics

LOG = LogStatus(entries=7, signed_entries=7, checkpoint_age_seconds=2.5, bytes=4096, trouble="")
STAMPED = TimestampStatus(7, "2026-03-01T08:00:00+00:00", 0.0, False, "", 0.5)
STATUS = HubStatus(
    version="1.2.3",
    uptime_seconds=60.0,
    log=LOG,
    timestamps=STAMPED,
    certificates=(CertificateStatus("hub_signer", "2027-03-01T08:00:00+00:00", 365, True),),
    agencies=("one_agency", "land"),
    judge=DeciderStatus(
        is_wanted=True,
        is_running=True,
        judged=3,
        lanes=(
            LaneStatus("small", "working", 2, 600, 1, 0),
            LaneStatus("large", "absent", 0, 0, 4, 3),
        ),
    ),
    in_work=1,
    outcomes={"delivered": 3, "access.denied": 1},
    spool=SpoolStatus(bytes=5),
    bodies=BodiesStatus(bytes=900, large_bytes=300, bytes_max=4000, refused=6),
    revocation=RevocationMetrics(certificates=4, revoked=1, unknown=2, overdue=0),
    queries=(AdapterMetrics("one_agency", 2, 1, 8), AdapterMetrics("land", 0, 0, 0)),
    senders=(
        SenderStatus("VN/GOV/G03", 0, 0),
        SenderStatus("VN/GOV/H26", 1, 0),
        SenderStatus("VN/GOV/H41", 5, 9),
    ),
)
