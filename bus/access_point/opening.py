"""Put an access point together from its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from bus.access_point.answer_signers import AnswerSigners
from bus.access_point.exchange import AccessPoint, AccessPointDependencies, System
from bus.access_point.hub_link import HubLink
from bus.access_point.settings import AccessPointSettings, ServedSystem
from bus.access_point.store import ExchangeStore, StoreBounds
from bus.client.hub_client import read_known_hub
from bus.core import errors
from bus.http.spool import Spool, open_spool
from bus.runtime.clock import now as read_clock
from bus.runtime.resources import opening
from bus.trust.key_store import read_certificates, read_succession
from bus.trust.token_keys import close_tokens


async def open_access_point(
    settings: AccessPointSettings, *, clock: Callable[[], datetime] = read_clock
) -> AccessPoint:
    """Open everything that settings name. If a step fails, what was opened is closed.

    Raises ConfigurationError.
    """
    known = read_known_hub(settings.hub_files, settings.hub.member)
    known = replace(known, certificate_subjects=settings.certificate_subjects)
    limits = settings.limits
    async with opening() as resources:
        resources.own("tokens", close_tokens)
        systems = {one.id: _system(one) for one in settings.systems.values()}
        spool = open_spool(settings.evidence / "spool", bytes_max=limits.reading().spool_bytes_max)
        store = ExchangeStore.open(
            settings.evidence, StoreBounds(limits.receipts_max, limits.rejected_answers_max)
        )
        resources.own("evidence", store.close)
        link = _link(settings, spool)
        resources.own("hub-link", link.close)
        signers = None
        if not settings.revocation.policy.is_off:
            signers = AnswerSigners(known.trust, settings.revocation, clock)
            resources.own("answer-signers", signers.close)
        dependencies = AccessPointDependencies(
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
        return AccessPoint(dependencies, resources)


def _link(settings: AccessPointSettings, spool: Spool) -> HubLink:
    try:
        return HubLink(settings.hub, spool)
    except FileNotFoundError as error:
        problem = errors.Problem(str(settings.file), "hub.authority_file", str(error))
        raise errors.ConfigurationError([problem]) from error


def _system(served: ServedSystem) -> System:
    shown = read_certificates(served.client_certificates)
    digests = frozenset(hashlib.sha256(one.public_bytes(Encoding.DER)).digest() for one in shown)
    return System(served.id, read_succession(served.signer), digests)
