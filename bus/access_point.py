"""Put an access point together from its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from bus.core import errors
from bus.edge.access_point_settings import AccessPointSettings, ServedSystem
from bus.edge.answer_signers import AnswerSigners
from bus.edge.clock import now as read_clock
from bus.edge.exchange_store import ExchangeStore, StoreBounds
from bus.edge.hub_client import read_known_hub
from bus.edge.hub_link import HubLink
from bus.edge.key_store import read_certificates, read_succession
from bus.kit.spool import open_spool
from bus.plain_exchange import AccessPoint, Equipment, System


def open_access_point(
    settings: AccessPointSettings, *, clock: Callable[[], datetime] = read_clock
) -> AccessPoint:
    """Open everything that settings name. Raises ConfigurationError."""
    known = read_known_hub(settings.hub_files, settings.hub.member)
    known = replace(known, certificate_subjects=settings.certificate_subjects)
    limits = settings.limits
    systems = {one.id: _system(one) for one in settings.systems.values()}
    spool = open_spool(settings.evidence / "spool", bytes_max=limits.reading().spool_bytes_max)
    try:
        link = HubLink(settings.hub, spool)
    except FileNotFoundError as error:
        problem = errors.Problem(str(settings.file), "hub.authority_file", str(error))
        raise errors.ConfigurationError([problem]) from error
    store = ExchangeStore.open(
        settings.evidence, StoreBounds(limits.receipts_max, limits.rejected_answers_max)
    )
    signers = None
    if not settings.revocation.policy.is_off:
        signers = AnswerSigners(known.trust, settings.revocation, clock)
    return AccessPoint(
        Equipment(
            systems=systems,
            is_tls=settings.tls is not None,
            link=link,
            spool=spool,
            known=known,
            signers=signers,
            store=store,
            limits=limits.reading(),
            style=settings.faults,
            renews_message_ids=settings.renews_message_ids,
            public_url=settings.public_url,
            clock=clock,
        )
    )


def _system(served: ServedSystem) -> System:
    shown = read_certificates(served.client_certificates)
    digests = frozenset(hashlib.sha256(one.public_bytes(Encoding.DER)).digest() for one in shown)
    return System(served.id, read_succession(served.signer), digests)
