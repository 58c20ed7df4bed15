"""Ports for servers of the tests: of no other test, and never one that the system gives to a caller."""

from __future__ import annotations

import socket
from contextlib import suppress

PORTS = range(20_000, 32_000)
"""Below what systems give to callers (Linux: from 32,768): there, between the moment a port is found free and the one
its server listens, or while a server is away, any connection of any process may take it, even one to that very port."""
_held: list[socket.socket] = []


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which a server of this test run, and of no other, may listen, be ended, and listen again.

    It is this process's as long as it lives: its twin among the UDP ports is held.
    """
    for port in PORTS:
        twin = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError), socket.socket() as probe:
            twin.bind((host, port))
            probe.bind((host, port))  # refused, too, while its last connections are still closing
            _held.append(twin)
            return port
        twin.close()
    raise OSError("No port is free.")
