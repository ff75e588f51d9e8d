"""Of those who look for a port at the same moment, each gets one of its own."""

from __future__ import annotations

import socket
import subprocess
import sys

from bus.sandbox.leased_ports import PORTS, free_port, is_free

LEASING = (
    "from bus.sandbox.leased_ports import free_port;"
    "print(*(free_port() for _ in range(100)), flush=True); input()"
)


def test_no_port_is_leased_twice_while_who_leased_it_is_there() -> None:
    command = [sys.executable, "-c", LEASING]
    pipe = subprocess.PIPE
    running = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    try:
        found = []
        for one in running:
            assert one.stdout is not None
            found += [int(word) for word in one.stdout.readline().split()]
        found += [free_port() for _ in range(100)]
    finally:
        for one in running:
            one.communicate("\n")

    assert len(set(found)) == 400
    assert set(found) <= set(PORTS)


def test_a_port_that_somebody_has_is_not_free() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)
