"""The status of a hub that never was, with something of everything."""

from __future__ import annotations

from bus.delivery.adapter_calls import AdapterMetrics
from bus.delivery.delivery_status import DeliveryStatus, RecipientStatus
from bus.delivery.probing import ProbeStatus
from bus.operations.adopted_logs import AdoptedStatus, AdoptionStatus
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
from bus.runtime.seconds_histogram import SecondsCounts
from bus.trust.revocation_watch import RevocationMetrics

LOG = LogStatus(
    entries=7,
    signed_entries=7,
    commits=3,
    checkpoint_age_seconds=2.5,
    bytes=4096,
    disk_free_bytes=9000,
    disk_needed_bytes=2000,
    trouble="",
)
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
        SenderStatus("VN/GOV/H41", 5, 9, 4),
    ),
    deliveries=DeliveryStatus(
        pending=12,
        attempts={"delivered": 40, "refused": 1, "failed": 6, "unknown": 2},
        unproved=3,
        late=4,
        recipients=(
            RecipientStatus("VN/GOV/H14/vanban", 12, 0, 2, 30.5, "closed", is_paused=False),
            RecipientStatus("VN/GOV/H41/vanban", 0, 0, 0, 0.0, "closed", is_paused=True),
        ),
    ),
    delivery_seconds=SecondsCounts((0.5, 60.0), (2, 3, 4), 700.0),
    adoption=AdoptionStatus(
        (AdoptedStatus("log.example/b", 90, 88, 65.0, 7, ""),), adoptions=3, given_back=2
    ),
    probes=(
        ProbeStatus("VN/GOV/H26/vanban", "offices", True, "", 40.0, 2),
        ProbeStatus("VN/GOV/H41/vanban", "offices", False, "delivery.timeout", 7.5, 3),
        ProbeStatus("VN/GOV/H42/vanban", "offices", None, "", 0.0, 0),
    ),
)
