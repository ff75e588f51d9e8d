"""Have answers and faults signed: here, or by a device that has threads and a time of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from bus.core.errors import SigningUnavailable
from bus.runtime.signing_threads import sign_aside
from signing.errors import KeyUnavailableError
from signing.pki.keys import Signer, SignerInTime

_log = structlog.get_logger()


def signer_for(recipient: str, signers: Mapping[str, SignerInTime], time: datetime) -> Signer:
    """Who signs in the name of a subsystem's agency; `signers` are by member id."""
    return signers[recipient.rpartition("/")[0]].at(time)


async def signed_aside(write: Callable[[], bytes]) -> bytes:
    """What `write` writes and has signed by a device. Raises SigningUnavailable."""
    try:
        return await sign_aside(write)
    except KeyUnavailableError as error:
        raise _unavailable(error) from error


def signed_here(write: Callable[[], bytes]) -> bytes:
    """What `write` writes and signs. Raises SigningUnavailable."""
    try:
        return write()
    except KeyUnavailableError as error:
        raise _unavailable(error) from error


def _unavailable(error: KeyUnavailableError) -> SigningUnavailable:
    _log.error("signing.unavailable", detail=str(error))
    return SigningUnavailable(str(error))
