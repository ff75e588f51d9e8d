"""Tell a running hub what to do, at the socket in its log's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bus.client.status_client import HubNotAsked
from bus.log.files import OPERATOR_SOCKET
from bus.runtime.unix_sockets import connect

ANSWER_BYTES_MAX = 4 * 1024 * 1024
TIMEOUT_SECONDS = 30.0


class NoHubRuns(HubNotAsked):
    """Nobody listens there."""


def tell_hub(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What came of a request, as the hub whose log is in `folder` tells it.

    Raises NoHubRuns, HubNotAsked.
    """
    path = folder / OPERATOR_SOCKET
    try:
        connection = connect(path, TIMEOUT_SECONDS)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoHubRuns(f"{folder}: no hub runs on this log") from error
    except OSError as error:
        raise HubNotAsked(f"{path}: {error.strerror or 'no answer'}") from error
    try:
        with connection, connection.makefile("rb") as stream:
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer = json.loads(stream.readline(ANSWER_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise HubNotAsked(f"{path}: the hub gave no answer") from error
    if not isinstance(answer, dict):
        raise HubNotAsked(f"{path}: the hub gave no answer")
    return answer
