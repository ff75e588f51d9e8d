"""Find ports that nobody else gets between the finding and the use.

A port that the system gave and that was let go is soon somebody's connection. So these are of a
range that systems give nobody by themselves (Linux gives from 32768 on, others from 49152), and
each is leased to a process: two that look at the same moment find different ones.
"""

from __future__ import annotations

import errno
import random
import socket
from contextlib import suppress

PORTS = range(20_000, 32_000)
_HOST = "127.0.0.1"
_luck = random.SystemRandom()
_leases: list[socket.socket] = []
"""Whoever leases a TCP port holds the UDP port of its number, which ends with the process."""


def free_port() -> int:
    """A port of the loopback for this process and those that it starts.

    Raises OSError: there is none.
    """
    for port in _luck.sample(PORTS, len(PORTS)):
        lease = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):
            lease.bind((_HOST, port))
            if is_free(port):
                _leases.append(lease)
                return port
        lease.close()
    raise OSError(errno.EADDRNOTAVAIL, "no port is free")


def is_free(port: int) -> bool:
    """Nobody has this port of the loopback now."""
    with socket.socket() as door, suppress(OSError):
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind((_HOST, port))
        door.listen()
        return True
    return False
