"""Ports: is one free, who has it, which one could be used instead."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import psutil

from pregao.core.errors import PregaoError, UsageError


@dataclass(frozen=True)
class Need:
    """A port that a server needs: ``what`` listens, on which ``host`` and ``port``, and the variable that moves it."""

    what: str
    host: str
    port: int
    variable: str


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now.

    Raises:
        UsageError: ``host`` is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the servers do: a port whose last connections are still closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise UsageError(f"{host!r} is not an address: {error.strerror}.", "Set PREGAO_HOST=127.0.0.1.") from error
    except PermissionError:
        return False
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"{host} is not an address of this machine.", "Set PREGAO_HOST=127.0.0.1.") from error
        return False
    return True


def listener(port: int) -> str:
    """Who listens on ``port``, as ``name (process id)``; ``another program`` if the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid:
                    return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
                break
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass
    return "another program"


def free_port(host: str, after: int) -> int:
    """The first port above ``after`` that is free now."""
    return next(port for port in range(after + 1, 65536) if is_free(host, port))


def check(needs: Sequence[Need]) -> None:
    """Raise a `PregaoError` that names the first port that two servers need or that is taken, and the mend.

    Raises:
        UsageError: two of ``needs`` are the same port, whether it is free or not.
        PregaoError: a port is in use; it tells by whom.
    """
    for one, other in combinations(needs, 2):
        if one.port == other.port:
            raise UsageError(
                f"The {one.what} and the {other.what} cannot both use port {one.port}.",
                f"Set {other.variable} to another one.",
            )
    for need in needs:
        if not is_free(need.host, need.port):
            raise PregaoError(
                f"Port {need.port}, which the {need.what} needs, is in use by {listener(need.port)}.",
                f"End that program, or use another port: {need.variable}={free_port(need.host, need.port)}",
            )
